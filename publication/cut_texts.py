"""Texts of a mart's YAML that end at a comma, though they were meant to go on.

Inline YAML (``{data_type: decimal(5,2), description: One, two}``) ends a text at its comma, and
takes what follows for a key without a value. dbt says nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from publication.errors import DraftRejected

if TYPE_CHECKING:
    from pathlib import Path

    from publication.run import BuiltMart

KNOWN = {
    *("name", "description", "columns", "config", "data_tests", "tests", "meta", "docs"),
    *("constraints", "latest_version", "versions", "deprecation_date", "access", "group"),
    *("time_spine", "freshness", "tags", "alias", "enabled", "semantic_model", "metrics"),
    *("derived_semantics", "primary_entity", "agg_time_dimension"),
}
"""Keys of a model that may be left without a value."""


def check_cut_texts(mart: BuiltMart, project: Path) -> None:
    """Check that no text of a mart's YAML was cut at its comma.

    Args:
        mart: The mart, with the keys without a value that its columns have.
        project: dbt's project folder.

    Raises:
        DraftRejected: One was.
    """
    for column, key in mart.cut:
        raise _rejected(f'column "{column}" of mart "{mart.name}"', key)
    for key, value in _entry(mart, project).items():
        if value is None and key not in KNOWN:
            raise _rejected(f'mart "{mart.name}"', str(key))


def _rejected(of: str, key: str) -> DraftRejected:
    return DraftRejected(
        f'The key "{key}" of {of} has no value: inline YAML ends a text at its comma; put quotes '
        'around the text, such as data_type: "decimal(5,2)".'
    )


def _entry(mart: BuiltMart, project: Path) -> dict[Any, Any]:
    """The mart's entry in its file of YAML; empty where that is not in the project."""
    if not mart.file or "://" not in mart.file:
        return {}
    try:
        text = (project / mart.file.partition("://")[2]).read_text(encoding="utf-8")
        models = yaml.safe_load(text)["models"]
        return next(dict(model) for model in models if model["name"] == mart.model)
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError, StopIteration):
        return {}  # dbt has read it, so it lies elsewhere

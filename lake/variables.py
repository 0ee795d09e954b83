"""The variables of a dbt command, which dbt itself takes whatever they are called."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import yaml

from lake.errors import VariableUnknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def check(given: Mapping[str, Any], project: Path, known: Iterable[str]) -> None:
    """See that every variable of a command is one that something reads.

    Args:
        given: The variables of the command line.
        project: The folder of ``dbt_project.yml``, whose ``vars`` are known too.
        known: The variables that the profile reads.

    Raises:
        VariableUnknown: One is not known; one sentence, with the name that is meant.
    """
    names = sorted({*known, *_declared(project / "dbt_project.yml")})
    for name in given:
        if name not in names:
            near = get_close_matches(name, names, 1)
            meant = f"did you mean {near[0]}? The variables" if near else "the variables"
            raise VariableUnknown(
                f"There is no variable {name}: {meant} are {', '.join(names)}. Declare one of your "
                "own under vars in dbt_project.yml."
            )


def _declared(file: Path) -> set[str]:
    """Name the variables of a project, also those that stand under a package's name."""
    declared = (yaml.safe_load(file.read_text()) or {}).get("vars") or {}
    scoped = [value for value in declared.values() if isinstance(value, dict)]
    return {*declared, *(name for variables in scoped for name in variables)}

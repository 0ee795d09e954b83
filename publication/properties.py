"""A mart's properties, as its YAML has them, and whether they will do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import duckdb

from publication.errors import DraftRejected
from publication.manifest import OPEN, SCOPE, Column, MartDraft
from publication.types import nearest, read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publication.types import Type

QUERY_WORDS = frozenset(
    {
        "and",
        "columns",
        "date_cols",
        "dense",
        "end",
        "limit",
        "not",
        "offset",
        "on_conflict",
        "or",
        "order",
        "publication",
        "select",
        "since",
        "start",
    }
)
"""No column of a mart may be named so: these are words of the API's queries."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,199}")
"""A mart's name: it stands in paths, where a dot begins a format, and in header fields."""


def check_properties(marts: Iterable[MartDraft]) -> None:
    """Check what can be said of the marts without their file.

    Raises:
        DraftRejected: There is no mart, a name cannot be served or is there twice, a mart or a
            column is not described, a grain is missing or names no column, a scope is none or
            misspelt, a column is named like a word of the API's queries, or its type is not
            published.
    """
    names: set[str] = set()
    for mart in marts:
        if not NAME.fullmatch(mart.name):
            raise DraftRejected(
                f'Mart "{mart.name}" cannot be served under that name; write it with 1 to '
                "200 unaccented letters, digits, _ and -, beginning with a letter or _."
            )
        if mart.name.lower() in names:
            raise DraftRejected(f'Two marts are named "{mart.name}"; rename one.')
        names.add(mart.name.lower())
        _check_grain(mart)
        _check_scope(mart)
        _check_descriptions(mart)
        for column in mart.columns:
            _check_column(mart, column)
    if not names:
        raise DraftRejected("There is no public mart to publish; set access: public on a model.")


def _check_grain(mart: MartDraft) -> None:
    if not mart.grain:
        raise DraftRejected(
            f'Mart "{mart.name}" does not name its grain; add config.meta.grain to its YAML.'
        )
    columns = [column.name for column in mart.columns]
    for named in mart.grain:
        if named not in columns:
            raise DraftRejected(
                f'The grain of mart "{mart.name}" names "{named}", which is none of its '
                f"columns ({', '.join(columns)}); mend config.meta.grain in its YAML."
            )


def _check_scope(mart: MartDraft) -> None:
    """See that it means what it seems to: one scope that a token can have, or everyone."""
    if mart.scope is None or mart.is_open:
        return
    if not SCOPE.fullmatch(mart.scope):
        raise DraftRejected(
            f'Mart "{mart.name}" has "{mart.scope}" for a scope; write one, without spaces, quotes '
            "and backslashes, such as marketing:read, as config.meta.scope in its YAML."
        )
    if mart.scope.lower() == OPEN:
        raise DraftRejected(
            f'Mart "{mart.name}" has the scope {mart.scope}; write {OPEN} as '
            "config.meta.scope in its YAML if all may read it."
        )


def _check_descriptions(mart: MartDraft) -> None:
    """See that all is described: what users read of a mart, in the catalogue and else, is that."""
    if not mart.description.strip():
        raise DraftRejected(f'Mart "{mart.name}" has no description; add one to its YAML.')
    bare = [column.name for column in mart.columns if not column.description.strip()]
    if bare:
        raise DraftRejected(
            f'Mart "{mart.name}" does not describe {" and ".join(bare)}; add a description '
            "of each to its YAML."
        )


def _check_column(mart: MartDraft, column: Column) -> None:
    if column.name.lower() in QUERY_WORDS:
        raise DraftRejected(
            f'Column "{column.name}" of mart "{mart.name}" is named like a word of the API\'s '
            "queries; rename it."
        )
    contracted = type_of(mart, column)
    if (other := nearest(contracted)) != contracted:
        raise DraftRejected(
            f'Column "{column.name}" of mart "{mart.name}" is {contracted.name}, which JSON, CSV, '
            f"Arrow and Parquet do not write alike; cast it to {other.name}."
        )


def type_of(mart: MartDraft, column: Column) -> Type:
    """Read a column's contracted type, which DuckDB spells otherwise: ``text`` is ``VARCHAR``.

    Raises:
        DraftRejected: DuckDB knows no such type.
    """
    try:
        return read(column.type)
    except duckdb.Error as error:
        raise DraftRejected(
            f'Column "{column.name}" of mart "{mart.name}" is contracted as "{column.type}", '
            f"which is no type of DuckDB's; set its data_type."
        ) from error

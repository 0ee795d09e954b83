"""Whether a table holds the rows that a mart held when it was published, in one quick pass.

A fingerprint is the number of rows and two sums over them of DuckDB's own hash of all columns,
taken in two orders, so neither the order of rows nor threads change it. It hashes values by what
the digest tells apart: ``-0.0`` is not ``0.0``, and a month is not 30 days. It says which DuckDB
made it, since another version may hash otherwise; then all is taken for changed.

It is no cryptographic hash: see docs/decisions/0003-publishing.md for what it promises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from publication.sql import identifier
from publication.types import read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publication.manifest import Column

RULE = 1
"""The version of the expressions below."""

HASHED_AS_TEXT = frozenset({"INTERVAL", "LIST", "STRUCT", "MAP"})
"""Types with unequal values that hash alike, or that hold such values: they are hashed as texts."""


def sums(columns: Iterable[Column]) -> str:
    """SQL of a fingerprint's two sums, as two columns.

    Args:
        columns: The mart's, with types as DuckDB or the contract spells them.
    """
    values = [value for column in columns for value in _values(column)]
    return (
        f"coalesce(sum(hash({', '.join(values)})), 0), "
        f"coalesce(sum(hash(1, {', '.join(reversed(values))})), 0)"
    )


def spelled(rows: int, first: int, second: int) -> str:
    """Write a fingerprint as manifests have it."""
    return f"{RULE}-duckdb-{duckdb.__version__}-{rows}-{first:x}-{second:x}"


def _values(column: Column) -> list[str]:
    name, kind = identifier(column.name), read(column.type).kind
    if kind in {"FLOAT", "DOUBLE"}:
        return [name, f"signbit({name})"]
    return [f"json_array({name})" if kind in HASHED_AS_TEXT else name]

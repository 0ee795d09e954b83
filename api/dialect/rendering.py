"""How a value is written where a format has no type for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.dialect.values import FLOATING

if TYPE_CHECKING:
    from api.dialect.sql import Selected

NESTED = ("STRUCT", "MAP", "UNION")


def as_json(column: Selected) -> str:
    """SQL of a column for JSON.

    Moments are written as ISO 8601 has them, bytes in base64 (RFC 4648 §4). A floating-point
    number that is none comes out as a word that JSON does not have; see :func:`as_strict_json`.
    """
    return _text(column) or column.sql


def as_strict_json(column: Selected) -> str:
    """The same, with a text for every number that is none, as PostgreSQL writes it."""
    sql = column.sql
    if column.type not in FLOATING:
        return as_json(column)
    others = (("NaN", f"isnan({sql})"), ("Infinity", f"{sql} > 0"), ("-Infinity", f"{sql} < 0"))
    cases = " ".join(f"when {what} then to_json('{name}')" for name, what in others)
    return f"case when isfinite({sql}) then to_json({sql}) {cases} end"


def as_flat(column: Selected) -> str:
    """SQL of a column for CSV: as for JSON, and what is nested is JSON in a field."""
    if column.type.endswith("]") or column.type.startswith(NESTED):
        return f"cast(to_json({column.sql}) as varchar)"
    return _text(column) or column.sql


def as_typed(column: Selected) -> str:
    """SQL of a column for formats with types of their own. Parquet has none for intervals."""
    return f"cast({column.sql} as varchar)" if column.type == "INTERVAL" else column.sql


def _text(column: Selected) -> str | None:
    if column.type == "BLOB":
        return f"base64({column.sql})"
    if column.type == "INTERVAL":
        return f"cast({column.sql} as varchar)"
    if column.type.startswith("TIMESTAMP"):
        text = f"replace(cast({column.sql} as varchar), ' ', 'T')"
        # The zone is UTC on every connection to a publication.
        return f"{text} || ':00'" if column.type == "TIMESTAMP WITH TIME ZONE" else text
    return None

"""Casts, as PostgreSQL names them."""

from __future__ import annotations

from api.dialect.question import Refused
from api.dialect.values import FLOATING
from api.quoting import shown
from publication.types import beyond, read

CASTS = {
    **dict.fromkeys(("text", "varchar"), "VARCHAR"),
    **dict.fromkeys(("smallint", "int2"), "SMALLINT"),
    **dict.fromkeys(("integer", "int", "int4"), "INTEGER"),
    **dict.fromkeys(("bigint", "int8"), "BIGINT"),
    **dict.fromkeys(("real", "float4"), "FLOAT"),
    **dict.fromkeys(("double precision", "float8"), "DOUBLE"),
    **dict.fromkeys(("boolean", "bool"), "BOOLEAN"),
    **dict.fromkeys(("numeric", "decimal"), "DECIMAL(38,18)"),
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}
"""PostgreSQL's names of types, and DuckDB's."""


def cast(sql: str, given: str, name: str) -> tuple[str, str]:
    """Cast, so that a result that not every format could write fails like one that is none.

    A floating-point number becomes the decimal that it is written as, as in PostgreSQL.

    Args:
        sql: What is cast.
        given: Its type, as DuckDB calls it.
        name: What it is cast to, as PostgreSQL calls the type.

    Returns:
        SQL, and its type as DuckDB calls it.

    Raises:
        Refused: There is no such type.
    """
    kind = _type(name)
    if given in FLOATING and kind.startswith("DECIMAL"):
        sql = f"cast({sql} as varchar)"
    made = f"cast({sql} as {kind})"
    if outside := beyond(made, read(kind)):
        no = f"cast(concat({made}, ' is not in the years 1 to 9999') as {kind})"
        return f"case when {outside} then {no} else {made} end", kind
    return made, kind


def _type(name: str) -> str:
    try:
        return CASTS[name.strip().lower()]
    except KeyError:
        raise Refused(
            f"There is no type {shown(name)} to cast to; there are {', '.join(CASTS)}.", "42704"
        ) from None

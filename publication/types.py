"""The types and values that a mart may hold: those that every format can write alike.

A closed list. What JSON, CSV, Arrow and Parquet would write differently, or one of them not at
all, is refused before it is published, with the nearest type that is not.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import duckdb
import msgspec
from duckdb.sqltypes import DuckDBPyType

from publication.sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Callable

SCALARS = frozenset(
    {
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
        *("FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN"),
        *("VARCHAR", "ENUM", "UUID", "BLOB"),
        *("DATE", "TIME", "INTERVAL"),
        *("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"),
    }
)
"""The types that are published, besides lists, structs, and maps from texts, of published types."""

NEAREST = {
    "TIME WITH TIME ZONE": "TIME",
    "TIME_NS": "TIME",
    "TIMESTAMPTZ_NS": "TIMESTAMP WITH TIME ZONE",
}
"""What else to cast to; a text is near to everything."""

WIDEST = 38
"""How many digits a decimal number has at most, in DuckDB as in Arrow."""

LIMITS = {
    "DATE": "{} not between date '0001-01-01' and date '9999-12-31'",
    **dict.fromkeys(
        ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"),
        "cast({} as timestamp) not between "
        "timestamp '0001-01-01' and timestamp '9999-12-31 23:59:59.999999'",
    ),
    "TIMESTAMP_NS": "not isfinite({})",  # none of its years is out of reach
    "TIMESTAMP WITH TIME ZONE": "{} not between timestamptz '0001-01-01 00:00:00+00' "
    "and timestamptz '9999-12-31 23:59:59.999999+00'",
    "TIME": "{} = time '24:00:00'",
    "HUGEINT": f"{{}} not between -{'9' * WIDEST}::hugeint and {'9' * WIDEST}::hugeint",
    "UHUGEINT": f"{{}} > {'9' * WIDEST}::uhugeint",
}
"""SQL of whether a value cannot be written alike: a year that ISO 8601 has no four digits for, an
infinite one, the hour 24, more digits than a decimal has."""

REACH = (
    "what is published ends where a format does: "
    "at the years 1 and 9999, at 24:00:00, and at numbers of 38 digits"
)
"""The same in words."""


class Type(msgspec.Struct, frozen=True):
    """A column's type as a tree.

    Attributes:
        name: All of it, as DuckDB spells it.
        kind: ``LIST``, ``STRUCT``, ``MAP``, ``ARRAY``, ``DECIMAL``, ``ENUM``, or the name.
        parts: Of what is nested: the types in it, with the names of a struct's fields.
    """

    name: str
    kind: str
    parts: tuple[tuple[str, Type], ...] = ()

    @property
    def nested(self) -> bool:
        """Whether it has elements or fields that may be published."""
        return self.kind in {"LIST", "STRUCT", "MAP"}

    def spelled(self, scalar: Callable[[Type], str]) -> str:
        """Spell the same nesting of other types. The keys of maps become texts.

        Args:
            scalar: What becomes of a type that is no list, struct or map.
        """
        match self.kind:
            case "LIST":
                return f"{self.parts[0][1].spelled(scalar)}[]"
            case "MAP":
                return f"MAP(VARCHAR, {self.parts[1][1].spelled(scalar)})"
            case "STRUCT":
                fields = (f"{identifier(name)} {one.spelled(scalar)}" for name, one in self.parts)
                return f"STRUCT({', '.join(fields)})"
        return scalar(self)


@lru_cache(1024)
def read(text: str) -> Type:
    """Read a type as DuckDB or a contract spells it.

    Raises:
        duckdb.Error: There is no such type.
    """
    if text in SCALARS and text not in {"DECIMAL", "ENUM"}:
        return Type(text, text)
    # One that is kept for the next type would outlive the interpreter.
    with duckdb.connect(config={"threads": 1}) as connection:
        return _read(connection.sqltype(text))


def _read(made: DuckDBPyType) -> Type:
    name = str(made)
    kind = made.id.upper()
    if kind in {"LIST", "STRUCT", "MAP", "ARRAY"}:
        parts = ((one, part) for one, part in made.children if isinstance(part, DuckDBPyType))
        return Type(name, kind, tuple((one, _read(part)) for one, part in parts))
    return Type(name, kind if kind in {"DECIMAL", "ENUM"} else name)


def nearest(given: Type) -> Type:
    """Find the type nearest to one that may be published: itself, if it may."""
    return read(given.spelled(_nearest))


def _nearest(given: Type) -> str:
    if given.kind == "ARRAY":
        return f"{given.parts[0][1].spelled(_nearest)}[]"
    if given.kind == "DECIMAL":
        width, scale = map(int, given.name.removeprefix("DECIMAL(").removesuffix(")").split(","))
        if width > scale:
            return given.name
        # DuckDB writes no zero before the point of such a number, and JSON needs one.
        return f"DECIMAL({min(width + 1, WIDEST)},{min(scale, WIDEST - 1)})"
    return given.name if given.kind in SCALARS else NEAREST.get(given.kind, "VARCHAR")


def beyond(sql: str, given: Type, depth: int = 0) -> str | None:
    """SQL of whether a value cannot be written alike in every format; none if each can.

    Args:
        sql: The value.
        given: Its type.
        depth: In how many lists the value lies.
    """
    match given.kind:
        case "LIST" | "MAP":
            values, element = (sql, given.parts[0][1])
            if given.kind == "MAP":
                values, element = (f"map_values({sql})", given.parts[1][1])
            inner = beyond(f"b{depth}", element, depth + 1)
            return inner and f"list_bool_or(list_transform({values}, lambda b{depth}: {inner}))"
        case "STRUCT":
            fields = (
                beyond(f"struct_extract({sql}, {literal(name)})", one, depth)
                for name, one in given.parts
            )
            return " or ".join(f"({one})" for one in fields if one) or None
    limit = LIMITS.get(given.kind)
    return limit and limit.replace("{}", sql)

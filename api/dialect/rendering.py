"""How a value is written where a format has no type for it.

One rendering for each type that is published (:mod:`publication.types`), at any depth of lists,
structs and maps. What else an older publication may hold is its text, in every format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.dialect.values import FLOATING
from publication.sql import identifier, literal
from publication.types import SCALARS, Type, read

if TYPE_CHECKING:
    from api.dialect.sql import Selected

MOMENT = "replace(cast({} as varchar), ' ', 'T')"

REAL = "cast(cast({} as varchar) as double)"
"""A number of 32 bits as one of 64: that of its text, which reads back as the same 32 bits. The one
that it is exactly has digits that nobody wrote: 4957.02001953125 for 4957.02."""

WRITTEN_AS = {
    "FLOAT": REAL,
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), MOMENT),
    "TIMESTAMP WITH TIME ZONE": f"{MOMENT} || ':00'",  # UTC on every connection to a publication
    "TIME": "cast({} as varchar)",
    "INTERVAL": "cast({} as varchar)",
    "BLOB": "base64({})",
}
"""What JSON and CSV have instead of a value that they have no type for: moments as ISO 8601 has
them, bytes in base64 (RFC 4648 §4), and numbers of 32 bits as :data:`REAL` has them."""

TYPED = {
    **dict.fromkeys(("INTERVAL", "UUID", "ENUM"), "VARCHAR"),
    "TIMESTAMP_S": "TIMESTAMP_MS",
    "FLOAT": "DOUBLE",
}
"""What Arrow and Parquet have instead of a type that one of them, JSON or CSV lacks. DuckDB itself
makes decimals of the largest whole numbers."""

WORDS = (("NaN", "isnan({})"), ("Infinity", "{} > 0"), ("-Infinity", "{} < 0"))
"""The numbers that are none, as PostgreSQL writes them."""


def as_json(column: Selected) -> str:
    """SQL of a column for JSON.

    A floating-point number that is none comes out as a word that JSON does not have; see
    :func:`as_strict_json`.
    """
    return _json(column.sql, read(column.type), strict=False)


def as_strict_json(column: Selected) -> str:
    """The same, with a text for every number that is none."""
    return _json(column.sql, read(column.type), strict=True)


def as_flat(column: Selected) -> str:
    """SQL of a column for CSV: as for JSON, and what is nested is JSON in a field."""
    kind = read(column.type)
    if kind.nested:
        return f"cast(to_json({as_strict_json(column)}) as varchar)"
    return _scalar(column.sql, kind) if kind.kind in WRITTEN_AS else as_typed(column)


def as_typed(column: Selected) -> str:
    """SQL of a column for formats with types of their own."""
    kind = read(column.type)
    sql, last = column.sql, kind.spelled(_same)
    for spelling in (_through, _typed):
        if (wanted := kind.spelled(spelling)) != last:
            sql, last = f"cast({sql} as {wanted})", wanted
    return sql


def _same(scalar: Type) -> str:
    return scalar.name


def _through(scalar: Type) -> str:
    """What a value becomes on its way to :data:`TYPED`: a number of 32 bits its text."""
    return "VARCHAR" if scalar.kind == "FLOAT" else scalar.name


def _typed(scalar: Type) -> str:
    return TYPED.get(scalar.kind, scalar.name) if scalar.kind in SCALARS else "VARCHAR"


def _json(sql: str, kind: Type, *, strict: bool, depth: int = 0) -> str:
    """SQL of a value as JSON writes it: the value itself, where nothing in it needs a text.

    What is nested stays typed, since DuckDB rounds the numbers of JSON inside of JSON.
    """
    element = f"e{depth}"
    match kind.kind:
        case "LIST":
            inner = _json(element, kind.parts[0][1], strict=strict, depth=depth + 1)
            if inner != element:
                return f"list_transform({sql}, lambda {element}: {inner})"
        case "MAP":
            inner = _json(element, kind.parts[1][1], strict=strict, depth=depth + 1)
            if inner != element:
                values = f"list_transform(map_values({sql}), lambda {element}: {inner})"
                return f"map(map_keys({sql}), {values})"
        case "STRUCT":
            fields = [f"struct_extract({sql}, {literal(name)})" for name, _ in kind.parts]
            inners = [
                _json(field, one, strict=strict, depth=depth)
                for field, (_, one) in zip(fields, kind.parts, strict=True)
            ]
            if inners != fields:
                packed = ", ".join(
                    f"{identifier(name)} := {inner}"
                    for (name, _), inner in zip(kind.parts, inners, strict=True)
                )
                return f"case when {sql} is not null then struct_pack({packed}) end"
        case _:
            return _scalar(sql, kind, strict=strict)
    return sql


def _scalar(sql: str, kind: Type, *, strict: bool = False) -> str:
    if strict and kind.kind in FLOATING:
        cases = " ".join(f"when {what.format(sql)} then to_json('{word}')" for word, what in WORDS)
        return f"case when isfinite({sql}) then to_json({_scalar(sql, kind)}) {cases} end"
    if kind.kind in SCALARS:
        return WRITTEN_AS.get(kind.kind, "{}").replace("{}", sql)
    return f"cast({sql} as varchar)"

"""Readers of the four formats: each cell as Python has it, by its column's DuckDB type."""

from __future__ import annotations

import csv
import io
import json
import re
from base64 import b64decode
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import duckdb
import numpy as np
import pyarrow as pa
from pyarrow import ipc, parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KINDS = {
    "json": "application/json",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}

Kinds = dict[str, Any]
"""DuckDB's types by the columns' names."""

FIELD = r'(?:"(?:[^"]|"")*"|[^",\r\n]*)'

AS_WRITTEN: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("float", "double"), float),
    "decimal": lambda value: Decimal(str(value)),
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    **dict.fromkeys(("timestamp", "timestamp_s", "timestamp_ms"), datetime.fromisoformat),
    "timestamp_ns": lambda value: np.datetime64(value, "ns").astype(int).item(),
    "timestamp with time zone": datetime.fromisoformat,
    "uuid": UUID,
    "blob": lambda value: b64decode(value, validate=True),
}
"""From JSON, and from the texts of CSV."""

AS_TYPED: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("hugeint", "uhugeint"), int),
    "uuid": UUID,
}
"""From Arrow and Parquet."""


def types_of(columns: Mapping[str, str]) -> Kinds:
    """Read the spelling of types."""
    return {name: duckdb.sqltype(kind) for name, kind in columns.items()}


def _read(value: Any, kind: Any, scalars: dict[str, Callable[[Any], Any]]) -> Any:
    if value is None:
        return None
    match kind.id:
        case "list":
            return [_read(one, kind.children[0][1], scalars) for one in value]
        case "map":
            return {
                key: _read(one, kind.children[1][1], scalars) for key, one in dict(value).items()
            }
        case "struct":
            assert list(value) == [name for name, _ in kind.children]
            return {name: _read(value[name], one, scalars) for name, one in kind.children}
    return scalars.get(kind.id, lambda value: value)(value)


def _no_constant(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def _decoded(text: bytes | str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_constant=_no_constant)


def from_json(content: bytes, kinds: Kinds) -> list[dict[str, Any]]:
    return [
        {name: _read(value, kinds[name], AS_WRITTEN) for name, value in row.items()}
        for row in _decoded(content)
    ]


def from_csv(content: bytes, kinds: Kinds) -> list[dict[str, Any]]:
    """Read RFC 4180, where a null is empty and an empty text is ``""``."""
    text = content.decode()
    # The module cannot tell an empty text from nothing, so the quotes are looked at by hand.
    records = re.findall(rf"({FIELD}(?:,{FIELD})*)\r\n", text)
    assert "".join(record + "\r\n" for record in records) == text
    table = list(csv.reader(io.StringIO(text, newline="")))
    assert len(table) == len(records)
    rows = []
    for record, values in zip(records[1:], table[1:], strict=True):
        raw = re.findall(rf"(?:^|,)({FIELD})", record)
        row: dict[str, Any] = {}
        for name, given, value in zip(table[0], raw, values, strict=True):
            kind = kinds[name]
            if given == "":
                row[name] = None
            elif kind.id in {"list", "map", "struct"}:
                row[name] = _read(_decoded(value), kind, AS_WRITTEN)
            elif kind.id.endswith(("int", "integer")):
                row[name] = int(value)
            elif kind.id == "boolean":
                row[name] = {"true": True, "false": False}[value]
            else:
                row[name] = _read(value, kind, AS_WRITTEN)
        rows.append(row)
    return rows


def from_table(table: pa.Table, kinds: Kinds) -> list[dict[str, Any]]:
    for place, (name, kind) in enumerate(kinds.items()):
        if kind.id == "timestamp_ns":  # of which Python's own moments have no nanoseconds
            assert table.schema.types[place] == pa.timestamp("ns")
            table = table.set_column(place, name, table[name].cast(pa.int64()))
    return [
        {name: _read(value, kinds[name], AS_TYPED) for name, value in row.items()}
        for row in table.to_pylist()
    ]


def read_all(contents: Mapping[str, bytes], kinds: Kinds) -> dict[str, list[dict[str, Any]]]:
    """Read the same answer in all formats, and see that both typed ones have the same types."""
    arrow = ipc.open_stream(contents["arrow"]).read_all()
    stored = parquet.read_table(io.BytesIO(contents["parquet"]))
    assert stored.schema.names == arrow.schema.names == list(kinds)
    assert stored.schema.types == arrow.schema.types
    return {
        "json": from_json(contents["json"], kinds),
        "csv": from_csv(contents["csv"], kinds),
        "arrow": from_table(arrow, kinds),
        "parquet": from_table(stored, kinds),
    }


def alike(value: Any) -> Any:
    """Make what is equal and what is not comparable: NaN is itself, and zero has two signs."""
    match value:
        case dict():
            return {name: alike(one) for name, one in value.items()}
        case list():
            return [alike(one) for one in value]
        case float():
            return ("float", repr(value))
        case datetime():
            return (value.utcoffset(), value)  # with a zone or without
        case Decimal() | int() if not isinstance(value, bool):
            return (type(value).__name__, value)
    return value


def assert_equal(
    contents: Mapping[str, bytes], kinds: Kinds, expected: list[dict[str, Any]]
) -> None:
    """See that an answer has the expected cells in every format."""
    for suffix, rows in read_all(contents, kinds).items():
        assert len(rows) == len(expected), suffix
        for row, original in zip(rows, expected, strict=True):
            assert list(row) == list(original)
            for name, value in original.items():
                assert alike(row[name]) == alike(value), (suffix, name, row[name], value)

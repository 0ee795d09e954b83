"""What is done in a process that asks DuckDB. Each function gets its cursors first."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Cursors = Sequence[duckdb.DuckDBPyConnection]
    Values = Mapping[str, object]

LONGEST_KEPT = 4096
"""Up to how many characters a query has that is kept as it was parsed: clients write part of it."""


def rows(cursors: Cursors, query: str, values: Values) -> list[tuple[Any, ...]]:
    """Run a query.

    Args:
        cursors: One.
        query: SQL, with ``$name`` for every value.
        values: The values by name; they are bound, never written into the text.

    Returns:
        Its rows.

    Raises:
        duckdb.Error: It cannot be run.
    """
    (cursor,) = cursors
    return cursor.execute(parsed(query), values).fetchall()


def array(
    cursors: Cursors, query: str, strict: str | None, values: Values, most: int
) -> tuple[int, bytes]:
    """Run a query whose rows are objects of JSON.

    Args:
        cursors: One.
        query: SQL of one column. Numbers that are none may come out as words that JSON lacks.
        strict: SQL of the same that takes longer, and writes texts for those; none if no column
            can hold one.
        values: The values of either, by name.
        most: Only so many rows are answered.

    Returns:
        How many rows there are, and the first of them with commas between.

    Raises:
        duckdb.Error: It cannot be run.
    """
    found = rows(cursors, query, values)
    joined = ",".join([text for (text,) in found[:most]])
    if strict is not None and ("NaN" in joined or "Infinity" in joined):
        # Most likely it stands in a text. To look at every number beforehand takes longer.
        found = rows(cursors, strict, values)
        joined = ",".join([text for (text,) in found[:most]])
    return len(found), joined.encode()


def pieces(cursors: Cursors, query: str, values: Values, suffix: str) -> Iterator[bytes]:
    """Write the rows of a query in a format, piece by piece.

    Args:
        cursors: One.
        query: SQL, with the columns as the format needs them.
        values: The values, by name.
        suffix: The format's.
    """
    from api.formats import FILE_FORMATS, ROWS_AT_A_TIME, written  # noqa: PLC0415 -- it takes a while, and most questions do not need it

    (cursor,) = cursors
    found = cursor.sql(query, params=values)
    yield from written(FILE_FORMATS[suffix], found.to_arrow_reader(ROWS_AT_A_TIME))


def parsed(query: str) -> duckdb.Statement:
    """Parse a query, or take it as it was parsed: that takes longer than to run a short one.

    Since values are bound, the questions that are asked are far more than their texts.
    """
    return _kept(query) if len(query) <= LONGEST_KEPT else _parse(query)


def _parse(query: str) -> duckdb.Statement:
    (statement,) = duckdb.extract_statements(query)
    return statement


_kept = lru_cache(512)(_parse)

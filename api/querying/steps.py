"""What is done in a process that asks DuckDB. Each function gets its cursors first."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import duckdb

from api.querying.parts import first

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from api.querying.parts import Part

    Cursors = Sequence[duckdb.DuckDBPyConnection]
    Values = Mapping[str, object]

LONGEST_KEPT = 4096
"""Up to how many characters a query has that is kept as it was parsed: clients write part of it."""

FETCHED = 256
"""How many rows are fetched at once where there may be more of them than are answered."""


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


def array(cursors: Cursors, query: str, strict: str | None, values: Values, most: int) -> Part:
    """Run a query whose rows are objects of JSON, as far as one answer goes.

    Args:
        cursors: One.
        query: SQL of one column. Numbers that are none may come out as words that JSON lacks.
        strict: SQL of the same that takes longer, and writes texts for those; none if no column
            can hold one.
        values: The values of either, by name.
        most: Only so many rows are answered.

    Raises:
        duckdb.Error: It cannot be run.
    """
    (cursor,) = cursors
    part = first(batches(cursor.execute(parsed(query), values)), most)
    if strict is not None and (b"NaN" in part.body or b"Infinity" in part.body):
        # Most likely it stands in a text. To look at every number beforehand takes longer.
        part = first(batches(cursor.execute(parsed(strict), values)), most)
    cursor.abort()  # what was not fetched
    return part


def batches(found: duckdb.DuckDBPyConnection) -> Iterator[list[str]]:
    """Fetch the only column of what was found, some rows at a time."""
    while fetched := found.fetchmany(FETCHED):
        yield [text for (text,) in fetched]


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

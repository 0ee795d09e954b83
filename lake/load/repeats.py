"""What becomes of a file's rows that have one key: the last wins, or they are added up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lake.errors import InputRejected
from lake.load.chunks import Rejected
from lake.load.columns import LINE, PRESENT, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb import DuckDBPyConnection

    from lake.contracts import TableContract
    from lake.load.chunks import Source
    from lake.load.columns import Columns


def last_wins(
    database: DuckDBPyConnection, contract: TableContract, source: Source
) -> Iterator[Rejected]:
    """Keep the last row of each key in ``staged``, and yield those before it as rejected.

    The source is read again for them, if there are any, so that they are kept as they were.
    """
    winners = {
        line: last for *before, last in _repeats(database, contract, LINE) for line in before
    }
    if not winners:
        return
    named = " and ".join(contract.key)
    for chunk in source.chunks():
        for row, line in enumerate(chunk.lines):
            if line in winners:
                reason = f"line {winners[line]} has the same {named} and wins"
                yield Rejected(line, reason, chunk.row(row))
    _remove(database, list(winners))


def sum_repeats(database: DuckDBPyConnection, contract: TableContract, columns: Columns) -> int:
    """Add up the rows of each key in its last row; other columns get their last value.

    A floating-point sum is exact before it is rounded (``math.fsum``), so that the order of the
    rows does not matter.

    Returns:
        How many rows were added to others.

    Raises:
        InputRejected: A sum is larger than a number can be.
    """
    lines = _repeats(database, contract, LINE)
    _bring_down(database, contract, columns)
    for name in contract.additive:
        if name not in columns.types:
            continue
        try:
            totals = [_total(values) for values in _repeats(database, contract, quoted(name))]
        except OverflowError:
            raise InputRejected(
                f"The {name} of one {', '.join(contract.key)} add up to more than a number can be: "
                "correct them and load the file again."
            ) from None
        sums = pa.table(
            {
                "line": pa.array([last for *_, last in lines], pa.int64()),
                "total": pa.array(totals, columns.types[name]),
            }
        )
        database.register("sums", sums)
        database.execute(
            f"update staged set {quoted(name)} = total from sums where {LINE} = line"  # noqa: S608 - quoted names
        )
        database.unregister("sums")
    before = [line for *before, _ in lines for line in before]
    _remove(database, before)
    return len(before)


def _bring_down(database: DuckDBPyConnection, contract: TableContract, columns: Columns) -> None:
    """Give the last row of each key the last value of every further column, and all columns."""
    merged = {PRESENT: f"list_distinct(flatten(list({PRESENT})))"} | {
        quoted(name): f"arg_max({quoted(name)}, {LINE})"  # passes over nulls
        for name in columns.types
        if name not in (*contract.key, *contract.additive)
    }
    database.execute(
        f"""
        update staged set {", ".join(f"{name} = merged.{name}" for name in merged)}
        from (
            select max({LINE}) as last, {", ".join(f"{v} as {name}" for name, v in merged.items())}
            from staged group by {", ".join(map(quoted, contract.key))} having count(*) > 1
        ) as merged
        where {LINE} = merged.last
        """  # noqa: S608 - quoted names
    )


def _repeats(
    database: DuckDBPyConnection, contract: TableContract, column: str
) -> Sequence[list[Any]]:
    """Return for each key that comes more than once a column's values in the file's order."""
    key = ", ".join(map(quoted, contract.key))
    rows = database.execute(
        f"""
        select list({column} order by {LINE}) from staged
        group by {key} having count(*) > 1 order by max({LINE})
        """  # noqa: S608 - quoted names
    ).fetchall()
    return [values for (values,) in rows]


def _total(values: Sequence[Any]) -> Any:  # noqa: ANN401 - a number of the column's own type
    numbers = [value for value in values if value is not None]
    if not numbers:
        return None
    return math.fsum(numbers) if isinstance(numbers[0], float) else sum(numbers)


def _remove(database: DuckDBPyConnection, lines: list[int]) -> None:
    database.register("gone", pa.table({"line": pa.array(lines, pa.int64())}))
    database.execute(f"delete from staged where {LINE} in (select line from gone)")  # noqa: S608 - a constant
    database.unregister("gone")

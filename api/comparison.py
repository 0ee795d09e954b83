"""What differs between two states of a mart, found in one walk through both.

Both are read in the order of the grain, some rows at a time, up to the same place in that order.
So neither is ever in memory whole, nor are the differences: those that are passed over are let go,
and a walk ends where enough is found.
"""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pyarrow as pa

from api.dialect.rendering import as_strict_json, as_typed
from api.dialect.sql import Selected
from api.dialect.values import FLOATING
from api.formats import ROWS_AT_A_TIME
from api.querying.parts import first
from api.querying.steps import batches
from publication.sql import identifier, listed, literal
from publication.types import read

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import duckdb

    from api.asking import Window
    from api.querying.parts import Part
    from publication import Column, Mart


def differences(
    cursors: Sequence[duckdb.DuckDBPyConnection],
    now: Mart,
    before: Mart,
    window: Window,
    most: int,
) -> Part:
    """Find the rows that are not in both states alike, as far as one answer goes.

    Args:
        cursors: Two on a publication, and one on another or on the same.
        now: The mart in the newer one.
        before: The mart in the older one, with a grain of the same columns and types.
        window: Which of the differences; with a limit.
        most: Only so many of them are answered.

    Returns:
        Objects of JSON in the order of the grain, with ``change``, ``key``, ``columns``, ``old``
        and ``new``. Columns that only one state has are left out.
    """
    with closing(_shown(cursors, now, before, window)) as shown:
        return first(shown, most)


def _shown(
    cursors: Sequence[duckdb.DuckDBPyConnection], now: Mart, before: Mart, window: Window
) -> Generator[list[str]]:
    """Walk through both states, and pass on what the window shows, some differences at a time."""
    reading, comparing, older = cursors
    there = {(column.name, column.type) for column in before.columns}
    common = [column for column in now.columns if (column.name, column.type) in there]
    sides = _Comparing(now.grain, common)
    passing, wanted = window.offset, window.limit or 0
    new, old = _Side(reading, sides.reading(now)), _Side(older, sides.reading(before))
    while wanted and (old.fill() + new.fill()):
        with closing(sides.step(comparing, old=old, new=new, most=passing + wanted)) as found:
            for batch in found:
                shown = batch[passing:]
                passing -= min(passing, len(batch))
                wanted -= len(shown)
                if shown:
                    yield shown


class _Side:
    """One state of a mart, read on a cursor of its own.

    Attributes:
        rows: What was read and is not compared yet.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, query: str) -> None:
        self._batches = cursor.sql(query).to_arrow_reader(ROWS_AT_A_TIME)
        self.rows = self._batches.schema.empty_table()

    def fill(self) -> int:
        """Read on, if all that was read is compared, and return how many rows there are."""
        if not len(self.rows):
            with suppress(StopIteration):
                self.rows = pa.Table.from_batches([self._batches.read_next_batch()])
        return len(self.rows)

    def take(self, count: int) -> pa.Table:
        """Take away the first rows."""
        taken, self.rows = self.rows[:count], self.rows[count:]
        return taken


class _Comparing:
    """SQL over parts of two states. Columns are ``c0``, ``c1``, …: no name of theirs disturbs."""

    def __init__(self, grain: tuple[str, ...], common: list[Column]) -> None:
        self._grain = grain
        self._common = common
        self._places = {column.name: f"c{place}" for place, column in enumerate(common)}

    def reading(self, mart: Mart) -> str:
        """SQL of a state in the order of the grain, as Arrow can have it."""
        columns = ", ".join(
            f"{as_typed(Selected(one.name, f'mart.{identifier(one.name)}', one.type))}"
            f" as {self._places[one.name]}"
            for one in self._common
        )
        order = "" if mart.sorted else f"order by {listed(mart.grain)}"
        return f"select {columns} from main.{identifier(mart.name)} as mart {order}"  # noqa: S608 -- of the contract

    def step(
        self, cursor: duckdb.DuckDBPyConnection, old: _Side, new: _Side, most: int
    ) -> Generator[list[str]]:
        """Compare the first rows of both sides, up to where what was read of one of them ends.

        The differences come some at a time, and so many at most.
        """
        ends = pa.concat_tables([old.rows[-1:], new.rows[-1:]])
        for name, rows in (("old", old.rows), ("new", new.rows), ("ends", ends)):
            cursor.register(name, rows)
        ((of_old, of_new),) = cursor.execute(self._counting()).fetchall()
        cursor.register("old", old.take(of_old))
        cursor.register("new", new.take(of_new))
        try:
            yield from batches(cursor.execute(self._differing(), [most]))
        finally:
            cursor.abort()  # what nobody wanted any more
            for name in ("old", "new", "ends"):  # the cursor is used again
                cursor.unregister(name)

    def _counting(self) -> str:
        """SQL of how many rows of each side can be compared."""
        end = f"(select min({self._key('ends')}) from temp.ends)"  # noqa: S608 -- of the contract
        old, new = (
            f"(select count(*) from temp.{side} where {self._key(side)} <= {end})"  # noqa: S608
            for side in ("old", "new")
        )
        return f"select {old}, {new}"

    def _typed(self, side: str, column: Column) -> str:
        """A value with the type that it has in the mart."""
        return f"cast({side}.{self._places[column.name]} as {column.type})"

    def _key(self, side: str) -> str:
        columns = {column.name: column for column in self._common}
        return f"row({', '.join(self._typed(side, columns[name]) for name in self._grain)})"

    def _object(self, side: str, columns: list[Column]) -> str:
        """A struct, which becomes an object of JSON."""
        if not columns:
            return "json_object()"
        pairs = (
            f"{identifier(one.name)} := "
            + as_strict_json(Selected(one.name, self._typed(side, one), one.type))
            for one in columns
        )
        return f"struct_pack({', '.join(pairs)})"

    def _differs(self, column: Column) -> str:
        """SQL of whether a value is another one. Zero has two signs, which are equal to DuckDB."""
        old, new = (f"{side}.{self._places[column.name]}" for side in ("old", "new"))
        sql = f"{old} is distinct from {new}"
        if column.type in FLOATING:
            return f"({sql} or ({old} = 0 and signbit({old}) <> signbit({new})))"
        if read(column.type).nested:  # in which there may be such numbers
            return f"({sql} or cast({old} as varchar) <> cast({new} as varchar))"
        return sql

    def _differing(self) -> str:
        """SQL of the rows that differ, each as JSON."""
        others = [column for column in self._common if column.name not in self._grain]
        grain = [column for column in self._common if column.name in self._grain]
        keys = [self._places[name] for name in self._grain]
        same = " and ".join(f"old.{key} = new.{key}" for key in keys)
        added, removed = f"old.{keys[0]} is null", f"new.{keys[0]} is null"
        differing = [
            f"case when {self._differs(one)} then {literal(one.name)} end" for one in others
        ]
        columns = f"list_filter([{', '.join(differing)}]::varchar[], lambda name: name is not null)"
        changed = " or ".join(self._differs(one) for one in others) or "false"
        return f"""
            select json_object(
                'change', case when {added} then 'added' when {removed} then 'removed'
                    else 'changed' end,
                'key', case when {removed} then {self._object("old", grain)}
                    else {self._object("new", grain)} end,
                'columns', case when {added} or {removed} then [] else {columns} end,
                'old', case when not ({added}) then {self._object("old", others)} end,
                'new', case when not ({removed}) then {self._object("new", others)} end
            )
            from temp.old full join temp.new on {same}
            where {added} or {removed} or {changed}
            order by case when {removed} then {self._key("old")} else {self._key("new")} end
            limit ?
        """  # noqa: S608 -- of the contract

"""What becomes of a file's rows that have one key: the last wins, or they are added up.

Few keys come twice, and DuckDB cannot put on disk the lists and texts that it aggregates. So the
repeated keys are found by their hashes first, and of each only numbers are gathered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from lake.contracts import SUM_LIMIT
from lake.load.chunks import Rejected
from lake.load.columns import LINE, PRESENT, literal, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

    from lake.contracts import TableContract
    from lake.load.chunks import Source
    from lake.load.columns import Columns


class Repeats:
    """The rows of the table ``staged`` that are not the only ones with their key.

    Two tables tell of them: ``repeats`` has one row per key, with the last line and what the rows
    are together; ``lines`` has one row per row.
    """

    def __init__(
        self,
        database: DuckDBPyConnection,
        contract: TableContract,
        columns: Columns,
        *,
        partial: bool,
    ) -> None:
        """Find the rows that share a key, and note in ``repeats`` and ``lines`` what they are.

        Args:
            database: Where ``staged`` is.
            contract: What the key is, and what is added up.
            columns: The columns of ``staged``.
            partial: Whether a row may lack columns that others have.
        """
        self._database = database
        self._contract = contract
        self._types = columns.types
        numbered = [(f"_{number}", name) for number, name in enumerate(columns.types)]
        further = [each for each in numbered if each[1] not in contract.key] * bool(
            contract.additive
        )
        # The columns of "repeats", by what they are made of: a sum, or the line of the last value.
        self._totals = {name: f"total{i}" for i, name in further if name in contract.additive}
        self._last = {name: f"last{i}" for i, name in further if name not in contract.additive}
        self._present = {name: f"present{i}" for i, name in further if partial}
        key = ", ".join(map(quoted, contract.key))
        gathered = [
            *(
                f"sum({_exact(name, self._types[name])}) as {total}"
                for name, total in self._totals.items()
            ),
            *(
                f"max({LINE}) filter (staged.{quoted(name)} is not null) as {last}"
                for name, last in self._last.items()
            ),
            *(
                f"bool_or(list_contains({PRESENT}, {literal(name)})) as {present}"
                for name, present in self._present.items()
            ),
        ]
        database.execute(
            f"""
            create table hashes as
            select hash({key}) as hash from staged group by all having count(*) > 1;
            create table repeats as
            select {", ".join([key, f"max({LINE}) as last", *gathered])}
            from staged where hash({key}) in (from hashes) group by {key} having count(*) > 1;
            create table lines as
            select staged.{LINE} as line, repeats.last from staged join repeats using ({key});
            """  # noqa: S608 - quoted names
        )

    def rejected(self, source: Source) -> Iterator[list[Rejected]]:
        """Take the rows out of ``staged`` that cannot be taken, and yield them as they were.

        Where the last row wins those are all before it, and else rows that add up to too much.
        The source is read again for them, if there are any.
        """
        if not self._contract.additive:
            reason = (
                f"'line ' || last || ' has the same {' and '.join(self._contract.key)} and wins'"
            )
            yield from self._taken_out("line < last", reason, source)
        for name, total in self._totals.items():
            kind = self._sql_type(name)
            unfit = f"{total} is not null and try_cast({total} as {kind}) is null"
            for condition, limit in (
                (f"abs({total}) > {SUM_LIMIT}", f"{SUM_LIMIT:,}"),
                (unfit, f"the column holds, which is a {kind}"),
            ):
                reason = literal(f"{name}: the rows with this key add up to more than {limit}")
                too_large = f"select last from repeats where {condition}"  # noqa: S608 - constants
                yield from self._taken_out(f"last in ({too_large})", reason, source)

    def _taken_out(self, condition: str, reason: str, source: Source) -> Iterator[list[Rejected]]:
        self._database.execute(
            f"""
            create or replace table lost as
            select line, {reason} as reason from lines where {condition} order by line;
            delete from staged where {LINE} in (select line from lost);
            delete from lines where line in (select line from lost);
            """  # noqa: S608 - quoted names
        )
        if not len(self._database.table("lost")):
            return
        for chunk in source.chunks():
            if not chunk.lines:
                continue
            query = "select line, reason from lost where line between ? and ?"
            ends = [chunk.lines[0], chunk.lines[-1]]
            lost = dict(self._database.execute(query, ends).fetchall())
            yield [
                Rejected(line, lost[line], chunk.row(row))
                for row, line in enumerate(chunk.lines)
                if line in lost
            ]

    def add_up(self) -> int:
        """Make one row of all rows with a key: sums, and the last value of each further column.

        Numbers are added as they are written in decimal, to 18 places: so their order does not
        matter, and 0.1 and 0.2 are 0.3.

        Returns:
            How many rows were added to others.
        """
        values = {
            quoted(name): f"cast(cast(repeats.{total} as varchar) as {self._sql_type(name)})"
            for name, total in self._totals.items()
        }
        if self._present:
            names = (
                f"if(repeats.{present}, {literal(name)}, null)"
                for name, present in self._present.items()
            )
            values[PRESENT] = f"list_distinct([{', '.join(names)}])"  # which passes over nulls
        replaced = ", ".join(f"{value} as {name}" for name, value in values.items())
        merged = f"staged.* replace ({replaced})" if replaced else "staged.*"
        self._database.execute(
            f"""
            create table merged as
            select {merged} from staged join repeats on staged.{LINE} = repeats.last
            where repeats.last in (select lines.last from lines)
            """  # noqa: S608 - quoted names
        )
        for name, last in self._last.items():
            self._database.execute(
                f"""
                update merged set {quoted(name)} = staged.{quoted(name)}
                from repeats join staged on staged.{LINE} = repeats.{last}
                where merged.{LINE} = repeats.last and repeats.{last} < repeats.last
                """  # noqa: S608 - quoted names
            )
        summed = len(self._database.table("lines")) - len(self._database.table("merged"))
        self._database.execute(
            f"""
            delete from staged where {LINE} in (select line from lines);
            insert into staged by name from merged;
            """  # noqa: S608 - constants
        )
        return summed

    def _sql_type(self, name: str) -> str:
        """Return what DuckDB calls a column's type."""
        table = self._database.table("staged")
        return str(dict(zip(table.columns, table.types, strict=True))[name])


PLACES = 18
"""Decimal places that are added up: with more of them the sums that may be would not fit."""


def _exact(name: str, kind: pa.DataType) -> str:
    """Return a number as a decimal, which can be added without rounding."""
    places = PLACES * pa.types.is_floating(kind)
    if pa.types.is_decimal(kind):
        places = min(kind.scale, PLACES)
    return f"cast(cast(staged.{quoted(name)} as varchar) as decimal(38, {places}))"

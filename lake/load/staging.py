"""The rows of one source, typed and with one row per key, in a database that spills to disk."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from lake import memory
from lake.errors import InputRejected, reason
from lake.load.cells import json_of
from lake.load.chunks import Rejected
from lake.load.columns import LINE, PRESENT, Columns, quoted
from lake.load.parse import parse
from lake.load.repeats import Repeats
from lake.progress import Progress
from lake.scan import reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from zoneinfo import ZoneInfo

    from deltalake import DeltaTable
    from duckdb import DuckDBPyConnection

    from lake.contracts import TableContract
    from lake.load.chunks import Chunk, Source
    from lake.places import Place

TOGETHER_ROWS, TOGETHER_BYTES = 200_000, 32 * 2**20
"""How many rows, or bytes of them, are inserted together: fewer at a time take longer."""

WRITTEN_ROWS = 10_000
"""How many rows delta-rs is handed at a time; it has a dozen such batches in memory."""

NOTHING_LOADED = "Nothing was loaded."

REJECTED = pa.schema(
    [
        pa.field("line", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("row", pa.string()),
    ]
)
"""The columns of ``rejected``: a row that cannot be taken, as JSON."""


class Staging:
    """One source's rows: ``staged`` those to be upserted, ``rejected`` those that cannot be.

    Attributes:
        database: Where both tables are.
        source: Where the rows come from.
        columns: The columns of ``staged``, besides its own two.
        partial: Whether a row may lack columns that others have.
        summed: How many rows were added to others of the same key.
        superseded: How many rejected rows have the key of a later one.
    """

    def __init__(
        self,
        database: DuckDBPyConnection,
        source: Source,
        contract: TableContract,
        table: pa.Schema,
        zone: ZoneInfo,
    ) -> None:
        """Read a whole source; :func:`staging` is how to make one."""
        self.database = database
        self.source = source
        self.columns = Columns(source, contract, table)
        self.partial = source.header is None
        self.summed = self.superseded = 0
        self._held: list[pa.Table] = []
        self._contract = contract
        self._zone = zone
        own = (f"{LINE} bigint", f"{PRESENT} varchar[]")
        database.execute(
            f"create table staged ({', '.join([*own, *self._definitions(self.columns.types)])})"
        )
        database.execute("create table rejected (line bigint, reason varchar, row varchar)")
        with Progress(f"{source.name}: reading") as progress:
            for chunk in source.chunks():
                self._add(chunk)
                progress.reached(chunk.share)
            self._flush()
        for name, kind in self.columns.inferred().items():
            database.execute(f"alter table staged alter {quoted(name)} type {self._sql(kind)}")
        repeats = Repeats(database, contract, self.columns, partial=self.partial)
        for rejected in repeats.rejected(source):
            self._reject(rejected)
            self.superseded += len(rejected) * (not contract.additive)
        if contract.additive:
            self.summed = repeats.add_up()
        pa.default_memory_pool().release_unused()  # what the chunks took

    def count(self, table: str) -> int:
        """Return how many rows a table of the database has."""
        return len(self.database.table(table))

    def rows(self, table: str, schema: pa.Schema) -> pa.RecordBatchReader:
        """Stream a table's rows.

        Args:
            table: A table of the database.
            schema: What they are to be; columns that the table does not have are null.
        """
        there = self.database.table(table).columns
        names = [quoted(name) if name in there else "null" for name in schema.names]
        rows = self.database.sql(f"select {', '.join(names)} from {table}")  # noqa: S608
        batches = (
            pa.RecordBatch.from_arrays(
                [c.cast(kind) for c, kind in zip(batch.columns, schema.types, strict=True)],
                schema=schema,
            )
            for batch in rows.to_arrow_reader(WRITTEN_ROWS)
        )
        return pa.RecordBatchReader.from_batches(schema, batches)

    @contextmanager
    def beside(self, name: str, place: Place, table: DeltaTable) -> Iterator[None]:
        """Have a Delta table in the database, to compare with.

        Args:
            name: What it is called there.
            place: Where the table is.
            table: The table.

        Raises:
            StoreFailed: The object store has failed.
            TableBroken: It cannot be read.
        """
        with reading(place, table) as rows:
            try:
                self.database.register(name, rows)
                yield
            finally:
                self.database.unregister(name)

    def _sql(self, kind: pa.DataType) -> str:
        """Return what DuckDB calls an Arrow type."""
        empty = pa.schema([pa.field("value", kind)]).empty_table()
        return str(self.database.from_arrow(empty).types[0])

    def _definitions(self, names: Iterable[str]) -> list[str]:
        """Return columns as they stand in the definition of a table."""
        return [f"{quoted(name)} {self._sql(self.columns.types[name])}" for name in names]

    def _add(self, chunk: Chunk) -> None:
        """Type a chunk's rows, and stage or reject each."""
        for definition in self._definitions(self.columns.admit(chunk.columns)):
            self.database.execute(f"alter table staged add column {definition}")
        arrays, reasons = self._typed(chunk)
        rejected = [
            Rejected(chunk.lines[row], "; ".join(reasons[row]), chunk.row(row))
            for row in sorted(reasons)
        ]
        self._reject([*chunk.broken, *rejected])
        present: Sequence[Sequence[str] | None] = [None] * len(chunk.lines)
        if chunk.present is not None:
            named = self.columns.named
            present = [[named[name] for name in names] for names in chunk.present]
        columns = {
            LINE: pa.array(chunk.lines, pa.int64()),
            PRESENT: pa.array(present, pa.list_(pa.string())),
        }
        rows = pa.table(columns | arrays)
        if reasons:
            rows = rows.filter(pa.array([row not in reasons for row in range(len(rows))]))
        self._stage(rows)

    def _typed(self, chunk: Chunk) -> tuple[dict[str, pa.Array], dict[int, list[str]]]:
        """Return a chunk's columns, and by row the reasons why it cannot be taken."""
        key = self._contract.key
        arrays: dict[str, pa.Array] = {}
        reasons: dict[int, list[str]] = {}
        empty: Sequence[object] = [None] * len(chunk.lines)
        given = {self.columns.named[name]: cells for name, cells in chunk.columns.items()}
        for name in dict.fromkeys((*given, *key)):
            cells = self.columns.staged(name, given.get(name, empty))
            kind = self.columns.types[name]
            arrays[name], misfits = parse(
                cells, kind, self._zone, key=name in key, additive=name in self._contract.additive
            )
            if name in key:
                misfits = (
                    dict.fromkeys(_blank(arrays[name]), "empty, but every row needs one") | misfits
                )
            for row, misfit in misfits.items():
                reasons.setdefault(row, []).append(f"{name}: {misfit}")
        return arrays, reasons

    def _stage(self, rows: pa.Table) -> None:
        """Hold rows back until there are enough to be inserted together."""
        self._held.append(rows)
        there = sum(map(len, self._held))
        if there >= TOGETHER_ROWS or sum(held.nbytes for held in self._held) >= TOGETHER_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Insert the rows that are held back."""
        if self._held:
            self._insert("staged", pa.concat_tables(self._held, promote_options="default"))
            self._held.clear()

    def _insert(self, table: str, rows: pa.Table) -> None:
        self.database.register("rows", rows)
        self.database.execute(f"insert into {table} by name select * from rows")  # noqa: S608 - one of two names
        self.database.unregister("rows")

    def _reject(self, rejected: Sequence[Rejected]) -> None:
        if rejected:
            rows = [
                {"line": each.line, "reason": each.reason, "row": json_of(each.row)}
                for each in rejected
            ]
            self._insert("rejected", pa.Table.from_pylist(rows, REJECTED))


@contextmanager
def staging(
    source: Source, contract: TableContract, table: pa.Schema, zone: ZoneInfo
) -> Iterator[Staging]:
    """Read a source into a temporary database, which is removed at the end.

    Args:
        source: Where the rows come from.
        contract: The contract of the table it is meant for.
        table: The columns that the table has; they decide the types.
        zone: The time zone in which timestamps get their dates.

    Raises:
        InputRejected: The source cannot be read whole, or DuckDB cannot sort it out.
        OutOfRoom: The memory or the disk is too small to sort it out.
    """
    with memory.database(source.place, NOTHING_LOADED) as database:
        try:
            yield Staging(database, source, contract, table, zone)
        except memory.NO_ROOM:
            raise
        except duckdb.Error as error:
            raise InputRejected(
                f"{source.place} cannot be sorted out ({reason(error)}): put right what that is "
                f"about, and load it again. {NOTHING_LOADED}"
            ) from error


def _blank(array: pa.Array) -> list[int]:
    """Return the indexes of the cells that are empty or of nothing but white space."""
    empty = pc.is_null(array)
    if pa.types.is_string(array.type):
        empty = pc.or_kleene(empty, pc.equal(pc.utf8_trim_whitespace(array), ""))
    return list(pc.indices_nonzero(empty).to_pylist())

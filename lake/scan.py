"""How a Delta table is read: the fastest way that is right for its reader features.

A plain table becomes a PyArrow dataset: DuckDB pushes projections and filters into it. That
reader knows neither deletion vectors nor column mapping, so a table that uses them goes through
delta-rs' own engine (DataFusion), which does. A feature that neither knows is named in an error;
nothing is ever read on the hope that it will be right. The features are those of
https://github.com/delta-io/delta/blob/master/PROTOCOL.md#valid-feature-names-in-table-features.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from deltalake import QueryBuilder
from deltalake.exceptions import DeltaError
from deltalake.schema import PrimitiveType
from pyarrow.fs import FileSystem, LocalFileSystem, PyFileSystem, SubTreeFileSystem

from lake import tables
from lake.dataset import dataset
from lake.errors import TableBroken
from lake.failures import failed
from lake.memory import NO_ROOM
from lake.properties import columns_are_mapped
from lake.store_files import StoreFiles, Watch, watch_over

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from deltalake import DeltaTable

    from lake.places import Place

DATASET_FEATURES = frozenset({"timestampNtz"})
"""Features that a PyArrow dataset reads right."""

ENGINE_FEATURES = DATASET_FEATURES | {
    "columnMapping",
    "deletionVectors",
    "v2Checkpoint",
    "vacuumProtocolCheck",
}
"""Features that delta-rs' own engine reads right."""

ENGINE_CONFIG = {"datafusion.execution.parquet.coerce_int96": "us"}
"""Spark's INT96 timestamps overflow in nanoseconds before 1677 and after 2262."""


class EngineScan:
    """A Delta table as DataFusion reads it: an Arrow stream that can be read again and again.

    Implements the Arrow PyCapsule interface
    (https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html), which is how
    DuckDB reads it. The engine prunes nothing for DuckDB: every read is a whole scan.
    """

    def __init__(
        self, table: DeltaTable, added: Sequence[pa.Field], watch: Watch | None = None
    ) -> None:
        """Prepare the scan; nothing is read yet.

        Args:
            table: The table at its pinned version.
            added: Columns the table does not have, to be read as nulls.
            watch: Where failures are told, if it is in an object store.
        """
        self._table = table
        self._added = added
        self._watch = watch
        self._query = f"select {', '.join(_columns(table))} from scan"  # noqa: S608 - quoted names
        with self._read() as reader:
            self.schema = reader.schema

    def _read(self) -> pa.RecordBatchReader:
        engine = QueryBuilder(ENGINE_CONFIG).register("scan", self._table)
        try:
            reader = pa.RecordBatchReader.from_stream(engine.execute(self._query))
        except (DeltaError, OSError) as error:
            if self._watch is None:
                raise
            raise self._watch.noted(error, "A deletion vector") from None
        if self._watch is not None:
            batches = self._watch.batches(reader)
            reader = pa.RecordBatchReader.from_batches(reader.schema, batches)
        return _with_nulls(reader, self._added)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Start reading from the first row and hand out the stream's capsule."""
        return self._read().__arrow_c_stream__(requested_schema)


def _columns(table: DeltaTable) -> Iterator[str]:
    """Yield a table's columns as the engine selects them.

    An empty partition value is null, whatever its type
    (https://github.com/delta-io/delta/blob/master/PROTOCOL.md#partition-value-serialization). The
    engine knows that of all types but text.
    """
    partitions = table.metadata().partition_columns
    for field in table.schema().fields:
        name = tables.quoted(field.name)
        text = field.name in partitions and field.type == PrimitiveType("string")
        yield f"nullif({name}, '') as {name}" if text else name


def _with_nulls(reader: pa.RecordBatchReader, added: Sequence[pa.Field]) -> pa.RecordBatchReader:
    if not added:
        return reader
    schema = pa.schema([*reader.schema, *added])
    return pa.RecordBatchReader.from_batches(
        schema,
        (
            pa.RecordBatch.from_arrays(
                [*batch.columns, *(pa.nulls(len(batch), field.type) for field in added)],
                schema=schema,
            )
            for batch in reader
        ),
    )


def features(table: DeltaTable) -> frozenset[str]:
    """Name the reader features of a table, those of the numbered protocol versions included.

    Reader version 2 means column mapping *may* be used: only its mode tells whether it is.
    """
    used = frozenset(table.protocol().reader_features or ())
    mapped = columns_are_mapped(table.metadata().configuration)
    return used | {"columnMapping"} if mapped else used


def scan(
    place: Place,
    table: DeltaTable,
    added: Sequence[pa.Field] = (),
    watch: Watch | None = None,
) -> Any:  # noqa: ANN401 -- PyArrow has no types
    """Return an object that DuckDB can register and read many times, from many threads.

    Args:
        place: Where the table is.
        table: The table at its pinned version.
        added: Columns the table does not have, to be read as nulls.
        watch: Where failures while it is read are told, for whoever asks.

    Raises:
        TableBroken: The table uses a feature that no reader here understands.
    """
    used = features(table)
    if unknown := used - ENGINE_FEATURES:
        raise TableBroken(
            f"The Delta table at {place} uses {', '.join(sorted(unknown))}, which no "
            "reader here understands: have its writer turn that feature off."
        )
    watch = watch or watch_over(place)
    if used - DATASET_FEATURES:
        return EngineScan(table, added, watch)
    return dataset(table, files_of(place, table, watch), added)


def files_of(
    place: Place, table: DeltaTable, watch: Watch | None, further: Mapping[str, int] | None = None
) -> FileSystem:
    """Return the files of a table.

    On this machine PyArrow reads them itself: delta-rs' files would take Python's lock at each
    read, and twice as long where there are many.

    Args:
        place: Where the table is.
        table: The table at its version.
        watch: Where failures are told, if it is in an object store.
        further: The sizes of files that are not of that version, by their paths.
    """
    if place.folder is not None:
        return SubTreeFileSystem(str(place.folder.absolute()), LocalFileSystem())
    return PyFileSystem(StoreFiles(table, watch or Watch(place), further))


@contextmanager
def reading(place: Place, table: DeltaTable) -> Iterator[Any]:
    """Scan a table, and turn what goes wrong while DuckDB reads it into one sentence.

    Args:
        place: Where the table is.
        table: The table.

    Yields:
        What :func:`scan` returns.

    Raises:
        StoreFailed: The object store has failed.
        TableBroken: The table cannot be read.
    """
    watch = watch_over(place)
    try:
        yield scan(place, table, watch=watch)
    except NO_ROOM:
        raise  # in DuckDB's own database, whatever the table is like
    except (duckdb.Error, DeltaError, pa.ArrowException) as error:
        if watch is not None and watch.failure is not None:
            raise watch.failure from None
        raise failed(f"The Delta table in {place}", place, error) from error

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
from pyarrow.dataset import ParquetReadOptions

from lake.errors import TableBroken, reason
from lake.places import local_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deltalake import DeltaTable

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


NO_ROOM = (
    duckdb.IOException,
    duckdb.TransactionException,
    duckdb.FatalException,
    duckdb.OutOfMemoryException,
)
"""What DuckDB raises where the disk or the memory it may use is full, even if only at a commit."""


class EngineScan:
    """A Delta table as DataFusion reads it: an Arrow stream that can be read again and again.

    Implements the Arrow PyCapsule interface
    (https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html), which is how
    DuckDB reads it. The engine prunes nothing for DuckDB: every read is a whole scan.
    """

    def __init__(self, table: DeltaTable, added: Sequence[pa.Field]) -> None:
        """Prepare the scan; nothing is read yet.

        Args:
            table: The table at its pinned version.
            added: Columns the table does not have, to be read as nulls.
        """
        self._table = table
        self._added = added
        with self._read() as reader:
            self.schema = reader.schema

    def _read(self) -> pa.RecordBatchReader:
        nulls = pa.schema(self._added)
        engine = QueryBuilder(ENGINE_CONFIG).register("scan", self._table)
        stream = engine.execute("select * from scan")
        reader = pa.RecordBatchReader.from_stream(stream)
        if not self._added:
            return reader
        schema = pa.schema([*reader.schema, *nulls])
        return pa.RecordBatchReader.from_batches(
            schema,
            (
                pa.RecordBatch.from_arrays(
                    [*batch.columns, *(pa.nulls(len(batch), field.type) for field in nulls)],
                    schema=schema,
                )
                for batch in reader
            ),
        )

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Start reading from the first row and hand out the stream's capsule."""
        return self._read().__arrow_c_stream__(requested_schema)


def features(table: DeltaTable) -> frozenset[str]:
    """Name the reader features of a table, those of the numbered protocol versions included.

    Reader version 2 means column mapping *may* be used: only its mode tells whether it is.
    """
    used = frozenset(table.protocol().reader_features or ())
    mapped = table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none"
    return used | {"columnMapping"} if mapped else used


def scan(table: DeltaTable, added: Sequence[pa.Field] = ()) -> Any:  # noqa: ANN401 -- PyArrow has no types
    """Return an object that DuckDB can register and read many times, from many threads.

    Args:
        table: The table at its pinned version.
        added: Columns the table does not have, to be read as nulls.

    Raises:
        TableBroken: The table uses a feature that no reader here understands.
    """
    used = features(table)
    if unknown := used - ENGINE_FEATURES:
        raise TableBroken(
            f"The Delta table at {table.table_uri} uses {', '.join(sorted(unknown))}, which no "
            "reader here understands: have its writer turn that feature off."
        )
    if used - DATASET_FEATURES:
        return EngineScan(table, added)
    options = ParquetReadOptions(coerce_int96_timestamp_unit="us")  # as in ENGINE_CONFIG
    dataset = table.to_pyarrow_dataset(parquet_read_options=options)
    return dataset.replace_schema(pa.schema([*dataset.schema, *added])) if added else dataset


@contextmanager
def reading(table: DeltaTable) -> Iterator[None]:
    """Turn what goes wrong while DuckDB reads a table into one sentence.

    Raises:
        TableBroken: The table cannot be read.
    """
    try:
        yield
    except NO_ROOM:
        raise  # in DuckDB's own database, whatever the table is like
    except (duckdb.Error, DeltaError, pa.ArrowException) as error:
        raise TableBroken(
            f"The Delta table in {local_folder(table.table_uri)} cannot be read "
            f"({reason(error)}): restore it from a backup, or remove it and load it anew."
        ) from error

"""How a Delta table is read: the fastest way that is right for its reader features.

A plain table becomes a PyArrow dataset: DuckDB pushes projections and filters into it. That
reader knows neither deletion vectors nor column mapping, so a table that uses them goes through
delta-rs' own engine (DataFusion), which does. A feature that neither knows is named in an error;
nothing is ever read on the hope that it will be right. The features are those of
https://github.com/delta-io/delta/blob/master/PROTOCOL.md#valid-feature-names-in-table-features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import QueryBuilder
from pyarrow.dataset import ParquetReadOptions

from lake.errors import TableBroken

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        engine = QueryBuilder(ENGINE_CONFIG).register("scan", self._table)
        stream = engine.execute("select * from scan")
        return with_nulls(pa.RecordBatchReader.from_stream(stream), self._added)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Start reading from the first row and hand out the stream's capsule."""
        return self._read().__arrow_c_stream__(requested_schema)


def with_nulls(reader: pa.RecordBatchReader, added: Sequence[pa.Field]) -> pa.RecordBatchReader:
    """Read a stream with further columns that are null in every row.

    Args:
        reader: Read once, batch by batch.
        added: The columns to add behind the stream's own.
    """
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

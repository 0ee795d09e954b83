"""Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import InputRejected
from lake.load.chunks import ROWS, Chunk
from lake.load.input_file import InputFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BUFFER = 2**20
"""Bytes of each column that are read ahead. Without it a whole row group is in memory."""

WIDENED: dict[pa.DataType, pa.DataType | None] = {
    pa.null(): None,
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
}
"""The next larger type of what Delta does not have."""

KINDS: tuple[tuple[Callable[[pa.DataType], bool], pa.DataType | None], ...] = (
    (pa.types.is_boolean, None),
    (pa.types.is_integer, None),
    (pa.types.is_floating, None),
    (pa.types.is_decimal128, None),
    (pa.types.is_date, pa.date32()),
    (pa.types.is_timestamp, pa.timestamp("us", "UTC")),
    (pa.types.is_binary, pa.binary()),
    (pa.types.is_large_binary, pa.binary()),
    (pa.types.is_fixed_size_binary, pa.binary()),
)
"""What Delta has a type for; ``None`` stays as it is."""


class ParquetFile(InputFile):
    """A Parquet file. A new column keeps its type, as far as Delta has it."""

    def __init__(self, path: Path) -> None:
        """Read the schema.

        Raises:
            InputRejected: It is no Parquet file, or has no columns.
        """
        super().__init__(path)
        try:
            with self._open() as parquet:
                self._schema: pa.Schema = parquet.schema_arrow
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from None
        self.header = list(self._schema.names)
        if not self.header:
            raise InputRejected(f"{path} has no columns: write it anew from rows that have some.")

    def type_of(self, column: str) -> pa.DataType | None:
        """Return Delta's type for a column, ``None`` for one without any values."""
        return delta_type(self._schema.field(column).type)

    def chunks(self) -> Iterator[Chunk]:
        """Read the file from its start."""
        start = 1
        try:
            with self._open() as parquet:
                total = max(parquet.metadata.num_rows, 1)
                for batch in parquet.iter_batches(ROWS):
                    stop = start + batch.num_rows
                    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                    yield Chunk(range(start, stop), columns, stop / total)
                    start = stop
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from None

    def _open(self) -> pq.ParquetFile:
        """Open the file, to be read piece by piece.

        INT96 timestamps, which Spark writes, have more years than there are nanoseconds for.
        """
        return pq.ParquetFile(
            self.path,
            coerce_int96_timestamp_unit="us",
            pre_buffer=False,
            buffer_size=BUFFER,
        )

    def _unreadable(self, error: Exception) -> InputRejected:
        reason = str(error).splitlines()[0].rstrip(".")
        return InputRejected(f"{self.path} cannot be read as Parquet: {reason}.")


def delta_type(arrow: pa.DataType) -> pa.DataType | None:
    """Return the type in which Delta Lake keeps an Arrow type.

    A timestamp becomes an instant (one without a zone is taken in the configured zone), whole
    numbers keep their values, and what Delta cannot hold in a column that may grow, such as a
    structure, becomes JSON text.

    See https://github.com/delta-io/delta/blob/master/PROTOCOL.md#primitive-types.
    """
    if pa.types.is_dictionary(arrow):
        return delta_type(arrow.value_type)
    if arrow in WIDENED:
        return WIDENED[arrow]
    return next((kept or arrow for is_kind, kept in KINDS if is_kind(arrow)), pa.string())

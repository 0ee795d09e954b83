"""The formats that a mart is answered in, and who writes those that JSON is not."""

from __future__ import annotations

import io
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
from pyarrow import csv, parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer

ROWS_AT_A_TIME = 65_536
"""How many rows are in memory at once; in Parquet, the size of a row group."""


class Format(msgspec.Struct, frozen=True):
    """A format.

    Attributes:
        suffix: What a file's name ends with, after a dot.
        media_type: As it stands in ``Accept`` and ``Content-Type``.
    """

    suffix: str
    media_type: str


class FileFormat(Format, frozen=True):
    """A format that is written piece by piece and has no limit.

    Attributes:
        writer: Opens what writes batches of rows into a file.
        typed: Whether it has types; in one without them everything is a text.
    """

    writer: Callable[[Any, pa.Schema], Any]
    typed: bool = True


JSON = Format("json", "application/json")

PLAIN_DIGITS = 6
"""With how many digits behind the point Arrow writes every decimal plainly; with more it writes
small ones with an exponent (0E-10)."""


class _CsvWriter:
    """Writes CSV (RFC 4180): a field without a value is empty, and an empty text is ``""``."""

    def __init__(self, file: Any, schema: pa.Schema) -> None:  # noqa: ANN401 -- as pyarrow takes it
        self._plain = [
            place
            for place, field in enumerate(schema)
            if pa.types.is_decimal(field.type) and field.type.scale > PLAIN_DIGITS
        ]
        for place in self._plain:
            schema = schema.set(place, schema.field(place).with_type(pa.string()))
        self._writer = csv.CSVWriter(file, schema, write_options=csv.WriteOptions(eol="\r\n"))

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Write some rows."""
        for place in self._plain:
            field = batch.schema.field(place).with_type(pa.string())
            batch = batch.set_column(place, field, _plainly(batch.column(place)))
        self._writer.write_batch(batch)

    def close(self) -> None:
        """End the file."""
        self._writer.close()


def _plainly(decimals: pa.Array) -> pa.Array:
    """Write decimals without an exponent."""
    texts = decimals.cast(pa.string())
    data = texts.buffers()[-1]
    if data is None or b"E" not in data.to_pybytes():
        return texts
    plain = [f"{Decimal(one):f}" if one and "E" in one else one for one in texts.to_pylist()]
    return pa.array(plain, pa.string())


CSV = FileFormat("csv", "text/csv", _CsvWriter, typed=False)

ARROW = FileFormat("arrow", "application/vnd.apache.arrow.stream", pa.ipc.new_stream)

PARQUET = FileFormat(
    "parquet",
    "application/vnd.apache.parquet",
    lambda file, schema: parquet.ParquetWriter(file, schema, compression="zstd"),
)

FILE_FORMATS = {one.suffix: one for one in (CSV, ARROW, PARQUET)}
FORMATS: dict[str, Format] = {JSON.suffix: JSON, **FILE_FORMATS}
"""By suffix."""


class _Written(io.RawIOBase):
    """A file that is taken away while it is written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._length

    def write(self, data: Buffer, /) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._length += len(part)
        return len(part)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def written(kind: FileFormat, batches: pa.RecordBatchReader) -> Iterator[bytes]:
    """Write rows in a format, piece by piece. Blocks.

    Args:
        kind: The format.
        batches: The rows.
    """
    file = _Written()
    with closing(kind.writer(file, batches.schema)) as writer:
        for batch in batches:
            # Copied, because what lies in memory where a value is null differs each time.
            writer.write_batch(batch.take(pa.array(range(batch.num_rows), pa.int32())))
            if piece := file.take():
                yield piece
    yield file.take()

"""Which reader a file needs, by what its name ends in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lake.errors import InputRejected
from lake.load.csv_file import CsvFile
from lake.load.ndjson_file import NdjsonFile
from lake.load.parquet_file import ParquetFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lake.load.chunks import Source

READERS: dict[str, Callable[[Path], Source]] = {
    ".csv": CsvFile,
    ".csv.gz": CsvFile,
    ".ndjson": NdjsonFile,
    ".ndjson.gz": NdjsonFile,
    ".jsonl": NdjsonFile,
    ".jsonl.gz": NdjsonFile,
    ".parquet": ParquetFile,
}
"""The reader of every ending that is known."""


def open_file(path: Path) -> Source:
    """Open a file to load.

    Raises:
        InputRejected: Its kind is not known, or it cannot be read.
    """
    for ending, reader in READERS.items():
        if path.name.lower().endswith(ending):
            try:
                return reader(path)
            except OSError as error:
                raise InputRejected(f"{path} cannot be read: {error.strerror}.") from None
    raise InputRejected(
        f"{path} is of no kind that can be loaded: its name must end in {', '.join(READERS)}."
    )

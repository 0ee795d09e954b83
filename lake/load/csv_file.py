"""Comma-separated files (RFC 4180), with a header, in UTF-8 with or without a byte order mark."""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING

import pyarrow as pa

from lake.errors import InputRejected
from lake.load.chunks import ROWS, Chunk, Rejected
from lake.load.input_file import InputFile
from lake.load.octets import reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


CELL_LIMIT = 16 * 2**20
"""How many characters a cell may have; Python's own limit is 131,072."""


class CsvFile(InputFile):
    """A CSV file. Every new column is text; an empty cell is empty, quoted or not."""

    def __init__(self, path: Path) -> None:
        """Read the header.

        Raises:
            InputRejected: There is none, or a column has no name.
        """
        super().__init__(path)
        with reading(path) as octets, _text(octets.stream) as text:
            _, names = next(iter(_Records(path, text)), (1, []))
        if isinstance(names, Rejected):
            raise InputRejected(f"{path} has a header that cannot be read: {names.reason}.")
        if not names:
            raise InputRejected(f"{path} is empty: its first line must name the columns.")
        if len(names) == 1 and (other := next((sign for sign in ";\t|" if sign in names[0]), None)):
            raise InputRejected(
                f"{path} has {other!r} between its cells where a comma must be: save it with "
                "commas, and with a point in decimal numbers."
            )
        self.header = [name.strip() for name in names]
        if "" in self.header:
            raise InputRejected(
                f"{path} has no name for column {self.header.index('') + 1} in its header: "
                "name it, or take the column out."
            )

    def type_of(self, column: str) -> pa.DataType | None:
        """Return text, whatever the column."""
        del column
        return pa.string()

    def chunks(self) -> Iterator[Chunk]:
        """Read the file from its start."""
        names = self.header or ()
        with reading(self.path) as octets, _text(octets.stream) as text:
            records = iter(_Records(self.path, text))
            next(records)
            lines: list[int] = []
            rows: list[list[str]] = []
            broken: list[Rejected] = []

            def chunk() -> Chunk:
                columns = zip(*rows, strict=True) if rows else ((),) * len(names)
                cells = ([cell or None for cell in column] for column in columns)
                return Chunk(
                    lines, dict(zip(names, cells, strict=True)), octets.share, None, broken
                )

            for line, cells in records:
                if isinstance(cells, Rejected):
                    broken.append(cells)
                elif len(cells) == len(names):
                    lines.append(line)
                    rows.append(cells)
                else:
                    reason = f"{len(cells)} cells where the header has {len(names)}"
                    broken.append(Rejected(line, reason, cells))
                if len(rows) + len(broken) >= ROWS:
                    yield chunk()
                    lines, rows, broken = [], [], []
            yield chunk()


def _text(stream: IO[bytes]) -> io.TextIOWrapper:
    return io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")


class _Records:
    """The records of a CSV file with the line each starts on, blank lines left out."""

    def __init__(self, path: Path, text: io.TextIOWrapper) -> None:
        self._path = path
        self._text = text
        self._taken: list[str] = []

    def _lines(self) -> Iterator[str]:
        """Hand on the file's lines, and keep those of the record being read."""
        for line in self._text:
            self._taken.append(line)
            yield line

    def __iter__(self) -> Iterator[tuple[int, list[str] | Rejected]]:
        """Yield each record's cells, or why it has none."""
        csv.field_size_limit(CELL_LIMIT)
        reader = csv.reader(self._lines(), strict=True)
        while True:
            self._taken.clear()
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, self._unreadable(line, str(error))
            else:
                if cells:
                    yield line, cells

    def _unreadable(self, line: int, error: str) -> Rejected:
        """Reject the record that was being read, unless nobody can tell where it ends."""
        record = "".join(self._taken)
        too_large = error.startswith("field larger")
        if error == "unexpected end of data" or (too_large and record.count('"') % 2):
            raise InputRejected(
                f"{self._path}, line {line}: a quoted cell opens there and does not close "
                f"(within {CELL_LIMIT:,} characters): close it, and write a quote within a quoted "
                "cell twice."
            )
        if too_large:
            return Rejected(line, f"a cell has more than {CELL_LIMIT:,} characters", record)
        return Rejected(line, f"its quotes cannot be read: {error}", record)

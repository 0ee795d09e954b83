"""Rows on their way into a table, some at a time, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from lake.load.parse import values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROWS = 50_000
"""How many rows are read at a time, which bounds the memory."""


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be taken.

    Attributes:
        line: Where it starts in the file; see :class:`Chunk`.
        reason: Why, for a person to read.
        row: The row as it was: an object of its cells by column, a list of its cells where they
            do not match the columns, or its text where there are no cells to tell apart.
    """

    line: int
    reason: str
    row: Any


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows, column by column.

    Attributes:
        lines: Where each row starts, 1 being the first line of the file. A header counts, and so
            do blank lines and those within a quoted cell. In Parquet it is the row's number.
        columns: The cells by column: Python values, ``None`` being an empty cell, or Arrow.
        share: How much of the source is read with this chunk, from 0 to 1.
        present: For each row the columns it has, where they differ from row to row.
        broken: What stood among these rows and could not be taken apart into cells.
    """

    lines: Sequence[int]
    columns: dict[str, Sequence[object] | pa.Array]
    share: float
    present: Sequence[Sequence[str]] | None = None
    broken: Sequence[Rejected] = field(default_factory=list)

    def row(self, index: int) -> dict[str, Any]:
        """Return one row as it was, for a person to look at."""
        return {
            name: values_of(cells[index : index + 1])[0]
            if isinstance(cells, pa.Array)
            else cells[index]
            for name, cells in self.columns.items()
            if self.present is None or name in self.present[index]
        }


class Source(Protocol):
    """What rows come from, such as a file.

    Attributes:
        place: What an error calls it, such as a file's path.
        name: What it is called in short.
        header: Its columns, or ``None`` where only its rows tell.
    """

    place: str
    name: str
    header: Sequence[str] | None

    def type_of(self, column: str) -> pa.DataType | None:
        """Return the type of an attribute column that is new; ``None`` if its values decide."""

    def digest(self) -> str | None:
        """Return what names its content as a whole; ``None`` if each row stands for itself."""

    def chunks(self) -> Iterator[Chunk]:
        """Read it from its start.

        Raises:
            InputRejected: It cannot be read on.
        """

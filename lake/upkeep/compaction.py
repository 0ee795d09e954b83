"""Fewer and larger files: each load leaves small ones, and every read opens all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lake import int96, tables
from lake.upkeep.found import reading, refuse_foreign

if TYPE_CHECKING:
    from lake.upkeep.found import Found


@dataclass(frozen=True)
class Compacted:
    """What became of a table's files.

    Attributes:
        before: How many there were.
        after: How many there are.
        version: The version that was made; ``None`` where there was nothing to do.
    """

    before: int
    after: int
    version: int | None


def compact(found: Found) -> Compacted:
    """Write small files of a table together, in one commit that changes no row.

    Readers of the change data feed see nothing of it. The small files stay until the table is
    vacuumed: older versions are made of them.

    Args:
        found: The table.

    Raises:
        TableBusy: Another writer replaced some of the files meanwhile; nothing has been written.
        StoreFailed: The object store has failed.
        TableBroken: The table cannot be read or written, or not without harm.
    """
    with reading(found):
        refuse_foreign(found, "compacted")
        what = f"The Delta table {found.name} at {found.place}"
        int96.refuse(what, found.place, found.table, "compacted")
        before = len(found.table.file_uris())
    removed, added = tables.compact(found.place, found.table)
    version = found.table.version() if removed else None
    return Compacted(before, before - removed + added, version)

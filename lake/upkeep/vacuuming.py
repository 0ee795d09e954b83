"""Removes the files that no recent version of a table needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyarrow.fs import FileSelector, FileType

from lake import tables
from lake.upkeep.found import reading, refuse_foreign

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from lake.upkeep.found import Found


@dataclass(frozen=True)
class Vacuumed:
    """What was removed, or would be.

    Attributes:
        files: How many files.
        size: How many bytes they had together.
    """

    files: int
    size: int


def vacuum(found: Found, hours: int, *, dry_run: bool) -> Vacuumed:
    """Remove a table's files that were taken out of it, or left by a writer that died, long ago.

    That is delta-rs' full vacuum: the other one leaves what no commit ever named, and all of the
    change data feed. Two commits tell of it, and none where there is nothing to remove. The log
    itself stays as it is.

    Args:
        found: The table.
        hours: How long ago; see :func:`lake.upkeep.retention.retention`.
        dry_run: Whether nothing is to be removed.

    Raises:
        StoreFailed: The object store has failed.
        TableBroken: The table cannot be read or written, or not without harm.
    """
    with reading(found, "vacuumed"):
        refuse_foreign(found, "vacuumed")
        sizes = _sizes(found)
        named = _vacuum(found.table, hours, dry_run=True)
        there = sizes.keys() & named  # it also names what an earlier vacuum has removed
        if there and not dry_run:
            _vacuum(found.table, hours, dry_run=False)
            there = sizes.keys() - _sizes(found).keys()
    return Vacuumed(len(there), sum(sizes[path] for path in there))


def _vacuum(table: DeltaTable, hours: int, *, dry_run: bool) -> set[str]:
    # What is too short was refused before, with the table's name and a way out.
    return set(table.vacuum(hours, dry_run, enforce_retention_duration=False, full=True))


def _sizes(found: Found) -> dict[str, int]:
    """Return the bytes of each of a table's files, by its path."""
    files = tables.files(found.place, found.table)
    listed = files.get_file_info(FileSelector("", recursive=True))
    return {file.path: file.size for file in listed if file.type == FileType.File}

"""Which version of a Delta table is meant: a number, the latest, or that of a moment.

The version of a moment is the one before the first commit after it: no later commit can change
what a moment means, even if its writer's clock is behind. Delta's own engines reckon so too. The
times are those that the commits themselves tell (:mod:`lake.commits`). delta-rs, asked to open a
table at a moment, goes by when the files of the log were modified: a copy, a sync or a restored
backup changes that, and a moment before the first commit gives it version 0.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lake import commits
from lake.errors import TableMissing
from lake.places import time_zone

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from lake.places import Place

LATEST = "latest"

EMPTY = "empty"
"""Not a version but none: the table is read as if nobody had loaded it yet."""


def resolve(place: Place, table: DeltaTable, name: str, asked: str) -> int:
    """Return the number of the version that is asked for.

    Args:
        place: Where the table is.
        table: The table, open at its newest version.
        name: What it is called, for the error's sentence.
        asked: A whole number, ``latest``, or a date or a moment as ISO 8601 writes them. A date
            is its first moment; without a zone that is in ``LEADMARTS_TIMEZONE``, and of an hour
            that the clocks repeat, the first.

    Raises:
        TableMissing: It is neither, or the table has no such version.
        PlaceInvalid: There is no such time zone.
        OSError, ValueError: The log cannot be read.
    """
    newest = table.version()
    if asked == LATEST:
        return newest
    if not (asked.isascii() and asked.isdecimal()):
        return _at(place, table, name, asked)
    if int(asked) > newest:
        raise TableMissing(
            f"The Delta table {name} at {place} has no version {asked}: give a whole number from "
            f"0 to {newest}, or '{LATEST}'."
        )
    return int(asked)


def _at(place: Place, table: DeltaTable, name: str, asked: str) -> int:
    """Return the version that was the newest one at a moment."""
    moment = _moment(asked)
    if moment is None:
        raise TableMissing(
            f"'{asked}' is no version of the Delta table {name}: give a date or a moment such as "
            f"2026-01-31T12:00:00Z, a whole number from 0 to {table.version()}, or '{LATEST}'."
        )
    version, before, after = None, None, None
    for commit in commits.kept(place, table):
        if commit.committed_at and commit.committed_at > moment:
            after = commit.committed_at
            break
        version, before = commit.version, commit.committed_at or before
    if version is None or before is None:
        since = f", which was at {after:%Y-%m-%d %H:%M:%S.%f} UTC" if after else ""
        raise TableMissing(
            f"'{asked}' is before the first commit of the Delta table {name} at {place} that its "
            f"log still has{since}: name a later moment."
        )
    if after is None and moment > max(before, datetime.now(UTC)):
        raise TableMissing(
            f"'{asked}' is yet to come, and what the Delta table {name} will be then nobody knows: "
            f"name a moment that has passed, or '{LATEST}'."
        )
    return version


def _moment(text: str) -> datetime | None:
    """Read a date or a moment; ``None`` if it is neither."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=time_zone())

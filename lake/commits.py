"""The commits of a Delta table, as the entries of its log tell them.

``DeltaTable.history`` numbers what it finds backwards from the newest version, so one commit
without a ``commitInfo`` gives every older one a wrong number, and an older version starts at the
newest commit. Here each entry is read by its own number
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md#delta-log-entries).
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow.fs import FileSelector

from lake import commit_trace, tables
from lake.commit_log import CommitLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltalake import DeltaTable

    from lake.commit_log import Entry
    from lake.places import Place

EPOCH = datetime.fromtimestamp(0, UTC)

ENTRY = re.compile(r"_delta_log/(\d{20})\.json$")

SIDE_BY_SIDE = 16
"""Entries that are read at a time: each is a request of its own where the log is far away."""

TIMES_OF_FILES = {
    "add": "modificationTime",
    "remove": "deletionTimestamp",
    "metaData": "createdTime",
}
"""What a commit that does not say when it was made still tells, by its actions."""


@dataclass(frozen=True)
class Commit:
    """One entry of the log, in short.

    Attributes:
        version: The version that it made.
        committed_at: When, in UTC, by the writer's clock; ``None`` where the entry does not say.
        operation: What the writer calls what it did, such as ``MERGE``; empty if it does not say.
        metrics: What the writer counted; each has names of its own.
        files_added: How many data files it put into the table.
        files_removed: How many it took out; they are kept until the table is vacuumed.
        traceparent: The trace it was made in, as W3C writes it, if it says so.
    """

    version: int
    committed_at: datetime | None
    operation: str
    metrics: Mapping[str, Any]
    files_added: int
    files_removed: int
    traceparent: str | None = None


def read(place: Place, table: DeltaTable, version: int) -> Commit | None:
    """Read one entry of a table's log; ``None`` where it is not kept any more.

    Raises:
        OSError, ValueError: It cannot be read.
    """
    entry = CommitLog(place, table).entry(version)
    if entry is None:
        return None
    info = next(entry.having("commitInfo"), {})
    return Commit(
        version=version,
        committed_at=_time(info, entry),
        operation=str(info.get("operation") or ""),
        metrics=info.get("operationMetrics") or {},
        files_added=len([*entry.having("add")]),
        files_removed=len([*entry.having("remove")]),
        traceparent=info.get(commit_trace.KEY),
    )


def kept(place: Place, table: DeltaTable, newest: int | None = None) -> list[Commit]:
    """Read the entries that the log still has, up to the version that is open, oldest first.

    Args:
        place: Where the table is.
        table: The table.
        newest: How many at most, the newest ones; all without it.

    Raises:
        OSError, ValueError: One cannot be read.
    """
    listed = tables.files(place, table).get_file_info(FileSelector("_delta_log"))
    numbers = sorted(int(found[1]) for file in listed if (found := ENTRY.search(file.path)))
    versions = [number for number in numbers if number <= table.version()]
    if newest is not None:
        versions = versions[max(0, len(versions) - newest) :]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return [commit for commit in pool.map(lambda v: read(place, table, v), versions) if commit]


def committed(place: Place, table: DeltaTable) -> tuple[datetime, str | None]:
    """Return when the version that is open was committed, in UTC, and the trace it was made in.

    Where the log does not say when, or no longer has the entry, that is the age of the youngest
    data file.

    Raises:
        OSError, ValueError: The log cannot be read.
    """
    commit = read(place, table, table.version())
    traceparent = commit.traceparent if commit else None
    if commit and commit.committed_at:
        return commit.committed_at, traceparent
    written = pa.table(table.get_add_actions())["modification_time"].to_pylist()
    made = _utc(table.metadata().created_time) or EPOCH
    return max(filter(None, map(_utc, written)), default=made), traceparent


def _time(info: Mapping[str, Any], entry: Entry) -> datetime | None:
    """Say when a commit was made: by its own word, or else by that of the files it names."""
    own = info.get("inCommitTimestamp") or info.get("timestamp")
    if (moment := _utc(own)) is not None:
        return moment
    times = [
        moment
        for kind, name in TIMES_OF_FILES.items()
        for action in entry.having(kind)
        if (moment := _utc(action.get(name))) is not None
    ]
    return max(times, default=None)


def _utc(milliseconds: object) -> datetime | None:
    """Read a time as a log has it; ``None`` where a writer put something else there."""
    if not isinstance(milliseconds, int | float):
        return None
    try:
        return EPOCH + timedelta(milliseconds=milliseconds)
    except (OverflowError, ValueError):
        return None

"""A Delta table's change data feed: whether it can be trusted, and how it is read.

delta-rs reads the feed without asking whether there is one: where it is off, whole files come back
as if all their rows had changed, and files that were vacuumed fail in the middle of the reading. So
the log is asked first. What the feed is made of is told by
https://github.com/delta-io/delta/blob/master/PROTOCOL.md#reader-requirements-for-addcdcfile.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lake.scan import DATASET_FEATURES, features, stream
from lake.store_files import watch_over
from lake.tables import CHANGE_DATA_FEED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deltalake import DeltaTable

    from lake.commit_log import CommitLog, Entry
    from lake.places import Place

CHANGE_TYPE = pa.field("_change_type", pa.string(), nullable=False)
"""``insert``, ``update_preimage``, ``update_postimage`` or ``delete``."""


class FeedScan:
    """The rows that changed after one version up to another, as a stream that can be read again.

    Implements the Arrow PyCapsule interface as :class:`lake.scan.EngineScan` does. An update is two
    rows, as it was and as it is; a row that changed twice is there twice.
    """

    def __init__(
        self,
        place: Place,
        table: DeltaTable,
        since: int,
        columns: Sequence[str],
        added: Sequence[pa.Field],
    ) -> None:
        """Prepare the scan; nothing is read yet.

        Args:
            place: Where the table is.
            table: The table at the last version (inclusive).
            since: The version before the first (exclusive).
            columns: The table's columns to read; ``_change_type`` is added to them.
            added: Columns the table does not have, to be read as nulls.
        """
        self._watch = watch_over(place)
        self._table = table
        self._since = since
        self._columns = [*columns, CHANGE_TYPE.name]
        self._added = added
        with self._read() as reader:
            self.schema = reader.schema

    def _read(self) -> pa.RecordBatchReader:
        def feed() -> Any:  # noqa: ANN401 -- PyArrow has no types
            return self._table.load_cdf(
                starting_version=self._since + 1,
                ending_version=self._table.version(),
                columns=self._columns,
            )

        return stream(feed, self._added, self._watch, "The change data feed")

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Start reading from the first row and hand out the stream's capsule."""
        return self._read().__arrow_c_stream__(requested_schema)


def obstacle(table: DeltaTable, log: CommitLog, since: int) -> str | None:
    """Say why the feed after a version cannot be trusted, or return None where it can.

    Args:
        table: The table at the last version of interest.
        log: Its log.
        since: The version after which changes are of interest, lower than the table's.

    Returns:
        A clause such as ``its change data feed is off``.
    """
    if used := features(table) - DATASET_FEATURES:
        return f"it uses {', '.join(sorted(used))}"
    if table.metadata().configuration.get(CHANGE_DATA_FEED) != "true":
        return "its change data feed is off"
    commits = []
    for version in range(since + 1, table.version() + 1):
        commit = log.entry(version)
        if commit is None:
            return f"the log of its version {version} is gone"
        if clause := _unreadable(commit, log):
            return clause
        commits.append(commit)
    return _altered(commits, log, since)


def _unreadable(commit: Entry, log: CommitLog) -> str | None:
    """Say what keeps delta-rs from reading the changes of one version."""
    for protocol in commit.having("protocol"):
        if used := set(protocol.get("readerFeatures") or ()) - DATASET_FEATURES:
            return f"it used {', '.join(sorted(used))} in version {commit.version}"
    written = [*commit.having("cdc")] or [
        file for file in commit.having("add", "remove") if file.get("dataChange", True)
    ]
    if any(file.get("deletionVector") for file in written):
        return f"its version {commit.version} has deletion vectors"
    # delta-rs takes a feed's paths as they stand, without decoding them.
    if lost := log.lost([file["path"] for file in written]):
        return (
            f"{len(lost)} of the files that tell the changes of version {commit.version} "
            f"{'is' if len(lost) == 1 else 'are'} gone"
        )
    return None


def _altered(commits: Sequence[Entry], log: CommitLog, since: int) -> str | None:
    """Say in which version the feed was off, or the table's columns became others.

    Only a version that says so alters either, and most never do.
    """
    stated = [(c.version, metadata) for c in commits for metadata in c.having("metaData")]
    if not stated:
        return None
    before = _metadata_at(log, since)
    if before is None:
        return f"the log does not tell any more what columns it had in version {since}"
    states = [(since, before), *stated]
    clauses = (
        *(_switched_off(version, metadata) for version, metadata in states),
        *(_recast(version, old, new) for (_, old), (version, new) in pairwise(states)),
    )
    return next(filter(None, clauses), None)


def _switched_off(version: int, metadata: dict[str, Any]) -> str | None:
    configuration = metadata.get("configuration") or {}
    if configuration.get(CHANGE_DATA_FEED) != "true":
        return f"its change data feed was off in version {version}"
    if configuration.get("delta.columnMapping.mode", "none") != "none":
        return f"it used columnMapping in version {version}"
    return None


def _recast(version: int, earlier: dict[str, Any], later: dict[str, Any]) -> str | None:
    if earlier["partitionColumns"] != later["partitionColumns"]:
        return f"its partitions became others in version {version}"
    kept = _columns(later)
    for name, kind in _columns(earlier).items():
        if kept.get(name) != kind:
            return f"its column {name} became another in version {version}"
    return None


def _metadata_at(log: CommitLog, version: int) -> dict[str, Any] | None:
    """Find what a version's properties and columns were, in its entry or the last before it."""
    for number in range(version, -1, -1):
        commit = log.entry(number)
        if commit is None:
            return None
        for metadata in _last(commit.having("metaData")):
            return metadata
    return None


def _last(items: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*items][-1:]


def _columns(metadata: dict[str, Any]) -> dict[str, Any]:
    """Each column's type, as a table's metadata tell it."""
    return {
        field["name"]: field["type"] for field in json.loads(metadata["schemaString"])["fields"]
    }

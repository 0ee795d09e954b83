"""A Delta table's change data feed: whether it can be trusted, and how it is read.

The log is asked whether there is a feed: where it was off, a version's files are all that is known
of its changes, and those that were vacuumed fail in the middle of the reading. What the feed is
made of is told by
https://github.com/delta-io/delta/blob/master/PROTOCOL.md#reader-requirements-for-addcdcfile. It is
read as the table is. delta-rs' own reader (``load_cdf``) would take Spark's INT96 timestamps as
nanoseconds, fold names of columns to lower case and leave paths encoded.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

from lake.dataset import of_files
from lake.properties import columns_are_mapped, feed_is_on
from lake.scan import DATASET_FEATURES, features, files_of
from lake.store_files import watch_over

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lake.commit_log import CommitLog, Entry
    from lake.dataset import DeltaDataset

CHANGE_TYPE = pa.field("_change_type", pa.string(), nullable=False)
"""``insert``, ``update_preimage``, ``update_postimage`` or ``delete``."""


def changed_rows(
    log: CommitLog, since: int, columns: Sequence[str], added: Sequence[pa.Field]
) -> DeltaDataset:
    """Return the rows that changed after one version up to another, to be read many times.

    An update is two rows, as it was and as it is; a row that changed twice is there twice. Where
    :func:`obstacle` names one, the rows are not these.

    Args:
        log: The log of the table, which is open at the last version of interest.
        since: The version before the first (exclusive).
        columns: The table's columns to read; ``_change_type`` is added to them.
        added: Columns the table does not have, to be read as nulls.

    Raises:
        ValueError: The log does not say in which partition a file was.
    """
    table = log.table
    has = pa.schema(table.schema().to_arrow())
    schema = pa.schema([*(has.field(name) for name in columns), CHANGE_TYPE, *added])
    partitions = [has.field(name) for name in table.metadata().partition_columns if name in columns]
    commits = [*filter(None, map(log.entry, range(since + 1, table.version() + 1)))]
    known = [file for commit in commits for file in _changed_files(commit, partitions)]
    sizes = {
        unquote(file["path"]): file["size"]
        for commit in commits
        for file in commit.having("add", "remove", "cdc")
        if "size" in file
    }
    files = files_of(log.place, table, watch_over(log.place), sizes)
    return of_files(known, schema, files)


def _changed_files(
    commit: Entry, partitions: Sequence[pa.Field]
) -> Iterator[tuple[str, dict[str, pa.Scalar]]]:
    """Yield the files that tell the changes of one version, and what all rows of each have."""
    written = [("", file) for file in commit.having("cdc")] or [
        (change, file)
        for kind, change in (("add", "insert"), ("remove", "delete"))
        for file in commit.having(kind)
        if file.get("dataChange", True)
    ]
    for change, file in written:
        values = {field.name: _partition_value(commit, file, field) for field in partitions}
        if change:  # otherwise each row says what became of it
            values[CHANGE_TYPE.name] = pa.scalar(change)
        yield file["path"], values


def _partition_value(commit: Entry, file: dict[str, Any], field: pa.Field) -> pa.Scalar:
    """Read a value of a partition column as the log writes it; an empty one is null."""
    values = file.get("partitionValues") or {}
    if field.name not in values:
        raise ValueError(f"version {commit.version} does not say which {field.name} a file has")
    text = values[field.name] or None
    if text and pa.types.is_timestamp(field.type) and field.type.tz and text[-1].isdigit():
        text += "Z"  # without a zone it is in UTC
    return pa.scalar(text, pa.string()).cast(field.type)


def obstacle(log: CommitLog, since: int) -> str | None:
    """Say why the feed after a version cannot be trusted, or return None where it can.

    Args:
        log: The log of the table, which is open at the last version of interest.
        since: The version after which changes are of interest, lower than the table's.

    Returns:
        A clause such as ``its change data feed is off``.
    """
    table = log.table
    if used := features(table) - DATASET_FEATURES:
        return f"it uses {', '.join(sorted(used))}"
    if not feed_is_on(table.metadata().configuration):
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
    if lost := log.lost([unquote(file["path"]) for file in written]):
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
    if not feed_is_on(configuration):
        return f"its change data feed was off in version {version}"
    if columns_are_mapped(configuration):
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

"""Delta tables as this room makes, opens and writes them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from deltalake import (
    CommitProperties,
    DeltaTable,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import DeltaError

from lake import places
from lake.errors import PlaceInvalid, TableBroken, TableBusy, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

CHANGE_DATA_FEED = "delta.enableChangeDataFeed"
PROPERTIES = {CHANGE_DATA_FEED: "true"}
"""What every table of the lake is created with."""

SNAPPY = WriterProperties(compression="SNAPPY")

AT_ONCE = CommitProperties(max_commit_retries=0)
"""Commits as the very next version or not at all: what was compared is what is replaced, and a
table that someone else has just made is not appended to unseen."""


def at_once_with(application: str, version: int) -> CommitProperties:
    """Return what commits at once, and how far an application has come with it.

    The number is a Delta application transaction: it is in the table's state from that commit on,
    whatever is compacted or cleaned up, and ``DeltaTable.transaction_version`` reads it. See
    https://github.com/delta-io/delta/blob/master/PROTOCOL.md#transaction-identifiers.

    Args:
        application: Whose number it is.
        version: The number.
    """
    return CommitProperties(
        max_commit_retries=0, app_transactions=[Transaction(application, version)]
    )


def open_table(folder: Path) -> DeltaTable | None:
    """Open the newest version of a table.

    Returns:
        The table, or ``None`` where the folder holds none.

    Raises:
        PlaceInvalid: There is a file.
        TableBroken: There is a Delta log that cannot be read.
    """
    if folder.is_file():
        raise PlaceInvalid(
            f"{folder} is a file, and a Delta table is a folder: move the file, or choose another "
            "place for the table."
        )
    try:
        return DeltaTable(folder) if DeltaTable.is_deltatable(str(folder)) else None
    except (DeltaError, OSError) as error:
        raise TableBroken(
            f"The Delta table in {folder} cannot be opened ({reason(error)}): restore it from a "
            "backup, or remove it and load it anew."
        ) from error


def folder_of(table: DeltaTable) -> Path:
    """Return where a table of the lake lies."""
    return places.local_folder(table.table_uri)


def create(folder: Path, rows: pa.RecordBatchReader, commit: CommitProperties = AT_ONCE) -> None:
    """Make a table of some rows, as its version 0.

    Args:
        folder: Where no table is yet.
        rows: Read once, batch by batch.
        commit: What is committed with them.

    Raises:
        TableBusy: Someone else has made one meanwhile.
        TableBroken: It cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _writing(folder):
        write_deltalake(
            folder,
            rows,
            mode="error",
            configuration=PROPERTIES,
            writer_properties=SNAPPY,
            commit_properties=commit,
        )


def append(
    table: DeltaTable, rows: pa.RecordBatchReader, commit: CommitProperties = AT_ONCE
) -> None:
    """Add rows in the version after the one that is open.

    Args:
        table: The table; columns it does not have are added, those the rows lack become null.
        rows: Read once, batch by batch.
        commit: What is committed with them.

    Raises:
        TableBusy: Another writer's commit has become that version.
        TableBroken: It cannot be written.
    """
    with _writing(folder_of(table), table.version()):
        write_deltalake(
            table,
            rows,
            mode="append",
            schema_mode="merge",
            writer_properties=SNAPPY,
            commit_properties=commit,
        )


def merge(
    table: DeltaTable,
    rows: pa.RecordBatchReader,
    key: Sequence[str],
    commit: CommitProperties = AT_ONCE,
) -> None:
    """Update and insert rows by key in the version after the one that is open.

    Args:
        table: The table; columns it does not have are added.
        rows: Read once, batch by batch; one row per key.
        key: The columns that say which row is which.
        commit: What is committed with them.

    Raises:
        TableBusy: Another writer's commit has become that version.
        TableBroken: It cannot be written.
    """
    values = {_quoted(name): f"s.{_quoted(name)}" for name in rows.schema.names}
    with _writing(folder_of(table), table.version()):
        (
            table.merge(
                rows,
                " and ".join(f"t.{_quoted(name)} = s.{_quoted(name)}" for name in key),
                source_alias="s",
                target_alias="t",
                merge_schema=True,
                writer_properties=SNAPPY,
                commit_properties=commit,
            )
            .when_matched_update(values)
            .when_not_matched_insert(values)
            .execute()
        )


def replace(table: DeltaTable, rows: pa.RecordBatchReader) -> None:
    """Replace a table's rows and columns in a new version; its history stays.

    Args:
        table: The table. Its change data feed is turned on first where it is off.
        rows: Read once, batch by batch.

    Raises:
        TableBusy: Another writer's commit has become that version.
        TableBroken: It cannot be written.
    """
    if table.metadata().configuration.get(CHANGE_DATA_FEED) != "true":
        with _writing(folder_of(table), table.version()):
            table.alter.set_table_properties(PROPERTIES)
    with _writing(folder_of(table), table.version()):
        write_deltalake(
            table,
            rows,
            mode="overwrite",
            schema_mode="overwrite",
            writer_properties=SNAPPY,
            commit_properties=AT_ONCE,
        )


@contextmanager
def _writing(folder: Path, expected: int = -1) -> Iterator[None]:
    """Turn delta-rs' errors into ours.

    Args:
        folder: Where the table is.
        expected: The table's version before writing, -1 if there is none. A newer one afterwards
            means that someone else was faster; delta-rs' error alone does not tell.
    """
    try:
        yield
    except DeltaError as error:
        now = open_table(folder)
        if now is not None and now.version() > expected:
            raise TableBusy(
                f"Someone else has just written to the Delta table in {folder}, and nothing has "
                "been written here: try again when they are done."
            ) from error
        raise TableBroken(
            f"The Delta table in {folder} cannot be written ({reason(error)}): nothing has been."
        ) from error


def _quoted(name: str) -> str:
    """Return a column's name as it stands in delta-rs' SQL."""
    return "`" + name.replace("`", "``") + "`"

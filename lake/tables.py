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
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import PyFileSystem

from lake.commit_trace import traced
from lake.errors import PlaceInvalid, StoreUnreachable, TableBroken, TableBusy
from lake.failures import failed, way_out
from lake.properties import CHANGE_DATA_FEED, feed_is_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from lake.places import Place

PROPERTIES = {CHANGE_DATA_FEED: "true"}
"""What every table of the lake is created with."""

SNAPPY = WriterProperties(compression="SNAPPY", max_row_group_size=250_000)
"""How files are written. A row group is in memory as a whole until it is written."""

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


def newest(place: Place) -> DeltaTable | None:
    """Open the newest version of a table, if there is one.

    Raises:
        StoreFailed: The object store cannot tell. It is asked with little patience first.
        DeltaError, OSError, ValueError: There is a Delta log that cannot be read, or a file.
    """
    place.reach()
    try:
        if place.folder is not None and not DeltaTable.is_deltatable(place.uri):
            return None
        return DeltaTable(place.uri, storage_options={**place.options})
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        if failure := place.failure(error):
            raise failure from None
        raise


def open_table(place: Place) -> DeltaTable | None:
    """Open the newest version of a table that is to be written.

    Returns:
        The table, or ``None`` where the place holds none.

    Raises:
        PlaceInvalid: There is a file.
        StoreFailed: The object store cannot tell.
        TableBroken: There is a Delta log that cannot be read.
    """
    if place.folder is not None and place.folder.is_file():
        raise PlaceInvalid(
            f"{place} is a file, and a Delta table is a folder: move the file, or choose another "
            "place for the table."
        )
    try:
        return newest(place)
    except (DeltaError, OSError, ValueError) as error:
        raise failed(f"The Delta table in {place}", place, error, "opened") from error


def files(place: Place, table: DeltaTable) -> PyFileSystem:
    """Return the files of a table, those of its log included, by their paths in it."""
    return PyFileSystem(DeltaStorageHandler(table.table_uri, {**place.options}))


def create(place: Place, rows: pa.RecordBatchReader, commit: CommitProperties = AT_ONCE) -> None:
    """Make a table of some rows, as its version 0.

    Args:
        place: Where no table is yet.
        rows: Read once, batch by batch.
        commit: What is committed with them.

    Raises:
        TableBusy: Someone else has made one meanwhile.
        StoreFailed: The object store has failed.
        TableBroken: It cannot be written.
    """
    if place.folder is not None:
        place.folder.mkdir(parents=True, exist_ok=True)
    with writing(place):
        write_deltalake(
            place.uri,
            rows,
            mode="error",
            configuration=PROPERTIES,
            storage_options={**place.options},
            writer_properties=SNAPPY,
            commit_properties=traced(commit),
        )


def append(
    place: Place,
    table: DeltaTable,
    rows: pa.RecordBatchReader,
    commit: CommitProperties = AT_ONCE,
) -> None:
    """Add rows in the version after the one that is open.

    Args:
        place: Where the table is.
        table: The table; columns it does not have are added, those the rows lack become null.
        rows: Read once, batch by batch.
        commit: What is committed with them.

    Raises:
        TableBusy: Another writer's commit has become that version.
        StoreFailed: The object store has failed.
        TableBroken: It cannot be written.
    """
    with writing(place, table.version()):
        write_deltalake(
            table,
            rows,
            mode="append",
            schema_mode="merge",
            writer_properties=SNAPPY,
            commit_properties=traced(commit),
        )


def merge(
    place: Place,
    table: DeltaTable,
    rows: pa.RecordBatchReader,
    key: Sequence[str],
    commit: CommitProperties = AT_ONCE,
) -> None:
    """Update and insert rows by key in the version after the one that is open.

    Args:
        place: Where the table is.
        table: The table; columns it does not have are added.
        rows: Read once, batch by batch; one row per key.
        key: The columns that say which row is which.
        commit: What is committed with them.

    Raises:
        TableBusy: Another writer's commit has become that version.
        StoreFailed: The object store has failed.
        TableBroken: It cannot be written.
    """
    values = {quoted(name): f"s.{quoted(name)}" for name in rows.schema.names}
    with writing(place, table.version()):
        (
            table.merge(
                rows,
                " and ".join(f"t.{quoted(name)} = s.{quoted(name)}" for name in key),
                source_alias="s",
                target_alias="t",
                merge_schema=True,
                writer_properties=SNAPPY,
                commit_properties=traced(commit),
            )
            .when_matched_update(values)
            .when_not_matched_insert(values)
            .execute()
        )


def replace(place: Place, table: DeltaTable, rows: pa.RecordBatchReader) -> None:
    """Replace a table's rows and columns in a new version; its history stays.

    Args:
        place: Where the table is.
        table: The table. Its change data feed is turned on first where it is off.
        rows: Read once, batch by batch.

    Raises:
        TableBusy: Another writer's commit has become that version.
        StoreFailed: The object store has failed.
        TableBroken: It cannot be written.
    """
    if not feed_is_on(table.metadata().configuration):
        with writing(place, table.version()):
            table.alter.set_table_properties(PROPERTIES)
    with writing(place, table.version()):
        write_deltalake(
            table,
            rows,
            mode="overwrite",
            schema_mode="overwrite",
            writer_properties=SNAPPY,
            commit_properties=traced(AT_ONCE),
        )


def compact(place: Place, table: DeltaTable) -> tuple[int, int]:
    """Write small files together in one version that changes no row.

    What others append meanwhile stays beside it.

    Args:
        place: Where the table is.
        table: The table.

    Returns:
        How many files were taken out of the table, and how many put into it. Where that is none
        there is no new version.

    Raises:
        TableBusy: Another writer has taken out some of the same files.
        StoreFailed: The object store has failed.
        TableBroken: It cannot be written.
    """
    with writing(place, table.version()):
        done = table.optimize.compact(writer_properties=SNAPPY)
    return done["numFilesRemoved"], done["numFilesAdded"]


LATE = "Failed to commit transaction: 0"
"""What delta-rs says where the version was taken already. Azure's emulator says so a moment before
that version can be seen."""


@contextmanager
def writing(place: Place, expected: int = -1) -> Iterator[None]:
    """Turn delta-rs' errors into ours.

    Args:
        place: Where the table is.
        expected: The table's version before writing, -1 if there is none. A newer one afterwards
            means that someone else was faster; delta-rs' error alone does not always tell.
    """
    try:
        yield
    except (DeltaError, OSError) as error:
        failure = place.failure(error)
        if isinstance(failure, StoreUnreachable):
            raise StoreUnreachable(
                f"{failure} Whether the last version has been written is not known: do the same "
                "again to be sure."
            ) from None
        if failure is not None:
            raise failure from None
        if isinstance(error, OSError) and place.folder is not None:
            raise
        now = open_table(place)
        if LATE in str(error) or (now is not None and now.version() > expected):
            raise TableBusy(
                f"Someone else has just written to the Delta table in {place}, and nothing has "
                "been written here: try again when they are done."
            ) from error
        way = f": {found}." if (found := way_out(error)) else "."
        raise TableBroken(
            f"The Delta table in {place} cannot be written ({place.reason(error)}), and nothing "
            f"has been{way}"
        ) from error


def quoted(name: str) -> str:
    """Return a column's name as it stands in delta-rs' SQL."""
    return "`" + name.replace("`", "``") + "`"

"""A Delta table pinned at one version, read through its contract."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler

from lake.contracts import TABLES
from lake.errors import ContractBroken, TableBroken, TableMissing, reason
from lake.places import URI_VARIABLES, local_folder, table_uri
from lake.scan import scan

if TYPE_CHECKING:
    from lake.contracts import TableContract

LATEST = "latest"


@dataclass(frozen=True)
class PinnedTable:
    """One version of one Delta table.

    Attributes:
        name: The name it is read under.
        uri: Where it lies.
        table_id: Delta's own id: another one means that the table was made anew.
        version: The pinned version.
        committed_at: When that version was committed.
        scan: What DuckDB registers; can be read many times.
        table: The table itself, open at that version.
    """

    name: str
    uri: str
    table_id: str
    version: int
    committed_at: datetime
    scan: Any
    table: DeltaTable


def pin(name: str, uri: str, version: str = LATEST) -> PinnedTable:
    """Open a Delta table at one version and hold it to its contract, if it has one.

    Args:
        name: The table's name; :data:`lake.contracts.TABLES` has the contracts.
        uri: A path.
        version: A version number, or ``latest``.

    Raises:
        PlaceInvalid: The place is not on this machine.
        TableMissing: There is no table there, or not that version of it.
        TableBroken: Its log or a data file is damaged or gone.
        ContractBroken: A column is missing or has a type it cannot have.
    """
    folder = str(local_folder(uri))
    try:
        if not DeltaTable.is_deltatable(folder):
            raise TableMissing(_no_table(name, uri))
        table = _open(name, folder, version)
        contract = TABLES.get(name)
        added = conform(contract, pa.schema(table.schema().to_arrow())) if contract else ()
        _all_files_are_there(name, table)
        return PinnedTable(
            name=name,
            uri=uri,
            table_id=str(table.metadata().id),
            version=table.version(),
            committed_at=_committed_at(table),
            scan=scan(table, added),
            table=table,
        )
    except (DeltaError, OSError, ValueError, pa.ArrowException) as error:
        raise TableBroken(
            f"The Delta table {name} at {uri} cannot be read ({reason(error)}): restore it from a "
            "backup or load it anew."
        ) from error


def _no_table(name: str, uri: str) -> str:
    """Say how to make a table that is missing, at the place where it was looked for."""
    contract = TABLES.get(name)
    elsewhere = contract and uri != table_uri(contract)
    place = f"{URI_VARIABLES[name]}={uri} " if elsewhere else ""
    return (
        f"There is no Delta table {name} at {uri}: make a demo lake with `{place}python -m lake "
        f"demo`, or load a file of your own with `{place}python -m lake load`."
    )


def conform(contract: TableContract, schema: pa.Schema) -> list[pa.Field]:
    """Hold a table's columns to its contract and name those to be read as nulls.

    Raises:
        ContractBroken: A key column is missing, or a column has a type it cannot have.
    """
    # Delta and DuckDB both take Deleted and deleted for one column.
    actual = {field.name.lower(): field.type for field in schema}
    missing = [column for column in contract.key if column not in actual]
    if missing:
        raise ContractBroken(
            f"The Delta table {contract.name} has no column {', '.join(missing)}, which is part of "
            f"its key ({', '.join(contract.key)}): load it with that column."
        )
    for field in contract.schema:
        found = actual.get(field.name, field.type)
        if not _accepts(field.type, found):
            raise ContractBroken(
                f"The column {field.name} of the Delta table {contract.name} is {found}, but its "
                f"contract says {field.type}: have its writer store it so."
            )
    return [field.with_nullable(True) for field in contract.schema if field.name not in actual]


def _accepts(contracted: pa.DataType, actual: pa.DataType) -> bool:
    """Tell whether an actual type can stand for a contracted one.

    A timestamp stands for a date: staging takes its day in the configured time zone.
    """
    if pa.types.is_date(contracted):
        return bool(pa.types.is_date(actual) or pa.types.is_timestamp(actual))
    if pa.types.is_floating(contracted):
        return bool(
            pa.types.is_floating(actual)
            or pa.types.is_integer(actual)
            or pa.types.is_decimal(actual)
        )
    if pa.types.is_boolean(contracted):
        return bool(pa.types.is_boolean(actual))
    return bool(
        pa.types.is_integer(actual)
        or pa.types.is_string(actual)
        or pa.types.is_large_string(actual)
        or pa.types.is_string_view(actual)
    )


def _open(name: str, uri: str, version: str) -> DeltaTable:
    """Open a table at a version number or at its latest version."""
    table = DeltaTable(uri)
    if version == LATEST:
        return table
    newest = table.version()
    if not (version.isascii() and version.isdecimal()):
        raise TableMissing(
            f"'{version}' is no version of the Delta table {name}: give a whole number from 0 to "
            f"{newest}, or '{LATEST}'."
        )
    if int(version) > newest:
        raise TableMissing(
            f"The Delta table {name} at {uri} has no version {version}: give a whole number from 0 "
            f"to {newest}, or '{LATEST}'."
        )
    try:
        table.load_as_version(int(version))
    except DeltaError as error:
        raise TableMissing(
            f"Version {version} of the Delta table {name} at {uri} is no longer kept "
            f"({reason(error)}): name a newer one, up to {newest}."
        ) from error
    return table


def _all_files_are_there(name: str, table: DeltaTable) -> None:
    """See that every data file of a local table exists: a lost one would fail only mid-build."""
    # They come percent-encoded, but a partition's folder may have a percent sign of its own.
    lost = [
        uri
        for uri in table.file_uris()
        if not Path(unquote(uri)).is_file() and not Path(uri).is_file()
    ]
    if lost:
        raise TableBroken(
            f"Version {table.version()} of the Delta table {name} lacks {len(lost)} of its data "
            f"files ({Path(lost[0]).name} is the first), vacuumed or lost: read a newer version or "
            "restore the files."
        )


def _committed_at(table: DeltaTable) -> datetime:
    """Read when the pinned version was committed, in UTC.

    ``DeltaTable.history`` numbers backwards from the pinned version but starts at the newest
    commit, so the commit's own entry of the log is read instead: its ``commitInfo``, or, where a
    writer left that out or the log was cleaned up, the age of the youngest data file.
    """
    log = DeltaStorageHandler(table.table_uri)
    try:
        with log.open_input_file(f"_delta_log/{table.version():020}.json") as entry:
            actions = [json.loads(line) for line in entry.read().splitlines() if line.strip()]
    except FileNotFoundError:
        actions = []
    info: dict[str, Any] = next(
        (action["commitInfo"] for action in actions if "commitInfo" in action), {}
    )
    milliseconds = info.get("inCommitTimestamp") or info.get("timestamp")
    if milliseconds is None:
        written = pa.table(table.get_add_actions())["modification_time"].to_pylist()
        milliseconds = max(written, default=table.metadata().created_time)
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)

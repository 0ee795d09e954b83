"""A Delta table pinned at one version, read through its contract."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake.exceptions import DeltaError
from pyarrow.fs import FileSelector

from lake import tables
from lake.commits import committed
from lake.contracts import NAMES, TABLES, spellings
from lake.errors import ContractBroken, LakeError, TableBroken, TableMissing
from lake.failures import failed
from lake.places import URI_VARIABLES, at, table_place, table_uri
from lake.scan import scan
from lake.versions import LATEST, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from deltalake import DeltaTable

    from lake.contracts import TableContract
    from lake.places import Place


@dataclass(frozen=True)
class PinnedTable:
    """One version of one Delta table.

    Attributes:
        name: The name it is read under.
        uri: Where it lies.
        table_id: Delta's own id: another one means that the table was made anew.
        version: The pinned version.
        committed_at: When that version was committed.
        traceparent: The trace it was committed in, if its writer said so.
        scan: What DuckDB registers; can be read many times.
        place: The same, as delta-rs takes it.
        table: The table itself, open at that version.
    """

    name: str
    uri: str
    table_id: str
    version: int
    committed_at: datetime
    traceparent: str | None
    scan: Any
    place: Place
    table: DeltaTable


def pin(
    name: str, uri: str, version: str = LATEST, options: Mapping[str, str] | None = None
) -> PinnedTable:
    """Open a Delta table at one version and hold it to its contract, if it has one.

    Args:
        name: The table's name; :data:`lake.contracts.TABLES` has the contracts.
        uri: A path, or a URI in an object store.
        version: A version number, ``latest``, or a moment: see :func:`lake.versions.resolve`.
        options: Options of the object store that go before the environment's.

    Raises:
        PlaceInvalid: There can be no table at that place, or its credentials are missing.
        StoreFailed: The object store cannot be reached, refuses, or lacks the bucket.
        TableMissing: There is no table there, or not that version of it.
        TableBroken: Its log or a data file is damaged or gone.
        ContractBroken: A column is missing or has a type it cannot have.
    """
    place = at(uri, options)
    try:
        newest = tables.newest(place)
        if newest is None:
            raise TableMissing(_no_table(name, uri))
        latest = newest.version()
        table = _open(name, place, newest, version)
        contract = TABLES.get(name)
        added = conform(contract, pa.schema(table.schema().to_arrow())) if contract else ()
        _all_files_are_there(name, place, table, latest)
        moment, traceparent = committed(place, table)
        return PinnedTable(
            name=name,
            uri=uri,
            table_id=str(table.metadata().id),
            version=table.version(),
            committed_at=moment,
            traceparent=traceparent,
            scan=scan(place, table, added),
            place=place,
            table=table,
        )
    except (DeltaError, OSError, ValueError, pa.ArrowException) as error:
        raise failed(f"The Delta table {name} at {place}", place, error) from error


def _no_table(name: str, uri: str) -> str:
    """Say how to make a table that is missing, at the place where it was looked for.

    A demo is offered only where it would be made: it makes every table, at the places that the
    environment says, and leaves alone what is there.
    """
    sentence = f"There is no Delta table {name} at {uri}: "
    if (contract := TABLES.get(name)) is None:
        return f"{sentence}have its writer make it there, or name another place in profiles.yml."
    elsewhere = uri != table_uri(contract)
    moved = f"{URI_VARIABLES[name]}={shlex.quote(uri)} " if elsewhere else ""
    (word,) = (word for word, named in NAMES.items() if named is contract)
    load = f"load a file of your own with `{moved}python -m lake load {word} FILE`"
    if elsewhere or not all(_is_free(other) for other in TABLES.values() if other is not contract):
        return f"{sentence}{load}."
    return f"{sentence}make a demo lake with `python -m lake demo`, or {load}."


def _is_free(contract: TableContract) -> bool:
    """Tell whether nothing lies where a table may be made; of a store that is not known."""
    try:
        folder = table_place(contract).folder
    except LakeError:
        return False
    return folder is not None and not folder.exists()


def conform(contract: TableContract, schema: pa.Schema) -> list[pa.Field]:
    """Hold a table's columns to its contract and name those to be read as nulls.

    Raises:
        ContractBroken: A key column is missing, or a column has a type it cannot have.
    """
    actual = {name: schema.field(own).type for name, own in spellings(schema.names).items()}
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
                f"contract says {field.type}: have its writer store it so, or load its rows into a "
                "new table with `python -m lake load`."
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


def _open(name: str, place: Place, table: DeltaTable, asked: str) -> DeltaTable:
    """Bring a table from its newest version to the one that is asked for."""
    newest = table.version()
    version = resolve(place, table, name, asked)
    if version == newest:
        return table
    try:
        table.load_as_version(version)
    except DeltaError as error:
        if failure := place.failure(error):
            raise failure from None
        raise TableMissing(
            f"Version {version} of the Delta table {name} at {place} is no longer kept "
            f"({place.reason(error)}): name a newer one, up to {newest}."
        ) from error
    return table


def _all_files_are_there(name: str, place: Place, table: DeltaTable, latest: int) -> None:
    """See that every data file exists: a lost one would fail only mid-build.

    In an object store that is one request for each thousand files, or for each partition: those
    of a partitioned table are left to fail mid-build.
    """
    if place.folder is None and table.metadata().partition_columns:
        return
    there = _is_file if place.folder is not None else _listed(place, table)
    # They come percent-encoded, but a partition's folder may have a percent sign of its own.
    lost = [uri for uri in table.file_uris() if not there(unquote(uri)) and not there(uri)]
    if lost:
        older = table.version() < latest
        way = "read a newer version or restore the files" if older else "restore the files"
        raise TableBroken(
            f"Version {table.version()} of the Delta table {name} lacks {len(lost)} of its data "
            f"files ({Path(lost[0]).name} is the first), vacuumed or lost: {way}."
        )


def _is_file(uri: str) -> bool:
    return Path(uri).is_file()


def _listed(place: Place, table: DeltaTable) -> Callable[[str], bool]:
    listed = tables.files(place, table).get_file_info(FileSelector(""))
    return {f"{place}/{info.path}" for info in listed}.__contains__

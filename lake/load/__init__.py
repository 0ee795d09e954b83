"""Brings rows into a table of the lake: all of those that can be taken, or nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import pyarrow as pa

from lake import places, tables
from lake.contracts import spellings
from lake.errors import InputRejected, TableBusy
from lake.load import rejects
from lake.load.files import open_file
from lake.load.staging import Staging, staging
from lake.load.upsert import Upserted, upsert
from lake.pinned import conform

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from deltalake import CommitProperties, DeltaTable

    from lake.contracts import TableContract
    from lake.load.chunks import Source
    from lake.places import Place

WAITS = (0.1, 0.3, 1.0, 2.0, 4.0)
"""Seconds to wait after each commit that another writer's commit came before."""

TOLERATED = 0.1
"""Which share of a source's rows may be faulty before a load counts as failed."""

NEAR = 0.85
"""How alike two names are of which one may be meant for the other: two letters in a dozen."""


@dataclass(frozen=True)
class Loaded:
    """What became of a source's rows.

    Attributes:
        upserted: Those that were taken.
        summed: Rows that were added to others of the same source with the same key.
        rejected: Rows that cannot be taken.
        superseded: How many of them could be, were there no later one with the same key.
        rejects: Where those are kept.
        added: The attributes that the table did not have before: a misspelled column is one.
        meant: The contracted columns that some of those are nearly called.
    """

    upserted: Upserted
    summed: int
    rejected: int
    superseded: int
    rejects: Place
    added: tuple[str, ...]
    meant: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether so many rows cannot be taken that something is wrong with the source."""
        faulty = self.rejected - self.superseded
        return faulty > TOLERATED * (self.upserted.taken + self.summed + self.rejected)


def load(contract: TableContract, path: Path, needed: Sequence[str] = ()) -> Loaded:
    """Load a file into a table, as :func:`bring` does.

    Args:
        contract: The table's contract.
        path: A CSV, NDJSON or Parquet file.
        needed: Columns of which the file must have one, if any are named.

    Raises:
        LakeError: The file's kind is not known, or what :func:`bring` raises.
    """
    return bring(contract, open_file(path), needed=needed)


def bring(
    contract: TableContract,
    source: Source,
    commit: CommitProperties = tables.AT_ONCE,
    needed: Sequence[str] = (),
) -> Loaded:
    """Bring a source's rows into a table, which is made if there is none.

    Rejected rows are kept first, so that none is lost if the table cannot be written. Either
    table is written in one commit, and not at all where there is nothing new.

    Args:
        contract: The table's contract.
        source: Where the rows come from; it is read again if the table's columns change meanwhile.
        commit: What is committed with the rows.
        needed: Columns of which the source must have one, if any are named.

    Raises:
        InputRejected: The source cannot be read as a whole, or has no column that is needed.
        ContractBroken: The table is not what its contract says.
        TableBroken: The table cannot be read or written.
        TableBusy: Other writers committed before every attempt.
        PlaceInvalid: The table's place or the time zone is none.
        StoreFailed: The table's object store cannot be reached, or refuses.
    """
    place = places.table_place(contract)
    zone = places.time_zone()
    loaded = None
    while loaded is None:
        schema = _schema(contract, tables.open_table(place))
        spelled = contract.spelled(schema.names)
        with staging(source, spelled, schema, zone) as staged:
            _check_needed(staged, needed)
            loaded = _write(contract, place, staged, schema, commit)
    return loaded


def _check_needed(staged: Staging, needed: Sequence[str]) -> None:
    """Refuse a source that has none of some columns."""
    if needed and spellings(staged.columns.named).keys().isdisjoint(needed):
        *names, last = needed
        raise InputRejected(
            f"Nothing was loaded from {staged.source.place}, since it has no column of an event "
            f"date: call one {', '.join(names)} or {last} (its columns are "
            f"{', '.join(staged.columns.named)}), or load it without with --no-events."
        )


def _schema(contract: TableContract, table: DeltaTable | None) -> pa.Schema:
    """Return a table's columns, held to its contract; none where there is no table."""
    if table is None:
        return pa.schema([])
    schema = pa.schema(table.schema().to_arrow())
    conform(contract, schema)
    return schema


def _write(
    contract: TableContract,
    place: Place,
    staged: Staging,
    schema: pa.Schema,
    commit: CommitProperties,
) -> Loaded | None:
    """Write staged rows, as often as others come before.

    Returns:
        What was done, or ``None`` if the table's columns are no longer those the rows were
        staged for.
    """
    beside = places.rejects_place(place)
    for attempt, wait in enumerate(WAITS, start=1):
        table = tables.open_table(place)
        if _schema(contract, table) != schema:
            return None
        try:
            rejected = rejects.keep(staged, beside)
            upserted = upsert(staged, contract.spelled(schema.names), place, table, commit)
            now = _schema(contract, tables.open_table(place))
            known = spellings((*schema.names, *contract.schema.names))
            added = tuple(name for name in now.names if name.lower() not in known)
            meant = _meant(contract, added)
            return Loaded(
                upserted, staged.summed, rejected, staged.superseded, beside, added, meant
            )
        except TableBusy:
            if attempt == len(WAITS):
                raise
            time.sleep(wait)
    return None


def _meant(contract: TableContract, added: Iterable[str]) -> tuple[str, ...]:
    """Return the contracted columns that new ones may be misspellings of, in order.

    A column of the key is none of them: without it nothing would have been loaded.
    """
    wanted = [name for name in contract.schema.names if name not in contract.key]
    near = {match for name in added for match in get_close_matches(name.lower(), wanted, 1, NEAR)}
    return tuple(name for name in wanted if name in near)

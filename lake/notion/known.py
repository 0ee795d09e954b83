"""What the table of leads has of a data source already.

Which leads are Notion's is in the table itself: each has its data source's id and the time of its
last edit. How far the table has come is there too, as a Delta application transaction that is
part of the commit that brought the rows. So neither can be ahead of the other, whatever dies when.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from lake import memory, tables
from lake.contracts import LEADS, spellings
from lake.load.columns import literal, quoted
from lake.notion.names import EDITED, OWN, SOURCE
from lake.scan import reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltalake import CommitProperties, DeltaTable

    from lake.places import Place

NO_ATTRIBUTES = OWN.union(LEADS.schema.names)
"""What no property becomes but those that are there for it."""

OVERLAP = timedelta(minutes=5)
"""How far before the last reading the next one starts. Notion's times of edits are whole minutes,
and its servers do not all know of an edit at once."""


@dataclass(frozen=True)
class Known:
    """The state of the table, as far as a data source is concerned.

    Attributes:
        live: The leads that came from it and are not deleted, by id: when they were last edited,
            as far as was known.
        since: From when on edits may be unknown; ``None`` if any may.
        filled: The attributes that any of those leads has a value in.
    """

    live: Mapping[str, datetime | None] = field(default_factory=dict)
    since: datetime | None = None
    filled: frozenset[str] = frozenset()


def known(place: Place, table: DeltaTable | None, source_id: str) -> Known:
    """Return what a table has of a data source.

    Args:
        place: Where the leads are.
        table: The leads, or ``None`` if there are none yet.
        source_id: The data source.

    Raises:
        StoreFailed: The object store has failed.
        TableBroken: It cannot be read.
        OutOfRoom: The memory or the disk is too small to sort it out.
    """
    if table is None:
        return Known()
    read_at = table.transaction_version(_application(source_id))
    since = None
    if read_at is not None:
        since = datetime.fromtimestamp(read_at, UTC).replace(second=0) - OVERLAP
    names = spellings(pa.schema(table.schema().to_arrow()).names)
    if not names.keys() >= OWN:
        return Known(since=since)
    with memory.database(f"The Delta table in {place}") as database, reading(place, table) as leads:
        database.register("leads", leads)
        database.execute(
            f"""
            create view live as select * from leads
            where {quoted(names[SOURCE])} = {literal(source_id)} and deleted is not true
            """  # noqa: S608 - quoted names
        )
        edited = database.execute(
            f"select id, epoch_us({quoted(names[EDITED])}) from live"  # noqa: S608
        ).fetchall()
        attributes = [name for name in names.values() if name.lower() not in NO_ATTRIBUTES]
        counts = ", ".join(["count(*)", *(f"count({quoted(name)})" for name in attributes)])
        ((_, *filled),) = database.execute(f"select {counts} from live").fetchall()  # noqa: S608
    start = datetime.fromtimestamp(0, UTC)
    return Known(
        {key: None if at is None else start + timedelta(microseconds=at) for key, at in edited},
        since,
        frozenset(name for name, some in zip(attributes, filled, strict=True) if some),
    )


def commit(source_id: str, read_at: datetime | None) -> CommitProperties:
    """Return what is committed with rows, so that the next reading knows where to start.

    Args:
        source_id: The data source.
        read_at: When reading it started, by Notion's clock; without it the next one is full.
    """
    if read_at is None:
        return tables.AT_ONCE
    return tables.at_once_with(_application(source_id), int(read_at.timestamp()))


def _application(source_id: str) -> str:
    return f"lake ingest notion {source_id}"

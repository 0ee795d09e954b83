"""How a table of the lake is: its version, its size and whether it tells what changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import QueryBuilder

from lake.commits import committed
from lake.properties import feed_is_on
from lake.scan import DATASET_FEATURES, ENGINE_CONFIG, features
from lake.upkeep.found import find_rejects, reading

if TYPE_CHECKING:
    from datetime import datetime

    from deltalake import DeltaTable

    from lake.upkeep.found import Found


@dataclass(frozen=True)
class Status:
    """How a table is at its newest version.

    Attributes:
        place: Where it lies.
        table_id: Delta's own id: another one means that the table was made anew.
        version: Its version.
        committed_at: When that was committed, in UTC.
        rows: How many rows it has.
        files: How many data files hold them.
        size: How many bytes those have together. Files of older versions do not count.
        change_data_feed: Whether it keeps what each commit changed.
        rejects: How many rows could not be taken.
        rejects_place: Where those are, if there are any.
    """

    place: str
    table_id: str
    version: int
    committed_at: datetime
    rows: int
    files: int
    size: int
    change_data_feed: bool
    rejects: int
    rejects_place: str | None


def status(found: Found) -> Status:
    """Look at a table and at its rejects.

    Args:
        found: The table, by the name it has on the command line.

    Raises:
        StoreFailed: The object store has failed.
        TableBroken: Either cannot be read.
    """
    rejects = find_rejects(found.name)
    rejected = 0
    if rejects:
        with reading(rejects):
            rejected = count(rejects.table)
    with reading(found):
        metadata = found.table.metadata()
        sizes = pa.table(found.table.get_add_actions())["size_bytes"].to_pylist()
        return Status(
            place=str(found.place),
            table_id=str(metadata.id),
            version=found.table.version(),
            committed_at=committed(found.place, found.table)[0],
            rows=count(found.table),
            files=len(sizes),
            size=sum(sizes),
            change_data_feed=feed_is_on(metadata.configuration),
            rejects=rejected,
            rejects_place=str(rejects.place) if rejects else None,
        )


def count(table: DeltaTable) -> int:
    """Count a table's rows: from its log where that tells, else by reading it.

    A row that a deletion vector marks is still in its file's number of rows.
    """
    if features(table) <= DATASET_FEATURES:
        numbers = pa.table(table.get_add_actions())["num_records"].to_pylist()
        if None not in numbers:
            return sum(numbers)
    engine = QueryBuilder(ENGINE_CONFIG).register("counted", table)
    return int(pa.table(engine.execute("select count(*) from counted"))[0][0].as_py())

"""The rows that could not be taken: ``<table>_rejects``, a Delta table beside the table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from lake import memory, tables
from lake.scan import reading

if TYPE_CHECKING:
    from lake.load.staging import Staging
    from lake.places import Place

SCHEMA = pa.schema(
    [
        pa.field("digest", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("line", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("row", pa.string()),
        pa.field("loaded_at", pa.timestamp("us", "UTC"), nullable=False),
    ]
)
"""A rejected row: its source's SHA-256 and name, the line it starts on, why, the row as JSON, and
when it was rejected first. Digest and line name it, so loading a file again adds nothing. Where a
source has no digest as a whole, as Notion, it is the row's own, and the line is 0."""


def keep(staging: Staging, place: Place) -> int:
    """Keep a source's rejected rows, unless they are kept already.

    Args:
        staging: Where the rejected rows are.
        place: Where the rejects are, or are to be made.

    Returns:
        How many rows of the source are rejected.

    Raises:
        TableBusy: Another writer's commit came in between; nothing has been written.
        StoreFailed: The object store has failed.
        TableBroken: The rejects cannot be read or written.
    """
    rejected = staging.count("rejected")
    if not rejected:
        return 0
    digest = staging.source.digest()
    named = "sha256(row), $name, 0" if digest is None else "$digest, $name, line"
    given = {"name": staging.source.name, "now": datetime.now(UTC)}
    names = ", ".join(SCHEMA.names)
    staging.database.execute(
        f"create or replace table new ({names}) as select {named}, reason, row, $now from rejected",  # noqa: S608 - one of two
        given if digest is None else given | {"digest": digest},
    )
    if (table := tables.open_table(place)) is not None:
        with staging.beside("kept", place, table):
            staging.database.execute(
                """
                create or replace table new as select new.* from new anti join
                (select digest, line from kept where digest in (select digest from new))
                using (digest, line)
                """
            )
    if staging.count("new"):
        rows = staging.rows("new", SCHEMA)
        if table is None:
            tables.create(place, rows)
        else:
            tables.append(place, table, rows)
    return rejected


KIND = r"""
    regexp_replace(
        regexp_replace(reason, '''.*?'' (is|does not fit)', '… \1', 'gs'), '^line \d+ ', 'line … '
    )
"""
"""A reason without what differs from row to row: the quoted cell, and the line of a later row."""


@dataclass(frozen=True)
class Group:
    """Rejected rows with one kind of reason.

    Attributes:
        reason: The reason, with … in the place of what differs from row to row.
        count: How many rows there are.
        rows: The first of them: file, line, reason and the row as JSON.
    """

    reason: str
    count: int
    rows: list[tuple[str, int, str, str]]


def grouped(place: Place, limit: int) -> list[Group]:
    """Read the rejected rows by their reasons, the most frequent first.

    Args:
        place: Where the rejects are.
        limit: How many rows of each reason are wanted.

    Raises:
        StoreFailed: The object store has failed.
        TableBroken: The rejects cannot be read.
    """
    table = tables.open_table(place)
    if table is None:
        return []
    groups = []
    with reading(place, table) as rows, duckdb.connect() as database:
        database.execute(f"set memory_limit = '{memory.limit()}'")
        database.register("rejects", rows)
        kinds = f"select {KIND} as kind, count(*) from rejects group by kind order by 2 desc, 1"  # noqa: S608 - a constant
        for kind, count in database.execute(kinds).fetchall():
            query = f"""
                select file, line, reason, row from rejects where {KIND} = ?
                order by file, line limit ?
            """  # noqa: S608 - a constant
            groups.append(Group(kind, count, database.execute(query, [kind, limit]).fetchall()))
    return groups

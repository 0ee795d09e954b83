"""The rows that could not be taken: ``<table>_rejects``, a Delta table beside the table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from lake import memory, tables
from lake.load.columns import literal
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


VARYING = (
    (r"'.*?' (is|does not fit)", r"… \1"),
    (r"(does not fit) \(.*?\)(; |$)", r"\1\2"),
    (r"-?\d+ (\w+ (are longer|after 1970))", r"… \1"),
    (r" \(byte \d+\)", ""),
    (r"(^line|position) \d+", r"\1 …"),
)
"""What differs from row to row in a reason, and what stands for it: the quoted cell, what does not
fit about it, the place in a line of JSON, the line of a later row."""

KIND = "reason"
"""A reason without what differs from row to row, in SQL."""
for _pattern, _instead in VARYING:
    KIND = f"regexp_replace({KIND}, {literal(_pattern)}, {literal(_instead)}, 'gs')"

GROUPS_SHOWN = 50
"""How many kinds of reasons are shown."""


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


@dataclass(frozen=True)
class Grouped:
    """The rejected rows of a table by their reasons.

    Attributes:
        rows: How many rows there are.
        reasons: How many kinds of reasons they have.
        groups: The rows of the most frequent kinds, at most :data:`GROUPS_SHOWN`.
    """

    rows: int
    reasons: int
    groups: list[Group]


def grouped(place: Place, limit: int) -> Grouped:
    """Read the rejected rows by their reasons, the most frequent first.

    Args:
        place: Where the rejects are.
        limit: How many rows of each reason are wanted.

    Raises:
        StoreFailed: The object store has failed.
        TableBroken: The rejects cannot be read.
        OutOfRoom: The memory or the disk is too small to sort them out.
    """
    table = tables.open_table(place)
    if table is None:
        return Grouped(0, 0, [])
    with (
        memory.database(f"The Delta table in {place}") as database,
        reading(place, table) as rows,
    ):
        database.register("rejects", rows)
        database.execute(
            f"""
            create table kinds as
            select {KIND} as kind, count(*) as rows from rejects group by kind
            """  # noqa: S608 - a constant
        )
        counts = "select coalesce(sum(rows), 0)::bigint, count(*) from kinds"
        ((total, reasons),) = database.execute(counts).fetchall()
        shown = "select kind, rows from kinds order by rows desc, kind limit ?"
        groups = {
            kind: Group(kind, count, [])
            for kind, count in database.execute(shown, [GROUPS_SHOWN]).fetchall()
        }
        query = f"""
            select {KIND} as kind, file, line, reason, row from rejects
            where list_contains($kinds, kind)
            qualify row_number() over (partition by kind order by file, line) <= $limit
            order by file, line
        """  # noqa: S608 - a constant
        found = database.execute(query, {"kinds": [*groups], "limit": limit})
        for kind, *row in found.fetchall():
            groups[kind].rows.append((row[0], row[1], row[2], row[3]))
    return Grouped(total, reasons, [*groups.values()])

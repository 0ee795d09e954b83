"""The rows that could not be taken: ``<table>_rejects``, a Delta table beside the table."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from lake import tables
from lake.load.chunks import ROWS

if TYPE_CHECKING:
    from pathlib import Path

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
"""A rejected row: the file's SHA-256 and name, the line it starts on, why, the row as JSON, and
when it was rejected first. Digest and line name it, so loading a file again adds nothing."""


def keep(staging: Staging, path: Path, place: Place) -> int:
    """Keep a file's rejected rows, unless they are kept already.

    Args:
        staging: Where the rejected rows are.
        path: The file they come from.
        place: Where the rejects are, or are to be made.

    Returns:
        How many rows of the file are rejected.

    Raises:
        TableBusy: Another writer's commit came in between; nothing has been written.
        StoreFailed: The object store has failed.
        TableBroken: The rejects cannot be read or written.
    """
    rejected = staging.count("rejected")
    if not rejected:
        return 0
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    rows: pa.Table = staging.database.sql(
        "select $digest, $file, line, reason, row, $now from rejected order by line",
        params={"digest": digest, "file": path.name, "now": datetime.now(UTC)},
    ).to_arrow_table(ROWS)
    if (table := tables.open_table(place)) is not None:
        with staging.beside("kept", place, table):
            query = "select line from kept where digest = $digest"
            kept = staging.database.sql(query, params={"digest": digest}).to_arrow_table(ROWS)
        rows = rows.filter(pc.invert(pc.is_in(rows["line"], kept["line"])))
    if len(rows):
        reader = rows.rename_columns(SCHEMA.names).cast(SCHEMA).to_reader()
        if table is None:
            tables.create(place, reader)
        else:
            tables.append(place, table, reader)
    return rejected

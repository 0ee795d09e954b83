"""Replaces rows of a table in memory that does not grow with it, where a merge's does.

delta-rs' merge holds back the rows of every file until one of them is updated, so the files that
it leaves alone are in memory as a whole in the end: 6 GB of 20 million leads. Replacing what a
predicate finds rewrites the files that hold such rows, and no others, a batch at a time. That is
one commit as well. Its change data feed has a ``delete`` with the row as it was and an ``insert``
with the row as it is, where a merge has an ``update_preimage`` and an ``update_postimage``.

A merge also holds all rows that it is given. Where those are very many the whole table is written
anew instead, and its feed has every row twice.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import write_deltalake
from deltalake.schema import PrimitiveType

from lake import tables
from lake.commit_trace import traced
from lake.scan import DATASET_FEATURES, features

if TYPE_CHECKING:
    from collections.abc import Callable

    from deltalake import CommitProperties, DeltaTable

    from lake.contracts import TableContract
    from lake.places import Place

LARGE = 1_000_000
"""Rows of a table from which on a merge may need too much memory: about 300 bytes each."""

MOST = 10_000
"""Keys that are named in one predicate. Each is 20 bytes in the log and 5 kB while it is looked
for."""

MERGED_ROWS = 1_000_000
"""Rows to update from which on a table is written anew: a merge takes 500 bytes for each."""

STACK = 64 * 2**20
"""Bytes of address space for delta-rs to go through a predicate, which takes 400 a key. What is not
used costs nothing; a stack that is too small ends the process."""


def is_open_to(contract: TableContract, table: DeltaTable) -> bool:
    """Tell whether rows of a table are better exchanged than merged, if they are few enough.

    Args:
        contract: The table's contract: the key has to be one column.
        table: The table: it has to be large, its key text, which another writer may have made a
            number, and it may have no feature that this has not been tried with.
    """
    types = {field.name: field.type for field in table.schema().fields}
    if [types[name] for name in contract.key] != [PrimitiveType("string")]:
        return False
    if not can_rewrite(table):
        return False
    counts = pa.table(table.get_add_actions())["num_records"]
    return bool(counts.null_count) or (pc.sum(counts).as_py() or 0) >= LARGE


def can_rewrite(table: DeltaTable) -> bool:
    """Tell whether a table has no feature that :func:`rewrite` has not been tried with."""
    return not features(table) - DATASET_FEATURES


def rewrite(
    place: Place, table: DeltaTable, rows: pa.RecordBatchReader, commit: CommitProperties
) -> None:
    """Put rows in the place of all that a table has, in the version after the one that is open.

    Args:
        place: Where the table is.
        table: The table; columns it does not have are added.
        rows: Read once, batch by batch.
        commit: What is committed with them.

    Raises:
        TableBusy: Another writer's commit has become that version.
        StoreFailed: The object store has failed.
        TableBroken: It cannot be written.
    """
    with tables.writing(place, table.version()):
        write_deltalake(
            table,
            rows,
            mode="overwrite",
            schema_mode="merge",
            writer_properties=tables.SNAPPY,
            commit_properties=traced(commit),
        )


def exchange(
    place: Place,
    table: DeltaTable,
    rows: pa.Table,
    key: str,
    commit: CommitProperties = tables.AT_ONCE,
) -> None:
    """Put rows in the place of those with the same keys, in the version after the one that is open.

    Args:
        place: Where the table is.
        table: The table; columns it does not have are added, those the rows lack become null.
        rows: Whole rows, one per key and at most :data:`MOST`.
        key: The column that says which row is which.
        commit: What is committed with them.

    Raises:
        ValueError: There are more rows than that.
        TableBusy: Another writer's commit has become that version.
        StoreFailed: The object store has failed.
        TableBroken: It cannot be written.
    """
    if len(rows) > MOST:
        raise ValueError(f"{len(rows)} rows are too many to exchange; merge more than {MOST}.")
    committed = traced(commit)  # the thread below belongs to no trace
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in rows[key].to_pylist())

    def write() -> None:
        write_deltalake(
            table,
            rows,
            mode="overwrite",
            predicate=f"{tables.quoted(key)} in ({listed})",
            schema_mode="merge",
            writer_properties=tables.SNAPPY,
            commit_properties=committed,
        )

    with tables.writing(place, table.version()):
        _on_a_large_stack(write)


def _on_a_large_stack(work: Callable[[], None]) -> None:
    """Do something in a thread of its own, whose stack is as large as we say."""
    usual = threading.stack_size(STACK)
    try:
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(work)
    finally:
        threading.stack_size(usual)
    done.result()

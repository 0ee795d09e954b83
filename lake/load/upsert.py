"""Brings staged rows into a Delta table: only those that make a difference, in one commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from lake import exchange, int96, tables
from lake.load.columns import KNOWN, LINE, PRESENT, literal, quoted

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

    from lake.contracts import TableContract
    from lake.load.staging import Staging
    from lake.places import Place


@dataclass(frozen=True)
class Upserted:
    """What became of the staged rows.

    Attributes:
        inserted: Rows with a new key.
        updated: Rows of a known key in which a value is another.
        unchanged: Rows that are in the table as they are.
    """

    inserted: int
    updated: int
    unchanged: int

    @property
    def taken(self) -> int:
        """How many rows there were, whether they made a difference or not."""
        return self.inserted + self.updated + self.unchanged


def upsert(
    staging: Staging,
    contract: TableContract,
    place: Place,
    table: DeltaTable | None,
    commit: CommitProperties = tables.AT_ONCE,
) -> Upserted:
    """Insert staged rows with a new key, and update those that differ from the table's.

    A column that the source does not have keeps its values. A new column is added when it first
    has a value. Where nothing differs nothing is written.

    Args:
        staging: The rows, one per key.
        contract: The table's contract.
        place: Where the table is, or is to be made.
        table: The version to compare with, or ``None`` to make the table.
        commit: What is committed with the rows.

    Raises:
        TableBusy: Another writer's commit came in between; nothing has been written.
        StoreFailed: The object store has failed.
        TableBroken: The table cannot be read or written.
    """
    total = staging.count("staged")
    if table is None:
        schema = _grown(staging, contract.schema)
        tables.create(place, staging.rows("staged", schema), commit)
        return Upserted(total, 0, 0)
    can_exchange = exchange.is_open_to(contract, table)
    can_rewrite = exchange.can_rewrite(table)
    whole = can_exchange or (can_rewrite and total > exchange.MERGED_ROWS)
    inserted, updated = _compare(staging, contract, place, table, whole=whole)
    if inserted or updated:
        if updated:
            int96.refuse(f"The Delta table in {place}", place, table, "updated")
        grown = _grown(staging, pa.schema(table.schema().to_arrow()))
        brought = pa.schema([field for field in grown if field.name in staging.columns.types])
        if not updated:  # a merge would write the whole table anew
            tables.append(place, table, staging.rows("changed", brought), commit)
        elif can_exchange and inserted + updated <= exchange.MOST:
            (key,) = contract.key
            rows = staging.rows("changed", grown).read_all()
            exchange.exchange(place, table, rows, key, commit)
        elif whole and updated > exchange.MERGED_ROWS:
            with staging.beside("target", place, table):
                _gather(staging, contract)
                exchange.rewrite(place, table, staging.rows("written", grown), commit)
        else:
            updates = staging.rows("changed", brought)
            tables.merge(place, table, updates, contract.key, commit)
    return Upserted(inserted, updated, total - inserted - updated)


def _gather(staging: Staging, contract: TableContract) -> None:
    """Make a view ``written`` of all rows that the table is to have."""
    key = ", ".join(map(quoted, contract.key))
    staging.database.execute(
        f"""
        create or replace temp view written as
        select * from changed
        union all by name select target.* from target anti join changed using ({key})
        """  # noqa: S608 - quoted names
    )


def _grown(staging: Staging, schema: pa.Schema) -> pa.Schema:
    """Return a table's schema with the staged columns that are new and have a value."""
    new = [name for name in staging.columns.types if name not in schema.names]
    counts = ", ".join(f"count({quoted(name)})" for name in (LINE, *new))
    query = f"select {counts} from staged"  # noqa: S608 - quoted names
    _, *values = staging.database.execute(query).fetchall()[0]
    types = staging.columns.types
    added = [pa.field(name, types[name]) for name, count in zip(new, values, strict=True) if count]
    return pa.schema([*schema, *added])


def _compare(
    staging: Staging,
    contract: TableContract,
    place: Place,
    table: DeltaTable,
    *,
    whole: bool,
) -> tuple[int, int]:
    """Make the table ``changed`` of what is to be written; return its new and its known rows.

    A line that lacks some of the source's columns, as NDJSON may, keeps the table's values there.
    Where whole rows are asked for, the columns that the source does not have are there as well.
    """
    has = pa.schema(table.schema().to_arrow())
    names = staging.columns.types
    values = {name: f"s.{quoted(name)}" for name in names}
    matches = [f"s.{quoted(name)} = t.{quoted(name)}" for name in contract.key]
    new_key = f"t.{quoted(contract.key[0])} is null"
    differences = [new_key]
    for name in names:
        if name in contract.key:
            continue
        if name not in has.names:
            differences.append(f"s.{quoted(name)} is not null")
            continue
        if staging.partial:
            values[name] = (
                f"if(list_contains(s.{PRESENT}, {literal(name)}), s.{quoted(name)}, "
                f"t.{quoted(name)})"
            )
        differences.append(f"{values[name]} is distinct from t.{quoted(name)}")
    if whole:
        values |= {name: f"t.{quoted(name)}" for name in has.names if name not in names}
    selected = ", ".join(f"{value} as {quoted(name)}" for name, value in values.items())
    # DuckDB does not know how large a Delta table is, and would take it for the smaller side, whose
    # hash table it keeps: the right one is the source's.
    staging.database.execute("set disabled_optimizers = 'build_side_probe_side'")
    with staging.beside("target", place, table):
        staging.database.execute(
            f"""
            create or replace table changed as
            select s.{LINE}, not {new_key} as {KNOWN}, {selected}
            from target as t right join staged as s on {" and ".join(matches)}
            where {" or ".join(differences)}
            """  # noqa: S608 - quoted names
        )
    counts = f"""
        select count(distinct {LINE}) < count(*), count(*) filter (not {KNOWN}),
            count(distinct {LINE}) filter ({KNOWN}) from changed
    """  # noqa: S608 - constants
    ((twice, inserted, updated),) = staging.database.execute(counts).fetchall()
    if twice:  # a key that another writer left twice in the table is still one row here
        first = f"select min(rowid) from changed group by {LINE}"  # noqa: S608 - a constant
        staging.database.execute(f"delete from changed where rowid not in ({first})")  # noqa: S608
    return inserted, updated

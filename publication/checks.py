"""Whether a file is what a publication has to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import msgspec

from publication.connection import first_line
from publication.errors import DraftRejected
from publication.manifest import Mart, MartDraft
from publication.properties import type_of
from publication.sql import identifier, listed, literal
from publication.types import REACH, beyond

if TYPE_CHECKING:
    from collections.abc import Iterable

STORAGE_VERSION = "v1.2.0"
"""The oldest DuckDB that has to be able to open a publication."""

_OBJECTS = """
    select 'view', schema_name, view_name from duckdb_views()
    where database_name = current_database() and not internal
    union all
    select 'sequence', schema_name, sequence_name from duckdb_sequences()
    where database_name = current_database()
    union all
    select 'macro', schema_name, function_name from duckdb_functions()
    where database_name = current_database() and not internal
    union all
    select 'type', schema_name, type_name from duckdb_types()
    where database_name = current_database() and not internal
    union all
    select 'table', schema_name, table_name from duckdb_tables()
    where database_name = current_database() and schema_name <> 'meta'
    order by all
"""


def check_objects(connection: duckdb.DuckDBPyConnection, marts: Iterable[MartDraft]) -> None:
    """Check that the file holds the marts as tables, and nothing else but ``meta``.

    Raises:
        DraftRejected: Something else is there (a view, a table of another name), or the file is
            too new to be read by older DuckDB tools.
    """
    (tags,) = connection.execute(
        "select tags from duckdb_databases() where database_name = current_database()"
    ).fetchall()[0]
    if not str(tags.get("storage_version", "")).startswith(STORAGE_VERSION):
        raise DraftRejected(
            f"The file has storage version {tags.get('storage_version')}; "
            f"make it with {STORAGE_VERSION}, as the path from Store.stage has it."
        )
    expected = {("table", "main", mart.name) for mart in marts}
    found = set(connection.execute(_OBJECTS).fetchall())
    for kind, schema, name in sorted(found - expected):
        raise DraftRejected(
            f'The file holds the {kind} "{schema}.{name}", which is no mart; '
            "a publication holds its marts and nothing else."
        )


def check_columns(connection: duckdb.DuckDBPyConnection, mart: MartDraft) -> None:
    """Check that a mart is there, with its contracted columns in their order.

    Raises:
        DraftRejected: It is missing, or a column differs in name, order or type.
    """
    found = connection.execute(
        "select column_name, data_type from duckdb_columns() where schema_name = 'main' "
        "and database_name = current_database() and table_name = ? order by column_index",
        [mart.name],
    ).fetchall()
    if not found:
        raise DraftRejected(f'Mart "{mart.name}" is missing from the file.')
    contracted = [(column.name, type_of(mart, column).name) for column in mart.columns]
    if found != contracted:
        raise DraftRejected(
            f'Mart "{mart.name}" has the columns {_spelled(found)}, '
            f"but its contract says {_spelled(contracted)}."
        )


def _spelled(columns: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns) or "(none)"


def check_values(connection: duckdb.DuckDBPyConnection, mart: MartDraft) -> None:
    """Check that every format can write a mart's values alike.

    Raises:
        DraftRejected: One of them is out of what some format has.
    """
    for column in mart.columns:
        name = identifier(column.name)
        found = (outside := beyond(name, type_of(mart, column))) and connection.execute(
            f"select cast({name} as varchar) from {identifier('main', mart.name)} "  # noqa: S608 quoted
            f"where {outside} limit 1"
        ).fetchone()
        if found:
            raise DraftRejected(
                f'Column "{column.name}" of mart "{mart.name}" holds {found[0]}, and {REACH}; '
                "make it null or another type."
            )


def check_grain(connection: duckdb.DuckDBPyConnection, mart: MartDraft) -> None:
    """Check that a mart's grain names each row once.

    Raises:
        DraftRejected: A value of the grain repeats or is null.
    """
    table, grain = identifier("main", mart.name), listed(mart.grain)
    nulls = " or ".join(f"{identifier(column)} is null" for column in mart.grain)
    if connection.execute(f"select 1 from {table} where {nulls} limit 1").fetchone():  # noqa: S608 quoted
        raise DraftRejected(f'The grain of mart "{mart.name}" ({grain}) is null in a row.')
    repeated = connection.execute(
        f"select {grain} from {table} group by all having count(*) > 1 order by all limit 1"  # noqa: S608 quoted
    ).fetchone()
    if repeated:
        raise DraftRejected(
            f'The grain of mart "{mart.name}" ({grain}) is not unique: '
            f"({', '.join(map(str, repeated))}) is there more than once."
        )


def counted(connection: duckdb.DuckDBPyConnection, draft: MartDraft) -> Mart:
    """Complete a mart with its rows' number and order, and its types as DuckDB spells them."""
    try:
        rows, is_sorted = connection.execute(
            "select count(*), coalesce(bool_and(place = rank), true) from ("  # noqa: S608 quoted
            f"select rowid as place, row_number() over (order by {listed(draft.grain)}) - 1 as rank"
            f" from {identifier('main', draft.name)})"
        ).fetchall()[0]
    except duckdb.Error as error:
        raise DraftRejected(
            f"Mart {literal(draft.name)} cannot be read: {first_line(error)}"
        ) from error
    columns = tuple(
        msgspec.structs.replace(column, type=type_of(draft, column).name)
        for column in draft.columns
    )
    known = {field: getattr(draft, field) for field in MartDraft.__struct_fields__}
    return Mart(**{**known, "columns": columns}, rows=rows, sorted=is_sorted)

"""Whether a file is what a publication has to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import msgspec

from publication.connection import first_line
from publication.errors import DraftRejected
from publication.manifest import Column, Mart, MartDraft
from publication.sql import identifier, listed, literal
from publication.types import REACH, beyond, nearest, read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publication.types import Type

QUERY_WORDS = frozenset(
    {
        "and",
        "columns",
        "date_cols",
        "dense",
        "end",
        "format",
        "limit",
        "not",
        "offset",
        "on_conflict",
        "or",
        "order",
        "publication",
        "select",
        "since",
        "start",
    }
)
"""No column of a mart may be named so: these are words of the API's queries."""

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


def check_names(marts: Iterable[MartDraft]) -> None:
    """Check what can be said of the marts without their file.

    Raises:
        DraftRejected: There is no mart, two share a name, a grain is missing or names no column,
            a column is named like a word of the API's queries, or its type is not published.
    """
    names: set[str] = set()
    for mart in marts:
        if mart.name.lower() in names:
            raise DraftRejected(f'Two marts are named "{mart.name}"; rename one.')
        names.add(mart.name.lower())
        if not mart.grain:
            raise DraftRejected(
                f'Mart "{mart.name}" does not name its grain; add config.meta.grain to its YAML.'
            )
        columns = [column.name for column in mart.columns]
        for named in mart.grain:
            if named not in columns:
                raise DraftRejected(
                    f'The grain of mart "{mart.name}" names "{named}", which is none of its '
                    f"columns ({', '.join(columns)}); mend config.meta.grain in its YAML."
                )
        for column in mart.columns:
            _check_column(mart, column)
    if not names:
        raise DraftRejected("There is no public mart to publish; set access: public on a model.")


def _check_column(mart: MartDraft, column: Column) -> None:
    if column.name.lower() in QUERY_WORDS:
        raise DraftRejected(
            f'Column "{column.name}" of mart "{mart.name}" is named like a word of the API\'s '
            "queries; rename it."
        )
    contracted = _type(mart, column)
    if (other := nearest(contracted)) != contracted:
        raise DraftRejected(
            f'Column "{column.name}" of mart "{mart.name}" is {contracted.name}, which JSON, CSV, '
            f"Arrow and Parquet do not write alike; cast it to {other.name}."
        )


def _type(mart: MartDraft, column: Column) -> Type:
    """Read a column's contracted type; DuckDB spells it otherwise: ``text`` is ``VARCHAR``.

    Raises:
        DraftRejected: DuckDB knows no such type.
    """
    try:
        return read(column.type)
    except duckdb.Error as error:
        raise DraftRejected(
            f'Column "{column.name}" of mart "{mart.name}" is contracted as "{column.type}", '
            f"which is no type of DuckDB's; set its data_type."
        ) from error


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
    contracted = [(column.name, duckdb_type(mart, column)) for column in mart.columns]
    if found != contracted:
        raise DraftRejected(
            f'Mart "{mart.name}" has the columns {_spelled(found)}, '
            f"but its contract says {_spelled(contracted)}."
        )


def _spelled(columns: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns) or "(none)"


def duckdb_type(mart: MartDraft, column: Column) -> str:
    """Spell a column's contracted type as DuckDB does; raises as :func:`check_names`."""
    return _type(mart, column).name


def check_values(connection: duckdb.DuckDBPyConnection, mart: MartDraft) -> None:
    """Check that every format can write a mart's values alike.

    Raises:
        DraftRejected: One of them is out of what some format has.
    """
    for column in mart.columns:
        name = identifier(column.name)
        found = (outside := beyond(name, _type(mart, column))) and connection.execute(
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
        msgspec.structs.replace(column, type=duckdb_type(draft, column)) for column in draft.columns
    )
    known = {field: getattr(draft, field) for field in MartDraft.__struct_fields__}
    return Mart(**{**known, "columns": columns}, rows=rows, sorted=is_sorted)

"""Whether a file is what a publication has to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publication import fingerprint
from publication.errors import DraftRejected
from publication.properties import type_of
from publication.sql import identifier, listed
from publication.types import REACH, beyond

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publication.connection import MartFile
    from publication.manifest import MartDraft

STORAGE_VERSION = "v1.2.0"
"""The oldest DuckDB that has to be able to open a publication."""

_OBJECTS = """
    select 'view', schema_name, view_name from duckdb_views()
    where database_name = $catalog and not internal
    union all
    select 'sequence', schema_name, sequence_name from duckdb_sequences()
    where database_name = $catalog
    union all
    select 'macro', schema_name, function_name from duckdb_functions()
    where database_name = $catalog and not internal
    union all
    select 'type', schema_name, type_name from duckdb_types()
    where database_name = $catalog and not internal
    union all
    select 'table', schema_name, table_name from duckdb_tables()
    where database_name = $catalog and schema_name <> 'meta'
    order by all
"""


def check_objects(file: MartFile, marts: Iterable[MartDraft]) -> None:
    """Check that the file holds the marts as tables, and nothing else but ``meta``.

    Raises:
        DraftRejected: Something else is there (a view, a table of another name), or the file is
            too new to be read by older DuckDB tools.
    """
    catalog = {"catalog": file.catalog}
    (tags,) = file.connection.execute(
        "select tags from duckdb_databases() where database_name = $catalog", catalog
    ).fetchall()[0]
    if not str(tags.get("storage_version", "")).startswith(STORAGE_VERSION):
        raise DraftRejected(
            f"The file has storage version {tags.get('storage_version')}; "
            f"make it with {STORAGE_VERSION}, as the path from Store.stage has it."
        )
    expected = {("table", "main", mart.name) for mart in marts}
    found = set(file.connection.execute(_OBJECTS, catalog).fetchall())
    for kind, schema, name in sorted(found - expected):
        raise DraftRejected(
            f'The file holds the {kind} "{schema}.{name}", which is no mart; '
            "a publication holds its marts and nothing else."
        )


def check_columns(file: MartFile, mart: MartDraft) -> None:
    """Check that a mart is there, with its contracted columns in their order.

    Raises:
        DraftRejected: It is missing, or a column differs in name, order or type.
    """
    found = file.connection.execute(
        "select column_name, data_type from duckdb_columns() where schema_name = 'main' "
        "and database_name = ? and table_name = ? order by column_index",
        [file.catalog, mart.name],
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


def check_rows(file: MartFile, mart: MartDraft) -> tuple[int, str]:
    """Read a mart once, and check that every format can write its values alike.

    Returns:
        How many rows there are, and their fingerprint.

    Raises:
        DraftRejected: A value is out of what some format has, or null in the grain.
    """
    nulls = " or ".join(f"{identifier(column)} is null" for column in mart.grain)
    limited = {
        column: f"min(cast({identifier(column.name)} as varchar)) filter (where {outside})"
        for column in mart.columns
        if (outside := beyond(identifier(column.name), type_of(mart, column)))
    }
    found = ", ".join(
        ["count(*)", fingerprint.sums(mart.columns), f"bool_or({nulls})", *limited.values()]
    )
    rows, first, second, has_null, *beyond_reach = file.connection.execute(
        f"select {found} from {file.table(mart.name)}"  # noqa: S608 quoted
    ).fetchall()[0]
    for column, value in zip(limited, beyond_reach, strict=True):
        if value is not None:
            raise DraftRejected(
                f'Column "{column.name}" of mart "{mart.name}" holds {value}, and {REACH}; '
                "make it null or another type."
            )
    if has_null:
        raise DraftRejected(
            f'The grain of mart "{mart.name}" ({listed(mart.grain)}) is null in a row.'
        )
    return rows, fingerprint.spelled(rows, first, second)


def check_grain(file: MartFile, mart: MartDraft) -> bool:
    """Check that a mart's grain names each row once.

    Each row is compared with the one before it. That takes no memory while they lie in the order
    of the grain, as the builder writes them; otherwise they are sorted first.

    Returns:
        Whether the rows lie in the file in the order of the grain.

    Raises:
        DraftRejected: A value of the grain is there more than once.
    """
    table, grain = file.table(mart.name), listed(mart.grain)

    def compared(order: str) -> tuple[int, int]:
        earlier, equal = file.connection.execute(
            "select count(*) filter (where here < before), count(*) filter (where here = before) "  # noqa: S608 quoted
            f"from (select row({grain}) as here, lag(row({grain})) over ({order}) as before "
            f"from {table})"
        ).fetchall()[0]
        return earlier, equal

    earlier, equal = compared("")
    if earlier:
        _, equal = compared(f"order by {grain}")
    if equal:
        repeated = file.connection.execute(
            f"select {grain} from {table} group by all having count(*) > 1 order by all limit 1"  # noqa: S608 quoted
        ).fetchall()[0]
        raise DraftRejected(
            f'The grain of mart "{mart.name}" ({grain}) is not unique: '
            f"({', '.join(map(str, repeated))}) is there more than once."
        )
    return not earlier

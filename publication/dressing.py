"""What a file of marts needs besides its rows: comments, NOT NULL, and the ``meta`` schema.

``meta`` tells an analyst who has nothing but the file what it is. It says no number: a rollback
publishes the same bytes under another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import msgspec

from publication.checks import check_columns
from publication.errors import DraftRejected
from publication.properties import type_of
from publication.sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Container
    from datetime import datetime

    from publication.connection import MartFile
    from publication.manifest import Draft, MartDraft

_META = """
create schema {meta};
create table {meta}.build (
    built_at timestamptz not null, invocation_id varchar not null, command varchar not null,
    project_version varchar not null, git_commit varchar, tests varchar not null
);
create table {meta}.sources (
    name varchar not null, uri varchar not null, table_id varchar not null,
    version bigint not null, committed_at timestamptz not null
);
create table {meta}.marts (
    mart varchar not null, description varchar not null, grain varchar[] not null, scope varchar
);
create table {meta}.columns (
    mart varchar not null, position integer not null, name varchar not null,
    type varchar not null, nullable boolean not null, description varchar not null
);
create table {meta}.tests (mart varchar not null, test varchar not null, status varchar not null);
comment on table {meta}.build is 'The dbt run that made this file. One row.';
comment on table {meta}.sources is 'The one version of each lake table that the run read.';
comment on table {meta}.marts is 'The tables of the main schema. One row per mart.';
comment on table {meta}.columns is 'One row per column of a mart, in order.';
comment on table {meta}.tests is 'One row per mart and dbt test: passed, warned or not-run.';
"""


def dress(
    file: MartFile, draft: Draft, built_at: datetime, reused: Container[str] = frozenset()
) -> None:
    """Finish a staged file in place, and leave no write-ahead log beside it.

    Args:
        file: The file with the marts as tables, open to write.
        draft: What dbt knows of them.
        built_at: In UTC.
        reused: The marts that have their NOT NULL already.

    Raises:
        DraftRejected: The tables are not as contracted, or hold a null where they may not.
        duckdb.Error: There is no room for it, or something else is in the way.
    """
    for mart in draft.marts:
        check_columns(file, mart)
        _comment(file, mart)
        if mart.name not in reused:
            _forbid_nulls(file, mart)
    file.connection.execute(_META.format(meta=identifier(file.catalog, "meta")))
    _fill_meta(file, draft, built_at)
    file.connection.execute(f"checkpoint {identifier(file.catalog)}")


def _comment(file: MartFile, mart: MartDraft) -> None:
    table = file.table(mart.name)
    file.connection.execute(f"comment on table {table} is {literal(mart.description)}")
    for column in mart.columns:
        name = f"{table}.{identifier(column.name)}"
        file.connection.execute(f"comment on column {name} is {literal(column.description)}")


def _forbid_nulls(file: MartFile, mart: MartDraft) -> None:
    for column in mart.columns:
        if column.nullable:
            continue
        name = identifier(column.name)
        try:
            file.connection.execute(
                f"alter table {file.table(mart.name)} alter column {name} set not null"
            )
        except duckdb.ConstraintException as error:
            raise DraftRejected(
                f'Column "{column.name}" of mart "{mart.name}" is null in a row, '
                "but its contract or its grain says never."
            ) from error


def _fill_meta(file: MartFile, draft: Draft, built_at: datetime) -> None:
    def insert(table: str, rows: list[tuple[object, ...]]) -> None:
        for row in rows:
            places = ", ".join("?" for _ in row)
            file.connection.execute(
                f"insert into {file.table(table, 'meta')} values ({places})",  # noqa: S608 quoted
                row,
            )

    build = draft.build
    insert("build", [(built_at, *msgspec.structs.astuple(build))])
    insert("sources", [msgspec.structs.astuple(source) for source in draft.sources])
    for mart in draft.marts:
        insert("marts", [(mart.name, mart.description, list(mart.grain), mart.scope)])
        insert(
            "columns",
            [
                (
                    mart.name,
                    position,
                    column.name,
                    type_of(mart, column).name,
                    column.nullable,
                    column.description,
                )
                for position, column in enumerate(mart.columns, start=1)
            ],
        )
        insert("tests", [(mart.name, test.name, test.status) for test in mart.tests])

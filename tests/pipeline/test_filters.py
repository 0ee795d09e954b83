"""Filters that DuckDB pushes into a Delta table find the rows that the table has."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import places
from lake.contracts import LEADS
from lake.load import load
from lake.pinned import pin
from lake.scan import EngineScan, reading, scan
from tests.pipeline.foreign_tables import KINDS, PROPER, File, Table, foreign_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.pipeline.conftest import Project

COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")


def literal(value: Any, kind: str) -> str:
    """Write a value in SQL."""
    if kind == "date":
        return f"(date '1970-01-01' + {value})"
    if kind == "boolean":
        return str(value).lower()
    if kind.startswith("timestamp"):
        zoned = "timestamptz" if kind == "timestamp" else "timestamp"
        return f"{zoned} '{value}'"
    if isinstance(value, str):
        return f"'{value}'"
    type_ = {"double": "double", "float": "float", "decimal": "decimal(20,2)"}.get(kind)
    return f"'{value}'::{type_}" if type_ else str(value)


@st.composite
def conditions(draw: st.DrawFn, table: Table) -> str:
    """Draw a condition on one column."""
    name = draw(st.sampled_from([*table.columns]))
    kind = table.columns[name]
    one = st.sampled_from(KINDS[kind].values).map(lambda value: literal(value, kind))
    match draw(st.integers(0, 6)):
        case 0:
            return f"{name} is null"
        case 1:
            return f"{name} is not null"
        case 2:
            listed = ", ".join(draw(st.lists(one, min_size=1, max_size=3)))
            return f"{name} {draw(st.sampled_from(['in', 'not in']))} ({listed})"
        case 3:
            return f"{name} between {draw(one)} and {draw(one)}"
        case 4:
            not_ = draw(st.sampled_from(["", "not "]))
            return f"{name} is {not_}distinct from {draw(one)}"
        case _:
            return f"{name} {draw(st.sampled_from(COMPARISONS))} {draw(one)}"


@st.composite
def filters(draw: st.DrawFn, table: Table) -> str:
    """Draw conditions joined by `and`, `or` and `not`."""
    joined = draw(conditions(table))
    for _ in range(draw(st.integers(0, 2))):
        joined = f"({joined} {draw(st.sampled_from(['and', 'or']))} {draw(conditions(table))})"
        joined = draw(st.sampled_from(["", "not "])) + joined
    return joined


def rows(connection: duckdb.DuckDBPyConnection, name: str, columns: str, condition: str) -> Any:
    query = f"select {columns} from {name} where {condition}"
    return sorted(connection.execute(query).fetchall(), key=repr)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def check(
    connection: duckdb.DuckDBPyConnection, folder: Path, table: Table, conditions: list[str]
) -> None:
    """Compare each reader, with each filter, to the rows that were drawn."""
    table.write(folder)
    place, opened = places.at(str(folder)), DeltaTable(folder)
    connection.register("drawn", table.rows())
    connection.execute("create or replace table known as from drawn")
    # As text: Python has no dates after 9999, and no NaN is equal to another.
    columns = ", ".join(f"{name}::varchar" for name in table.columns)
    with reading(place, opened) as sparing:
        readers = {"build": scan(place, opened), "load": sparing}
        if not table.breaks_its_word:  # the engine names the column then
            readers["engine"] = EngineScan(opened, [])
        for reader, source in readers.items():
            connection.register("found", source)
            for condition in ["true", *conditions]:
                got = rows(connection, "found", columns, condition)
                assert got == rows(connection, "known", columns, condition), (reader, condition)
            connection.unregister("found")


@settings(max_examples=30)
@given(data=st.data())
def test_a_filtered_read_is_an_unfiltered_read_filtered(
    connection: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    table = data.draw(foreign_tables())
    conditions = data.draw(st.lists(filters(table), min_size=1, max_size=4))
    check(connection, tmp_path_factory.mktemp("foreign") / "table", table, conditions)


@pytest.mark.soak
@settings(max_examples=2000)
@given(data=st.data())
def test_two_thousand_filtered_reads(
    connection: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    table = data.draw(foreign_tables())
    conditions = data.draw(st.lists(filters(table), min_size=1, max_size=4))
    check(connection, tmp_path_factory.mktemp("foreign") / "table", table, conditions)


def found(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask a table of leads as a dbt model does."""
    with duckdb.connect() as connection:
        connection.register("leads", pin("leads", str(folder)).scan)
        return sorted(connection.execute(query).fetchall())


def test_a_column_that_an_older_file_lacks_is_null_there(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADMARTS_DATA", str(project.data))
    project.data.mkdir()
    for rows in ("id\na\nb\n", "id,owner\nc,\nd,Ann\n"):
        file = project.data / "leads.csv"
        file.write_text(rows)
        load(LEADS, file)
    query = "select id from leads where owner is null"
    assert found(project.leads, query) == [("a",), ("b",), ("c",)]


def test_a_flag_without_bounds_is_found(tmp_path: Path) -> None:
    """Spark's statistics have no least and no greatest boolean."""
    said = '{"numRecords": 4, "minValues": {"id": "a"}, "maxValues": {"id": "d"}, "nullCount": {}}'
    table = Table({"id": "string", "deleted": "boolean"}, frozenset(), None)
    rows = {"id": [*"abcd"], "deleted": [True, None, False, True]}
    table.files.append(File(rows, frozenset(), None, said, PROPER[0], {}, narrow=False))
    table.write(tmp_path / "leads")
    query = "select id from leads where deleted = true"
    assert found(tmp_path / "leads", query) == [("a",), ("d",)]


def test_a_decimal_is_found_as_it_was_loaded(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADMARTS_DATA", str(project.data))
    project.data.mkdir()
    budget = pa.array([Decimal("123456789012345678.91")], pa.decimal128(20, 2))
    pq.write_table(pa.table({"id": ["a"], "budget": budget}), project.data / "leads.parquet")
    load(LEADS, project.data / "leads.parquet")
    for operator in ("=", "<=", ">="):
        query = f"select id from leads where budget {operator} 123456789012345678.91"
        assert found(project.leads, query) == [("a",)]


def test_a_lead_without_an_id_fails_the_build(project: Project) -> None:
    contacts = pa.array([date(2025, 1, 1)])
    write_deltalake(project.leads, pa.table({"date_prise_contact": contacts}))
    later = pa.table({"id": ["a"], "date_prise_contact": contacts})
    write_deltalake(project.leads, later, mode="append", schema_mode="merge")
    build = project.dbt("build", "-s", "stg_leads", "stg_lead_changes")
    assert build.returncode == 1, build.stdout
    assert "FAIL 1 not_null_stg_leads_lead_id" in build.stdout, build.stdout

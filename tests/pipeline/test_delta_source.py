"""The dbt plugin that reads Delta tables, on real tables and real DuckDB connections."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from deltalake import DeltaTable, QueryBuilder, convert_to_deltalake, write_deltalake

from lake.delta_source import Plugin
from lake.errors import ContractBroken, PlaceInvalid, TableBroken, TableMissing
from lake.pinned import pin
from lake.scan import EngineScan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOREIGN = Path(
    os.environ.get("LEADMARTS_FOREIGN_TABLES", Path(__file__).parents[3] / "shared/delta_tables")
)
FOREIGN_NAMES = [
    "cdf-table",
    "checkpoint-v2-table",
    "delta-0.8.0-null-partition",
    "table-with-dv-small",
    "table_with_column_mapping",
    "table_with_edge_timestamps",
]


OPEN: list[duckdb.DuckDBPyConnection] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what a test opened.

    Python's garbage collector does not see what DuckDB's binding refers to: connections with our
    scans would be there until the interpreter ends.
    """
    yield
    while OPEN:
        OPEN.pop().close()


def connect(plugin: Plugin) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    OPEN.append(connection)
    connection.execute("set TimeZone = 'UTC'")
    plugin.configure_cursor(connection)
    return connection


def plugin_over(**tables: dict[str, Any]) -> Plugin:
    return Plugin("lake", {"tables": tables}, DuckDBCredentials(database="memory", schema="main"))


@pytest.fixture
def foreign() -> Path:
    """Where the tables are that other writers made."""
    if not FOREIGN.is_dir():
        pytest.skip(f"There are no Delta tables at {FOREIGN}: set LEADMARTS_FOREIGN_TABLES.")
    return FOREIGN


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return sorted(connection.execute(sql).fetchall(), key=repr)


def conditions(
    connection: duckdb.DuckDBPyConnection, column: str
) -> Iterator[tuple[str, list[Any]]]:
    """Filters on a column of ``known``: each with some of its values."""
    yield from ((f'"{column}" is {negated}null', []) for negated in ("", "not "))
    query = f'select distinct "{column}" from known where "{column}" is not null limit 5'
    for value in connection.execute(query).fetchall():
        for operator in ("=", "<>", "<", "<=", ">", ">="):
            yield f'"{column}" {operator} ?', [*value]
        yield f'"{column}" in (?, ?)', [*value, *value]


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_a_table_that_another_writer_made_reads_as_the_delta_engine_reads_it(
    foreign: Path, name: str
) -> None:
    if not FOREIGN.is_dir():
        pytest.skip(
            f"There are no foreign Delta tables at {FOREIGN}: set LEADMARTS_FOREIGN_TABLES."
        )
    uri = str(foreign / name)
    table = DeltaTable(uri)
    # Without this setting the engine itself reads Spark's year 9999 as 1816.
    engine = QueryBuilder({"datafusion.execution.parquet.coerce_int96": "us"})
    expected = pa.table(engine.register("t", table).execute("select * from t"))
    connection = connect(plugin_over(foreign={"uri": uri}))
    connection.register("expected", expected)

    names = expected.column_names
    columns = ", ".join(f'"{column}"' for column in names)
    for _ in range(2):  # a scan can be read again
        got = rows(connection, f"select {columns} from temp.main.foreign")
        assert got == rows(connection, f"select {columns} from expected")
    assert len(got) == expected.num_rows > 0
    assert connection.sql("from temp.main.foreign").columns == names

    connection.execute("create table known as from expected")
    for column in names:
        for condition, value in conditions(connection, column):
            query = f"select {columns} from {{}} where {condition}"
            found, known = (
                sorted(connection.execute(query.format(table), value).fetchall(), key=repr)
                for table in ("temp.main.foreign", "known")
            )
            assert found == known, (condition, value)


def test_the_edges_of_time_are_not_wrapped(foreign: Path) -> None:
    if not FOREIGN.is_dir():
        pytest.skip(
            f"There are no foreign Delta tables at {FOREIGN}: set LEADMARTS_FOREIGN_TABLES."
        )
    connection = connect(plugin_over(t={"uri": str(foreign / "table_with_edge_timestamps")}))
    assert rows(connection, "select year(BIG_DATE), SOME_VALUE from temp.main.t") == [
        (9999, 1),
        (9999, 2),
    ]


def test_every_cursor_reads_the_version_that_was_pinned_first(
    tmp_path: Path, write_leads: Callable[..., None]
) -> None:
    write_leads(tmp_path / "leads", [{"id": "a"}])
    plugin = plugin_over(leads={"uri": str(tmp_path / "leads")})
    first = connect(plugin)
    write_leads(tmp_path / "leads", [{"id": "b"}])
    second = connect(plugin)
    for connection in (first, second):
        assert rows(connection, "select id from temp.main.leads") == [("a",)]
        assert rows(connection, "select name, version from temp.main.delta_versions") == [
            ("leads", 0)
        ]
    assert rows(
        connect(plugin_over(leads={"uri": str(tmp_path / "leads")})), "select id from leads"
    ) == [
        ("a",),
        ("b",),
    ]


def test_many_threads_open_one_table_once(
    tmp_path: Path, write_leads: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_leads(tmp_path / "leads", [{"id": str(i)} for i in range(1000)])
    opened: list[str] = []

    def counting(name: str, *rest: Any) -> Any:
        opened.append(name)
        return pin(name, *rest)

    monkeypatch.setattr("lake.delta_source.pin", counting)
    plugin = plugin_over(leads={"uri": str(tmp_path / "leads")})
    parent = duckdb.connect()
    OPEN.append(parent)
    counts: list[Any] = []

    def read() -> None:
        with parent.cursor() as cursor:
            plugin.configure_cursor(cursor)
            query = "select count(distinct id) from temp.main.leads"
            counts.extend(cursor.execute(query).fetchall())

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == ["leads"]
    assert counts == [(1000,)] * 8


def test_an_older_version_is_read_by_its_number_zero_included(
    tmp_path: Path, write_leads: Callable[..., None]
) -> None:
    uri = str(tmp_path / "leads")
    before = datetime.now(UTC)
    for name in "abc":
        write_leads(tmp_path / "leads", [{"id": name}])
    for version, ids in [("0", "a"), ("1", "ab"), ("2", "abc"), ("latest", "abc")]:
        connection = connect(plugin_over(leads={"uri": uri, "version": version}))
        assert rows(connection, "select id from temp.main.leads") == [(name,) for name in ids]
        ((number, at),) = rows(connection, "select version, committed_at from delta_versions")
        assert number == len(ids) - 1
        assert before - timedelta(seconds=1) <= at <= datetime.now(UTC)
    moments = [pin("leads", uri, str(number)).committed_at for number in range(3)]
    assert moments == sorted(set(moments))


@pytest.mark.parametrize("version", ["3", "-1", "1.5", "yesterday"])
def test_a_version_that_is_not_there_is_a_sentence(
    tmp_path: Path, write_leads: Callable[..., None], version: str
) -> None:
    write_leads(tmp_path / "leads", [{"id": "a"}])
    with pytest.raises(TableMissing, match=rf"{version}.* from 0 to 0, or 'latest'\.$"):
        pin("leads", str(tmp_path / "leads"), version)


def test_contracted_columns_that_a_writer_left_out_read_as_nulls(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "leads", pa.table({"id": ["a"], "origin": ["social"]}))
    connection = connect(plugin_over(leads={"uri": str(tmp_path / "leads")}))
    assert rows(connection, "select id, origin, date_relance, deleted from temp.main.leads") == [
        ("a", "social", None, None)
    ]


def test_columns_left_out_read_as_nulls_through_the_engine_too(foreign: Path) -> None:
    if not FOREIGN.is_dir():
        pytest.skip(
            f"There are no foreign Delta tables at {FOREIGN}: set LEADMARTS_FOREIGN_TABLES."
        )
    scan = EngineScan(DeltaTable(foreign / "table-with-dv-small"), [pa.field("d", pa.date32())])
    with duckdb.connect() as connection:
        connection.register("t", scan)
        assert rows(connection, "select value, d from t") == [(i, None) for i in range(1, 9)]


def test_a_timestamp_counts_as_a_date(tmp_path: Path) -> None:
    late = datetime(2025, 1, 5, 23, 30, tzinfo=UTC)
    write_deltalake(tmp_path / "leads", pa.table({"id": ["a"], "date_relance": [late]}))
    connection = connect(plugin_over(leads={"uri": str(tmp_path / "leads")}))
    day = "select cast(date_relance as date) from temp.main.leads"
    assert rows(connection, day) == [(date(2025, 1, 5),)]
    connection.execute("set TimeZone = 'Europe/Paris'")
    assert rows(connection, day) == [(date(2025, 1, 6),)]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (pa.table({"identity": ["a"]}), r"no column id, which is part of its key \(id\)"),
        (
            pa.table({"id": ["a"], "date_relance": ["2025-01-01"]}),
            r"date_relance .* is string, but its contract says date32",
        ),
        (pa.table({"id": ["a"], "deleted": ["no"]}), "deleted .* is string, but .* says bool"),
        (pa.table({"id": [1.5]}), "id .* is double, but its contract says string"),
    ],
)
def test_a_table_that_breaks_its_contract_is_a_sentence(
    tmp_path: Path, table: pa.Table, sentence: str
) -> None:
    write_deltalake(tmp_path / "leads", table)
    with pytest.raises(ContractBroken, match=sentence):
        pin("leads", str(tmp_path / "leads"))


def test_a_missing_table_is_a_sentence_and_registers_nothing(tmp_path: Path) -> None:
    uri = str(tmp_path / "leads")
    with pytest.raises(TableMissing, match=f"There is no Delta table leads at {uri}: "):
        pin("leads", uri)
    connection = connect(plugin_over(leads={"uri": uri}))
    assert rows(connection, "select * from temp.main.delta_versions") == []
    assert not (tmp_path / "leads").exists()


def test_a_lost_data_file_is_a_sentence(tmp_path: Path, write_leads: Callable[..., None]) -> None:
    write_leads(tmp_path / "leads", [{"id": "a"}])
    write_leads(tmp_path / "leads", [{"id": "b"}])
    (lost, *_) = (tmp_path / "leads").glob("*.parquet")
    lost.unlink()
    with pytest.raises(TableBroken, match=f"lacks 1 of its data files .{lost.name}"):
        pin("leads", str(tmp_path / "leads"))


@pytest.mark.parametrize("damage", ["{broken", "[]", "\0\0"])
def test_a_damaged_log_is_a_sentence(
    tmp_path: Path, write_leads: Callable[..., None], damage: str
) -> None:
    write_leads(tmp_path / "leads", [{"id": "a"}])
    (tmp_path / "leads" / "_delta_log" / f"{0:020}.json").write_text(damage)
    with pytest.raises(TableBroken, match="cannot be read"):
        pin("leads", str(tmp_path / "leads"))


def test_a_feature_that_no_reader_understands_is_named(
    tmp_path: Path, write_leads: Callable[..., None]
) -> None:
    write_leads(tmp_path / "leads", [{"id": "a"}])
    log = tmp_path / "leads" / "_delta_log" / f"{0:020}.json"
    plain = '"minReaderVersion":1,"minWriterVersion":2'
    assert plain in log.read_text()
    unknown = (
        '"minReaderVersion":3,"minWriterVersion":7,'
        '"readerFeatures":["typeWidening"],"writerFeatures":["typeWidening"]'
    )
    log.write_text(log.read_text().replace(plain, unknown))
    with pytest.raises(TableBroken, match="typeWidening"):
        pin("leads", str(tmp_path / "leads"))


def test_a_path_may_have_spaces_and_accents(
    tmp_path: Path, write_leads: Callable[..., None]
) -> None:
    uri = tmp_path / "données à moi" / "leads"
    write_leads(uri, [{"id": "a"}])
    assert rows(connect(plugin_over(leads={"uri": str(uri)})), "select id from leads") == [("a",)]


@pytest.mark.parametrize("value", ["a b", "a%20b", "é/ç"])
def test_a_partition_may_have_any_name(tmp_path: Path, value: str) -> None:
    table = pa.table({"id": ["a"], "origin": [value]})
    write_deltalake(tmp_path / "leads", table, partition_by=["origin"])
    connection = connect(plugin_over(leads={"uri": str(tmp_path / "leads")}))
    assert rows(connection, "select id, origin from temp.main.leads") == [("a", value)]


def test_a_column_is_the_same_in_any_case(tmp_path: Path) -> None:
    table = pa.table({"ID": ["a", "b"], "Deleted": [True, None]})
    write_deltalake(tmp_path / "leads", table)
    connection = connect(plugin_over(leads={"uri": str(tmp_path / "leads")}))
    assert rows(connection, "select id, deleted from temp.main.leads") == [
        ("a", True),
        ("b", None),
    ]


def test_spark_timestamps_keep_their_century(tmp_path: Path) -> None:
    far = datetime(9999, 12, 31, tzinfo=UTC)
    pq.write_table(
        pa.table({"at": pa.array([far], pa.timestamp("us", tz="UTC"))}),
        tmp_path / "part-0.parquet",
        use_deprecated_int96_timestamps=True,
    )
    convert_to_deltalake(tmp_path)
    table = DeltaTable(tmp_path)
    connection = connect(plugin_over(spark={"uri": str(tmp_path)}))
    connection.register("engine", EngineScan(table, []))
    for name in ("spark", "engine"):
        assert rows(connection, f"select \"at\" = timestamptz '{far}' from {name}") == [(True,)]


def test_a_commit_time_inside_the_commit_wins(
    tmp_path: Path, write_leads: Callable[..., None]
) -> None:
    """Files that were copied have new times; `inCommitTimestamp` stays (Delta's protocol)."""
    write_leads(tmp_path / "leads", [{"id": "a"}])
    log = tmp_path / "leads" / "_delta_log" / f"{0:020}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"]["inCommitTimestamp"] = 1_700_000_000_000
    log.write_text("\n".join(map(json.dumps, actions)))
    pinned = pin("leads", str(tmp_path / "leads"))
    assert pinned.committed_at == datetime.fromtimestamp(1_700_000_000, UTC)


def test_a_version_that_was_cleaned_up_is_a_sentence(
    tmp_path: Path, write_leads: Callable[..., None]
) -> None:
    for name in "abc":
        write_leads(tmp_path / "leads", [{"id": name}])
    DeltaTable(tmp_path / "leads").create_checkpoint()
    (tmp_path / "leads" / "_delta_log" / f"{0:020}.json").unlink()
    assert pin("leads", str(tmp_path / "leads")).version == 2
    with pytest.raises(TableMissing, match=r"no longer kept .* name a newer one, up to 2"):
        pin("leads", str(tmp_path / "leads"), "0")


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("s3://key:secret@bucket/leads", "^s3://bucket/leads is given with more than a place"),
        ("az://lake/leads?sig=secret", "^az://lake/leads is given with more than a place"),
        ("http://127.0.0.1/leads", "^http://127.0.0.1/leads is not on this machine"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_anything_is_asked(
    uri: str, sentence: str
) -> None:
    with pytest.raises(PlaceInvalid, match=sentence) as refused:
        pin("leads", uri)
    assert "secret" not in str(refused.value)


def test_a_file_where_the_table_should_be_is_one_plain_line(tmp_path: Path) -> None:
    (tmp_path / "leads").write_text("not a folder")
    with pytest.raises(TableBroken, match="cannot be read") as refused:
        pin("leads", str(tmp_path / "leads"))
    assert str(refused.value).isprintable()

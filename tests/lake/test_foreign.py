"""The lake's commands over tables that other writers made: nothing is lost, nothing ends oddly."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from deltalake import DeltaTable, convert_to_deltalake, write_deltalake

from lake import int96
from lake.__main__ import main
from lake.errors import TableBroken
from lake.pinned import pin
from lake.upkeep import retention
from lake.upkeep.found import need

FOR_EVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
EVERY_COMMAND = (
    ("status", "leads"),
    ("history", "leads"),
    ("compact", "leads"),
    ("vacuum", "leads", "--dry-run"),
)


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def spark(lake, *parts):
    """Write leads as Spark does by default, a file a part: moments are INT96."""
    folder = lake.folder("leads")
    folder.mkdir(parents=True)
    for number, moments in enumerate(parts):
        ids = [f"{number}{letter}" for letter in "abcdef"[: len(moments)]]
        rows = pa.table({"id": ids, "date_relance": pa.array(moments, pa.timestamp("us", "UTC"))})
        file = folder / f"{number}.parquet"
        pq.write_table(rows, file, use_deprecated_int96_timestamps=True, store_schema=False)
    convert_to_deltalake(folder)


def moments(lake):
    """Every lead's moment, as another reader finds it in the files."""
    files = DeltaTable(lake.folder("leads")).file_uris()
    query = "select id, date_relance::varchar from read_parquet($files) order by id"
    return dict(duckdb.execute(query, {"files": files}).fetchall())


def test_spark_moments_that_would_wrap_are_left_alone(lake):
    soon = datetime(2025, 1, 1, tzinfo=UTC)
    spark(lake, [FOR_EVER, soon], [soon])
    before = moments(lake)
    assert before["0a"] == "9999-12-31 23:59:59"
    code, said = run("compact", "leads")
    assert code == 1
    assert "moments before 1677 or after 2262 in date_relance" in said
    with pytest.raises(TableBroken, match=r"INT96, and cannot be updated from here without harm"):
        lake.load("l.csv", "id,owner\n0b,Ann\n")
    assert moments(lake) == before
    assert lake.counts("l.csv", "id,owner\nnew,Ann\n") == (1, 0, 0, 0), "a row can be added"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.struct([("t", pa.timestamp("us", "UTC"))]), {"t": FOR_EVER}),
        (pa.list_(pa.timestamp("us", "UTC")), [FOR_EVER]),
        (
            pa.struct([("l", pa.list_(pa.struct([("t", pa.timestamp("us", "UTC"))])))]),
            {"l": [{"t": FOR_EVER}]},
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, pa.DataType) else "",
)
def test_spark_moments_within_other_columns_are_left_alone(lake, kind, value):
    folder = lake.folder("leads")
    folder.mkdir(parents=True)
    for key in ("a", "b"):
        rows = pa.table({"id": [key], "x": pa.array([value], kind)})
        file = folder / f"{key}.parquet"
        pq.write_table(rows, file, use_deprecated_int96_timestamps=True, store_schema=False)
    convert_to_deltalake(folder)
    code, said = run("compact", "leads")
    assert code == 1
    assert said.startswith(
        f"Error: The Delta table leads at {folder} has moments within x, which"
    ), said
    with pytest.raises(TableBroken, match="has moments within x, which Spark wrote as INT96"):
        lake.load("l.csv", "id,owner\na,Ann\n")
    assert DeltaTable(folder).version() == 0


def test_other_moments_within_columns_stop_nothing(lake):
    kind = pa.struct([("t", pa.timestamp("us", "UTC"))])
    for key in ("a", "b"):
        rows = pa.table({"id": [key], "x": pa.array([{"t": FOR_EVER}], kind)})
        write_deltalake(lake.folder("leads"), rows, mode="append")
    assert run("compact", "leads") == (0, "leads: 2 files before, 1 after; version 2\n")
    assert lake.counts("l.csv", "id,owner\na,Ann\n") == (0, 1, 0, 0)
    assert [lead["x"]["t"] for lead in lake.by_id().values()] == [FOR_EVER] * 2


def test_moments_that_the_log_knows_are_not_looked_for_in_files(lake, monkeypatch):
    """Where the files are far away each footer is a request."""
    soon = pa.array([datetime(2025, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    for key in ("a", "b"):
        rows = pa.table({"id": [key], "seen": soon})
        write_deltalake(lake.folder("leads"), rows, mode="append")
    monkeypatch.setattr(int96, "dataset", None)
    assert lake.counts("l.csv", "id,owner\na,Ann\n") == (0, 1, 0, 0)
    assert [lead["seen"] for lead in lake.by_id().values()] == soon.to_pylist() * 2


def test_other_spark_moments_are_kept_in_compacting(lake):
    early, late = datetime(1700, 1, 1, tzinfo=UTC), datetime(2261, 1, 1, tzinfo=UTC)
    spark(lake, [early, None], [late])
    before = moments(lake)
    code, said = run("compact", "leads")
    assert (code, said) == (0, "leads: 2 files before, 1 after; version 1\n")
    assert moments(lake) == before


def test_a_date_after_the_year_9999_stops_no_command(lake):
    days = pa.array([6_700_000, 20_000], pa.int32()).cast(pa.date32())
    write_deltalake(lake.folder("leads"), pa.table({"id": ["a", "b"], "date_relance": days}))
    assert lake.counts("l.csv", "id,date_relance\nb,2025-01-01\nc,2025-01-01\n") == (1, 1, 0, 0)
    for command in EVERY_COMMAND:
        code, said = run(*command)
        assert code == 0, said
    with duckdb.connect() as connection:
        connection.register("leads", pin("leads", str(lake.folder("leads"))).scan)
        query = "select id, date_relance::varchar from leads order by id"
        assert connection.execute(query).fetchall() == [
            ("a", "20313-12-24"),
            ("b", "2025-01-01"),
            ("c", "2025-01-01"),
        ]


def altered(lake, kind, **changes):
    """Change an action in the first entry of the log of leads."""
    entry = lake.folder("leads") / "_delta_log" / f"{0:020}.json"
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    for action in actions:
        if kind in action:
            action[kind] |= changes
    entry.write_text("\n".join(map(json.dumps, actions)))


@pytest.mark.parametrize("feature", ["fromTheFuture", "typeWidening"])
def test_a_feature_that_is_not_supported_is_for_its_writer_to_turn_off(lake, feature):
    lake.load("l.csv", "id\na\n")
    features = {"readerFeatures": [feature], "writerFeatures": [feature]}
    altered(lake, "protocol", minReaderVersion=3, minWriterVersion=7, **features)
    for command in EVERY_COMMAND:
        code, said = run(*command)
        assert code == 0 or "have its writer turn that feature off.\n" in said or "harm" in said
        assert "backup" not in said
    with pytest.raises(TableBroken, match=r"have its writer turn that feature off\.$"):
        pin("leads", str(lake.folder("leads")))
    with pytest.raises(TableBroken, match=r"have its writer turn that feature off\.$"):
        lake.load("l.csv", "id\nb\n")


def test_a_null_partition_that_is_never_null_is_a_sentence(lake):
    rows = pa.table({"id": ["a"], "origin": pa.array([None], pa.string())})
    write_deltalake(lake.folder("leads"), rows, partition_by=["origin"])
    fields = json.loads(DeltaTable(lake.folder("leads")).schema().to_json())
    fields["fields"][1]["nullable"] = False
    altered(lake, "metaData", schemaString=json.dumps(fields))
    for command in EVERY_COMMAND:
        code, said = run(*command)
        assert code == 1
        assert said.endswith("have its writer let that column be null.\n")


def test_rejects_that_are_damaged_are_not_to_be_loaded_anew(lake):
    lake.load("l.csv", "id,date_relance\na,never\nb,2025-01-01\n")
    (lake.folder("leads_rejects") / "_delta_log" / f"{0:020}.json").write_text("{broken")
    code, said = run("status", "leads")
    assert code == 1
    assert said.endswith("or remove it: a load that rejects rows makes another.\n")


@pytest.mark.parametrize("time", ["soon", 1e30, {"at": 1}, None, 10**20])
def test_a_writer_may_say_anything_of_its_time(lake, time):
    lake.load("l.csv", "id\na\n")
    altered(lake, "commitInfo", timestamp=time, inCommitTimestamp=time)
    for command in EVERY_COMMAND:
        code, said = run(*command)
        assert code == 0, said
    assert pin("leads", str(lake.folder("leads"))).committed_at.year > 2000


def test_history_without_a_name_is_that_of_all_tables(lake):
    code, said = run("history")
    assert code == 1
    assert "There is no Delta table in the lake yet: " in said
    lake.load("l.csv", "id\na\n")
    assert run("history") == run("history", "leads")
    marketing = "product,campaign_type,campaign,channel,date,conversions\np,t,c,tv,2024-01-01,1\n"
    lake.load("m.csv", marketing, "marketing_conversions")
    parts = [f"{name}\n{run('history', name)[1]}" for name in ("leads", "marketing")]
    assert run("history") == (0, "".join(parts))


@pytest.mark.parametrize(
    ("asked", "hours"),
    [
        ("INTERVAL 30 DAYS", 720),
        ("interval 2 weeks", 336),
        ("interval 10 days 90 minutes", 242),
        ("240 hours", 240),
        ("interval 1 day", 168),
    ],
)
def test_a_table_asks_for_more_than_a_week_in_any_words(lake, asked, hours):
    configuration = {retention.OWN: asked}
    write_deltalake(lake.folder("leads"), pa.table({"id": ["a"]}))
    altered(lake, "metaData", configuration=configuration)
    assert retention.retention(need("leads"), None, force=False) == hours


def test_a_time_that_is_not_understood_removes_nothing(lake):
    write_deltalake(lake.folder("leads"), pa.table({"id": ["a"]}))
    altered(lake, "metaData", configuration={retention.OWN: "interval a while"})
    code, said = run("vacuum")
    assert code == 1
    assert "'interval a while', which is no time that is known here" in said
    assert run("vacuum", "--older-than", "30d", "--force")[0] == 0

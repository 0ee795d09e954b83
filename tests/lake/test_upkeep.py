"""Looking after the lake: what it says, what it changes, and what it must not."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from lake import exchange, places, tables
from lake.__main__ import main
from lake.errors import TableBroken, TableBusy
from lake.pinned import pin
from lake.upkeep.compaction import compact
from lake.upkeep.found import Found, need
from lake.upkeep.retention import hours
from lake.upkeep.vacuuming import vacuum
from tests.lake.conftest import Lake

FOREIGN = Path(
    os.environ.get("LEADMARTS_FOREIGN_TABLES", Path(__file__).parents[3] / "shared/delta_tables")
)
DAYS = 24 * 3600


def run(*arguments):
    """Run a command in this process; return its exit code, output and errors."""
    ended = CliRunner().invoke(main, arguments)
    assert ended.exception is None or isinstance(ended.exception, SystemExit)
    return ended.exit_code, ended.stdout, ended.stderr


def said(*arguments):
    code, output, errors = run(*arguments)
    assert (code, errors) == (0, "")
    return output


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A lake that was loaded four times: inserts, an update, and rows that could not be taken."""
    lake = Lake(tmp_path_factory.mktemp("worn"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEADMARTS_DATA", str(lake.data))
        for name in "abc":
            lake.load(f"{name}.csv", f"id,date_relance\n{name},2025-01-01\nx,{name}\n")
        lake.load("d.csv", "id,date_relance\na,2025-02-02\n")
    return lake


@pytest.fixture
def worn(lake, template):
    """A lake of its own that was loaded four times."""
    shutil.copytree(template.data / "lake", lake.data / "lake")
    return lake


def files(folder):
    return {path for path in folder.rglob("*") if path.is_file() and "_delta_log" not in path.parts}


def size(paths):
    return sum(path.stat().st_size for path in paths)


def grow_old(folder, days):
    """Set the clock back on everything that happened to a table, in its files and in its log."""
    then = time.time() - days * DAYS
    for entry in folder.glob("_delta_log/*.json"):
        text = entry.read_text()
        for name in ("deletionTimestamp", "modificationTime", "timestamp"):
            text = re.sub(rf'"{name}":\d+', f'"{name}":{round(then * 1000)}', text)
        entry.write_text(text)
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def test_status_says_how_each_table_is(worn):
    told = said("status")
    table = worn.table()
    live = [Path(uri) for uri in table.file_uris()]
    expected = rf"""leads
  place             {worn.folder("leads")}
  version           3, committed 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d\d\d UTC
  rows              3 in 3 files \({size(live):,} bytes\)
  change data feed  on
  table id          {table.metadata().id}
  rejects           3 rows in {worn.folder("leads_rejects")}
marketing
  place             {worn.folder("marketing_conversions")}, where there is no table yet
"""
    assert re.fullmatch(expected, told), told
    assert told.startswith(said("status", "leads"))
    assert worn.versions() == {"leads": 3, "leads_rejects": 2}, "looking changes nothing"


def test_status_of_a_broken_table_does_not_hide_the_others(worn):
    worn.load(
        "m.csv",
        "product,campaign_type,campaign,channel,date,conversions\np,t,c,tv,2024-01-01,1\n",
        "marketing_conversions",
    )
    (worn.folder("leads") / "_delta_log" / f"{0:020}.json").write_text("{broken")
    code, output, errors = run("status")
    assert code == 1
    assert "marketing\n" in output
    assert "rows              1 in 1 file (" in output
    assert errors.startswith(f"Error: The Delta table in {worn.folder('leads')} cannot be opened")
    assert errors.count("\n") == 1


def test_status_of_a_table_of_another_writer(lake):
    write_deltalake(lake.folder("leads"), pa.table({"id": ["a"]}))
    told = said("status", "leads")
    assert "change data feed  off\n" in told
    assert told.endswith("rejects           none\n")


@pytest.mark.parametrize("name", ["table-with-dv-small", "delta-0.8.0-null-partition"])
def test_rows_are_counted_as_they_are_read(lake, monkeypatch, name):
    """A row that a deletion vector marks is in the log's numbers, but not in the table."""
    if not FOREIGN.is_dir():
        pytest.skip(f"There are no Delta tables at {FOREIGN}: set LEADMARTS_FOREIGN_TABLES.")
    monkeypatch.setenv("LEADMARTS_LEADS_URI", str(FOREIGN / name))
    engine = QueryBuilder().register("t", DeltaTable(FOREIGN / name))
    rows = pa.table(engine.execute("select * from t")).num_rows
    assert f"rows              {rows} in " in said("status", "leads")


def table_of(output):
    """Read a printed table back: a list of rows, each a list of cells."""
    return [re.split(r"\s{2,}", line.strip()) for line in output.splitlines()]


def test_history_says_what_the_log_says(worn):
    head, *rows = table_of(said("history", "leads"))
    assert head == [
        *("version", "committed at", "operation", "inserted", "updated", "deleted"),
        *("files added", "files removed"),
    ]
    assert [[*row[:1], *row[2:]] for row in rows] == [
        ["3", "MERGE", "0", "1", "0", "1", "1"],
        ["2", "WRITE", "1", "-", "-", "1", "0"],
        ["1", "WRITE", "1", "-", "-", "1", "0"],
        ["0", "WRITE", "1", "-", "-", "1", "0"],
    ]
    times = [row[1] for row in rows]
    assert times == sorted(times, reverse=True)
    assert table_of(said("history", "leads", "--limit", "2")) == [head, *rows[:2]]
    told = {row[0]: row[1] for row in rows}
    for version, at in told.items():
        pinned = pin("leads", str(worn.folder("leads")), at.removesuffix(" UTC") + "+00:00")
        assert pinned.version == int(version), "a time from here can be asked for"


def test_compact_makes_one_file_of_many_and_changes_no_row(worn):
    before = worn.rows(), worn.rows("leads_rejects")
    small = files(worn.folder("leads"))
    assert said("compact") == (
        "leads: 3 files before, 1 after; version 4\n"
        "leads_rejects: 3 files before, 1 after; version 3\n"
    )
    assert (worn.rows(), worn.rows("leads_rejects")) == before
    assert len(worn.table().file_uris()) == 1
    assert small < files(worn.folder("leads")), "older versions stay"
    assert all("snappy" in uri for uri in worn.table().file_uris())
    for version in range(4):
        assert pin("leads", str(worn.folder("leads")), str(version)).version == version

    assert said("compact", "leads") == (
        "leads: 1 file before, 1 after; nothing to do\n"
        "leads_rejects: 1 file before, 1 after; nothing to do\n"
    )
    assert worn.versions() == {"leads": 4, "leads_rejects": 3}


def test_readers_of_the_change_feed_see_nothing_of_upkeep(worn):
    changed = worn.changes(0)
    said("compact", "leads")
    grow_old(worn.folder("leads"), 6)
    assert "removed 0 files" in said("vacuum", "leads")
    assert worn.changes(0) == changed
    assert worn.changes(4) == []
    said("vacuum", "leads", "--older-than", "6d", "--force")
    assert worn.table().version() == 6, "two commits tell of it"
    assert worn.changes(4) == []
    worn.load("e.csv", "id,date_relance\na,2025-03-03\ne,\n")
    expected = [("a", "update_postimage"), ("a", "update_preimage"), ("e", "insert")]
    assert worn.changes(4) == expected


def test_what_others_append_meanwhile_stays(worn):
    found = need("leads")
    worn.load("e.csv", "id\ne\n")
    done = compact(found)
    assert (done.before, done.after, done.version) == (3, 1, 5)
    assert [row["id"] for row in worn.rows()] == ["a", "b", "c", "e"]


def test_what_others_replace_meanwhile_is_not_undone(worn):
    found = need("leads")
    worn.load("e.csv", "id,date_relance\nb,2025-05-05\n")
    with pytest.raises(TableBusy, match="try again"):
        compact(found)
    assert worn.by_id()["b"]["date_relance"].month == 5
    assert worn.table().version() == 4


@pytest.mark.parametrize(("room", "write"), [(tables, "merge"), (exchange, "exchange")])
def test_a_load_that_meets_a_compaction_starts_again(worn, monkeypatch, room, write):
    """What is written was prepared on files that are no longer the table's."""
    writes, met = getattr(room, write), []

    def meet(place, table, rows, key, commit):
        if not met:
            met.append(said("compact", "leads"))
        writes(place, table, rows, key, commit)

    monkeypatch.setattr(room, write, meet)
    monkeypatch.setattr(exchange, "LARGE", 0 if room is exchange else 1000)
    assert worn.counts("e.csv", "id,date_relance\nb,2025-05-05\n") == (0, 1, 0, 0)
    assert met
    assert worn.by_id()["b"]["date_relance"].month == 5
    assert len(worn.rows()) == 3


def test_vacuum_removes_what_no_recent_version_needs(worn):
    folder = worn.folder("leads")
    said("compact", "leads")
    grow_old(folder, 8)
    (folder / "part-of-a-writer-that-was-killed.parquet").write_bytes(b"x" * 1000)
    os.utime(folder / "part-of-a-writer-that-was-killed.parquet", (0, 0))
    (folder / "part-of-a-writer-that-is-busy.parquet").write_bytes(b"x")
    rows, before = worn.rows(), files(folder)
    live = {Path(uri) for uri in worn.table().file_uris()}
    goes = before - live - {folder / "part-of-a-writer-that-is-busy.parquet"}
    assert any("_change_data" in path.parts for path in goes)

    would = f"leads: would remove {len(goes)} files ({size(goes):,} bytes), not needed for 7 days\n"
    did = would.replace("would remove", "removed")
    assert said("vacuum", "leads", "--dry-run").splitlines(keepends=True)[0] == would
    assert (files(folder), worn.table().version()) == (before, 4)
    assert said("vacuum", "leads").splitlines(keepends=True)[0] == did
    assert files(folder) == before - goes
    assert worn.rows() == rows
    assert worn.table().version() == 6
    again = said("vacuum", "leads")
    assert again.startswith("leads: removed 0 files (0 bytes), not needed for 7 days\n")
    assert worn.table().version() == 6, "nothing to do makes no version"

    with pytest.raises(TableBroken, match=r"Version 2 .* vacuumed or lost: read a newer version"):
        pin("leads", str(folder), "2")
    assert pin("leads", str(folder), "5").version == 5


def test_files_that_went_lately_stay(worn):
    """A build that started before the compaction reads them."""
    old = pin("leads", str(worn.folder("leads")))
    said("compact", "leads")
    assert "leads: removed 0 files" in said("vacuum")
    assert sorted(old.scan.to_table()["id"].to_pylist()) == ["a", "b", "c"]


@pytest.mark.parametrize("asked", ["1h", "6d", "0d", "167 hours"])
def test_less_than_a_week_is_refused_without_force(worn, asked):
    said("compact", "leads")
    before = files(worn.folder("leads"))
    code, output, errors = run("vacuum", "leads", "--older-than", asked)
    assert (code, output) == (1, "")
    assert errors.startswith("Error: Files of leads are kept for 7 days, not ")
    assert errors.endswith("nobody reads or writes the table and add --force.\n")
    assert files(worn.folder("leads")) == before
    assert "would remove" in said("vacuum", "leads", "--older-than", asked, "--dry-run")
    assert files(worn.folder("leads")) == before


def test_force_removes_now(worn):
    said("compact")
    rows = worn.rows(), worn.rows("leads_rejects")
    told = said("vacuum", "--older-than", "0h", "--force")
    assert re.match(r"leads: removed 5 files \([\d,]+ bytes\), not needed for 0 days\n", told)
    assert files(worn.folder("leads")) == {Path(uri) for uri in worn.table().file_uris()}
    assert (worn.rows(), worn.rows("leads_rejects")) == rows


def test_a_table_may_ask_for_more_than_a_week(worn):
    folder = worn.folder("leads")
    said("compact", "leads")
    longer = {"delta.deletedFileRetentionDuration": "interval 30 days"}
    worn.table().alter.set_table_properties(longer)
    grow_old(folder, 29)
    assert "leads: removed 0 files (0 bytes), not needed for 30 days" in said("vacuum", "leads")
    code, _, errors = run("vacuum", "leads", "--older-than", "8d")
    assert code == 1
    assert "Files of leads are kept for 30 days, not 8 days" in errors
    grow_old(folder, 31)
    assert "leads: removed 5 files" in said("vacuum", "leads")


def test_times():
    told = {"30d": 720, "36h": 36, "1 week": 168, "2 weeks": 336, "1 day": 24, "0h": 0}
    assert {text: hours(text) for text in told} == told
    for text in ("7", "d", "-1d", "1.5d", "1m", "7dd", "", "99999999d"):
        assert hours(text) is None


@pytest.mark.parametrize("value", ["a b", "a%20b", "é/ç"])
def test_partitions_may_have_any_name(lake, value):
    folder = lake.folder("leads")
    table = pa.table({"id": ["a"], "origin": [value]})
    for mode in ("error", "overwrite"):
        write_deltalake(folder, table, partition_by=["origin"], mode=mode)
    gone = files(folder) - {Path(uri) for uri in DeltaTable(folder).file_uris()}
    would = f"leads: would remove 1 file ({size(gone):,} bytes), not needed for 0 days\n"
    assert said("vacuum", "--older-than", "0h", "--dry-run") == would
    assert said("vacuum", "--older-than", "0h", "--force") == would.replace(
        "would remove", "removed"
    )
    assert lake.table().to_pyarrow_table().to_pylist() == table.to_pylist()


def test_a_table_with_deletion_vectors_is_left_to_its_writer(tmp_path):
    """delta-rs' vacuum takes the vectors for files that nobody needs: deleted rows come back."""
    if not FOREIGN.is_dir():
        pytest.skip(f"There are no Delta tables at {FOREIGN}: set LEADMARTS_FOREIGN_TABLES.")
    folder = tmp_path / "t"
    shutil.copytree(FOREIGN / "table-with-dv-small", folder)
    before = files(folder)
    found = Found("leads", places.at(str(folder)), DeltaTable(folder))
    for deed in (compact, lambda it: vacuum(it, 168, dry_run=False)):
        with pytest.raises(
            TableBroken, match=r"uses deletionVectors, and cannot be .* without harm"
        ):
            deed(found)
    assert files(folder) == before


@pytest.mark.parametrize("command", ["history", "compact", "vacuum"])
def test_a_table_that_is_not_there_is_a_sentence(lake, command):
    code, output, errors = run(command, "leads")
    assert (code, output) == (1, "")
    assert errors.startswith(f"Error: There is no Delta table leads at {lake.folder('leads')}")
    assert errors.count("\n") == 1
    assert not lake.folder("leads").exists()


@pytest.mark.parametrize("command", ["compact", "vacuum"])
def test_a_lake_without_tables_is_a_sentence(lake, command):
    code, output, errors = run(command)
    assert (code, output) == (1, "")
    assert errors.startswith("Error: There is no Delta table in the lake yet")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["vacuum", "--older-than", "soon"], "'soon' is no time: give days or hours"),
        (["history", "leads", "--limit", "0"], "0 is not in the range"),
        (["status", "sales"], "'sales' is not one of"),
        (["compact", "leads_rejects"], "'leads_rejects' is not one of"),
    ],
)
def test_a_mistake_on_the_command_line_is_a_sentence(lake, arguments, sentence):
    code, _, errors = run(*arguments)
    assert code == 2
    assert sentence in errors


@pytest.mark.parametrize("command", ["status", "history", "compact", "vacuum"])
def test_lost_or_damaged_files_are_a_sentence(worn, command):
    log = worn.folder("leads") / "_delta_log" / f"{3:020}.json"
    actions = log.read_text().splitlines()
    log.write_text("\n".join([*actions, json.dumps({"add": {"path": 1}})]))
    code, _, errors = run(command, "leads")
    assert code == 1
    assert errors.startswith("Error: The Delta table ")
    assert errors.count("\n") == 1
    assert "\x1b" not in errors


@pytest.mark.parametrize("command", ["status", "history", "compact", "vacuum"])
def test_help_reads_well(command):
    assert f"Usage: main {command} [OPTIONS]" in said(command, "--help")

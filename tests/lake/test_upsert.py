"""Loading changes exactly what differs, in one version, and nothing the second time."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lake import exchange, places
from lake.contracts import LEADS, MARKETING_CONVERSIONS
from lake.errors import InputRejected
from lake.load import load
from telemetry import current, span

MARKETING = "product,campaign_type,campaign,channel,date,conversions\n"


def test_inserted_updated_unchanged_rejected(lake):
    assert lake.counts("1.csv", "id,date_relance,owner\na,2024-01-01,x\nb,,y\n") == (2, 0, 0, 0)
    content = "id,date_relance,owner\na,2024-01-01,x\nb,2024-01-02,y\nc,,\nd,no,\n"
    assert lake.counts("2.csv", content) == (1, 1, 1, 1)
    assert lake.by_id() == {
        "a": {"date_relance": date(2024, 1, 1), "owner": "x"},
        "b": {"date_relance": date(2024, 1, 2), "owner": "y"},
        "c": {},
    }


def test_the_same_file_twice_changes_nothing(lake):
    content = "id,date_relance,note\na,2024-01-01,\na,2024-01-02,x\nb,no,\n"
    first = lake.counts("1.csv", content)
    assert first == (1, 0, 0, 2)
    before = lake.versions()
    assert lake.counts("1.csv", content) == (0, 0, 1, 2)
    assert lake.counts("under another name.csv", content) == (0, 0, 1, 2)
    assert lake.versions() == before == {"leads": 0, "leads_rejects": 0}


def test_the_change_feed_has_real_changes_only(lake):
    lake.load("1.csv", "id,owner\na,x\nb,y\nc,z\n")
    lake.load("2.csv", "id,owner\na,x\nb,changed\nd,new\n")
    assert lake.changes(1) == [
        ("b", "update_postimage"),
        ("b", "update_preimage"),
        ("d", "insert"),
    ]
    before = set(lake.table().file_uris())
    lake.load("3.csv", "id,owner\ne,only inserts\na,x\n")
    assert lake.changes(2) == [("e", "insert")]
    assert before < set(lake.table().file_uris()), "new rows alone need no old file written anew"


@pytest.fixture
def large(monkeypatch):
    """Any table is so large that its rows are exchanged rather than merged."""
    monkeypatch.setattr(exchange, "LARGE", 0)


def test_rows_of_a_large_table_are_exchanged(lake, large):
    """The feed has each changed row as it was and as it is; files without one stay as they are."""
    lake.load("1.csv", "id,owner,date_relance\na,x,2024-01-01\nb,y,2024-01-01\n")
    first = lake.table().file_uris()
    lake.load("2.csv", "id,owner\nc,z\n")
    (kept,) = {*lake.table().file_uris()} - {*first}
    assert lake.counts("3.csv", "id,owner,note\na,x,\nb,changed,n\nd,new,\n") == (1, 1, 1, 0)
    assert lake.changes(2) == [("b", "delete"), ("b", "insert"), ("d", "insert")]
    assert kept in lake.table().file_uris()
    assert lake.by_id() == {
        "a": {"owner": "x", "date_relance": date(2024, 1, 1)},
        "b": {"owner": "changed", "date_relance": date(2024, 1, 1), "note": "n"},
        "c": {"owner": "z"},
        "d": {"owner": "new"},
    }


def test_a_large_table_whose_ids_are_numbers_is_merged(lake, large):
    """Only another writer makes them so; loads go on with what they find."""
    write_deltalake(
        lake.folder("leads"),
        pa.table({"id": [1, 2], "owner": ["x", "y"]}),
        configuration={"delta.enableChangeDataFeed": "true"},
    )
    assert lake.counts("1.csv", "id,owner\n1,x\n2,changed\n") == (0, 1, 1, 0)
    assert lake.by_id() == {1: {"owner": "x"}, 2: {"owner": "changed"}}
    assert lake.changes(1) == [(2, "update_postimage"), (2, "update_preimage")]


def test_every_commit_of_rows_names_the_trace_it_was_made_in(lake, large, monkeypatch):
    """Created, appended to and exchanged; then merged."""
    with span("load"):
        trace = current().trace_id
        lake.load("1.csv", "id,owner\na,x\n")
        lake.load("2.csv", "id,owner\nb,y\n")
        lake.load("3.csv", "id,owner\na,z\n")
        monkeypatch.setattr(exchange, "LARGE", 1000)
        lake.load("4.csv", "id,owner\nb,z\n")
    commits = lake.table().history()
    assert [commit["operation"] for commit in commits] == ["MERGE", "WRITE", "WRITE", "WRITE"]
    assert [trace in commit.get("traceparent", "") for commit in commits] == [True] * 4


def test_too_many_rows_to_name_are_not_exchanged(lake, monkeypatch):
    monkeypatch.setattr(exchange, "MOST", 2)
    lake.load("1.csv", "id\na\nb\nc\n")
    place = places.at(str(lake.folder("leads")))
    with pytest.raises(ValueError, match="3 rows are too many to exchange; merge more than 2"):
        exchange.exchange(place, lake.table(), pa.table({"id": ["a", "b", "c"]}), "id")
    assert lake.versions() == {"leads": 0}


def test_too_many_rows_to_name_are_merged(lake, large, monkeypatch):
    monkeypatch.setattr(exchange, "MOST", 2)
    lake.load("1.csv", "id,owner\na,x\nb,y\nc,z\n")
    lake.load("2.csv", "id,owner\na,1\nb,2\nc,3\n")
    assert {kind for _, kind in lake.changes(1)} == {"update_preimage", "update_postimage"}


@pytest.mark.parametrize("partition", [None, ["owner"]])
def test_a_table_of_which_very_many_rows_change_is_written_anew(lake, monkeypatch, partition):
    """In one commit: what the file lacks stays, and a key that was there twice is one row."""
    monkeypatch.setattr(exchange, "MERGED_ROWS", 2)
    rows = {
        "id": ["a", "b", "c", "d", "d"],
        "owner": ["x", "x", "y", "z", "z"],
        "n": [1, 2, 3, 4, 4],
    }
    on = {"delta.enableChangeDataFeed": "true"}
    write_deltalake(lake.folder("leads"), pa.table(rows), partition_by=partition, configuration=on)
    content = "id,owner,new\na,1,\nb,2,v\nd,3,\ne,4,\nc,y,\n"
    assert lake.counts("1.csv", content) == (1, 3, 1, 0)
    assert lake.by_id() == {
        "a": {"owner": "1", "n": 1},
        "b": {"owner": "2", "n": 2, "new": "v"},
        "c": {"owner": "y", "n": 3},
        "d": {"owner": "3", "n": 4},
        "e": {"owner": "4"},
    }
    assert lake.versions() == {"leads": 1}
    assert len(lake.rows()) == 5
    assert {kind for _, kind in lake.changes(1)} == {"delete", "insert"}
    assert lake.counts("1.csv", content) == (0, 0, 5, 0)
    assert lake.counts("2.csv", "id,owner\na,9\nb,2\nc,y\n") == (0, 1, 2, 0)
    assert lake.changes(2) == [("a", "update_postimage"), ("a", "update_preimage")]


def test_as_many_rows_as_may_be_named_can_be_exchanged(lake, large):
    """A stack that were too small for the predicate would end the process."""
    ids = [f"{n:016x}" for n in range(exchange.MOST)]
    for owner in "xy":
        lake.load(f"{owner}.csv", "id,owner\n" + "".join(f"{key},{owner}\n" for key in ids))
    assert lake.changes(1)[:2] == [(ids[0], "delete"), (ids[0], "insert")]
    assert {key: lead["owner"] for key, lead in lake.by_id().items()} == dict.fromkeys(ids, "y")


KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(KEYS.filter(str.strip), unique=True, min_size=2, max_size=6))
@example(["it's", "'", "''", "a\\", "\\'", "%", "--", "x' or 'a' = 'a", "é", "a\nb"])
def test_rows_of_any_key_can_be_exchanged(lake, large, keys):
    shutil.rmtree(lake.data / "lake", ignore_errors=True)
    stays, *changed = keys
    for turn, ids in enumerate((keys, changed)):
        lines = [json.dumps({"id": key, "owner": str(turn)}) for key in ids]
        lake.load(f"{turn}.ndjson", "\n".join(lines))
    owners = {key: lead["owner"] for key, lead in lake.by_id().items()}
    assert owners == dict.fromkeys(changed, "1") | {stays: "0"}


def test_a_large_partitioned_table_is_exchanged_as_well(lake, large):
    rows = {"id": ["a", "b", "c"], "owner": ["x", "x", "y"], "tags": [["1"], None, ["2", "3"]]}
    write_deltalake(
        lake.folder("leads"),
        pa.table(rows),
        partition_by=["owner"],
        configuration={"delta.enableChangeDataFeed": "true"},
    )
    lake.load("1.csv", "id,owner,new\na,y,1\nb,x,\n")
    assert lake.by_id() == {
        "a": {"owner": "y", "tags": ["1"], "new": "1"},
        "b": {"owner": "x"},
        "c": {"owner": "y", "tags": ["2", "3"]},
    }
    assert lake.changes(1) == [("a", "delete"), ("a", "insert")]


def test_every_file_that_is_written_is_snappy(lake):
    lake.load("1.csv", "id,owner\na,x\nb,no\n")
    lake.load("2.csv", "id,owner,new\na,y,\nc,z,1\nc,,\n")
    files = list((lake.data / "lake").rglob("*.parquet"))
    assert any("_change_data" in str(file) for file in files)
    for file in files:
        group = pq.ParquetFile(file).metadata.row_group(0)
        assert {group.column(i).compression for i in range(group.num_columns)} == {"SNAPPY"}
    for table in ("leads", "leads_rejects"):
        assert lake.table(table).metadata().configuration["delta.enableChangeDataFeed"] == "true"


def test_the_last_lead_with_an_id_wins_and_the_others_are_kept(lake):
    content = 'id,owner\na,1\nb,"x\ny"\na,2\nb,3\na,4\n'
    assert lake.counts("1.csv", content) == (2, 0, 0, 3)
    assert {key: lead["owner"] for key, lead in lake.by_id().items()} == {"a": "4", "b": "3"}
    assert lake.rejected() == [
        (2, "line 7 has the same id and wins"),
        (3, "line 6 has the same id and wins"),
        (5, "line 7 has the same id and wins"),
    ]
    assert json.loads(lake.rows("leads_rejects")[1]["row"]) == {"id": "b", "owner": "x\ny"}


def test_columns_come_and_go(lake):
    lake.load("1.csv", "id,owner,date_relance\na,x,2024-01-01\nb,y,2024-01-01\n")
    assert lake.counts("2.csv", "id,source,empty\na,web,\nb,,\nc,ad,\n") == (1, 1, 1, 0)
    assert lake.by_id() == {
        "a": {"owner": "x", "date_relance": date(2024, 1, 1), "source": "web"},
        "b": {"owner": "y", "date_relance": date(2024, 1, 1)},
        "c": {"source": "ad"},
    }
    assert "empty" not in pa.schema(lake.table().schema().to_arrow()).names
    assert lake.counts("3.csv", "id,date_relance\na,\n") == (0, 1, 0, 0)
    assert lake.by_id()["a"] == {"owner": "x", "source": "web"}


def test_a_key_that_a_line_of_ndjson_lacks_keeps_its_value(lake):
    lake.load("1.ndjson", '{"id": "a", "owner": "x", "n": 1}\n{"id": "b", "owner": "y", "n": 2}\n')
    content = '{"id": "a", "n": 5}\n{"id": "b", "owner": null}\n{"id": "c", "extra": "e"}\n'
    assert lake.counts("2.ndjson", content) == (1, 2, 0, 0)
    assert lake.by_id() == {"a": {"owner": "x", "n": 5}, "b": {"n": 2}, "c": {"extra": "e"}}


@pytest.mark.parametrize(
    "name", ["with space", 'qu"ote', "back`tick", "dot.ted", "élan", "semi;colon", "it's", "select"]
)
def test_any_column_name_can_be_kept(lake, name):
    lake.load("1.ndjson", json.dumps({"id": "a", name: "1"}))
    lake.load("2.ndjson", json.dumps({"id": "a", name: "2", f"{name}2": True}))
    lake.load("3.ndjson", json.dumps({"id": "b", name: "3"}))
    assert lake.by_id() == {"a": {name: "2", f"{name}2": True}, "b": {name: "3"}}


def test_marketing_repeats_are_summed_and_their_order_does_not_matter(lake):
    """They add up as they are written: floating-point sums depend on the order."""
    numbers = [1e12, 2259.87, -1e12, 1087.93, 0.1, 0.2]
    for turn in range(len(numbers)):
        turned = numbers[turn:] + numbers[:turn]
        content = MARKETING + "".join(f"p,t,c,tv,2024-01-0{1},{number}\n" for number in turned)
        loaded = lake.load("m.csv", content + "p,t,c,tv,2024-01-02,\n", "marketing_conversions")
        assert loaded.summed == 5
        assert (loaded.upserted.inserted, loaded.upserted.unchanged) == (
            (2, 0) if not turn else (0, 2)
        )
    rows = lake.rows("marketing_conversions")
    assert [row["conversions"] for row in rows] == [3348.1, None]
    assert lake.versions() == {"marketing_conversions": 0}


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_marketing_repeats_keep_the_last_value_of_each_further_column(lake, kind):
    names = [*MARKETING.strip().split(","), "note", "budget"]
    rows = [("1", "x", ""), ("2", "", "9"), ("4", "", "")]
    if kind == "csv":
        lines = [",".join(names), *(f"p,t,c,tv,2024-01-01,{','.join(row)}" for row in rows)]
    else:
        whole = [
            dict(zip(names, ("p", "t", "c", "tv", "2024-01-01", *row), strict=True)) for row in rows
        ]
        lines = [json.dumps({name: cell for name, cell in row.items() if cell}) for row in whole]
    before = MARKETING.strip() + ",note,budget\np,t,c,tv,2024-01-01,8,old,old\n"
    lake.load("before.csv", before, "marketing_conversions")
    for _ in range(2):
        lake.load(f"m.{kind}", "\n".join(lines), "marketing_conversions")
    (row,) = lake.rows("marketing_conversions")
    assert (row["conversions"], row["note"], row["budget"]) == (7.0, "x", "9")
    assert lake.versions() == {"marketing_conversions": 1}


def test_marketing_repeats_that_add_up_to_too_much_are_rejected(lake):
    """The others of the file are loaded."""
    rows = "p,t,c,tv,2024-01-01,9e11\n" * 3 + "p,t,d,tv,2024-01-01,9e11\np,t,d,tv,2024-01-01,-1\n"
    assert lake.counts("m.csv", MARKETING + rows, "marketing_conversions") == (1, 0, 0, 3)
    reason = "conversions: the rows with this key add up to more than 1,000,000,000,000"
    assert lake.rejected("marketing_conversions") == [(line, reason) for line in (2, 3, 4)]
    assert [row["conversions"] for row in lake.rows("marketing_conversions")] == [9e11 - 1]


def test_marketing_rows_need_their_whole_key(lake):
    content = (
        MARKETING + "p,t,c,,2024-01-01,1\np,t,c,tv,,1\np,t,c,tv,x,1\np,t,c,tv,2024-01-01,many\n"
    )
    assert lake.counts("m.csv", content, "marketing_conversions") == (0, 0, 0, 4)
    assert [reason.split(":")[0] for _, reason in lake.rejected("marketing_conversions")] == [
        "channel",
        "date",
        "date",
        "conversions",
    ]


def test_repeats_in_ndjson_that_lack_a_number(lake):
    key = {
        "product": "p",
        "campaign_type": "t",
        "campaign": "c",
        "channel": "tv",
        "date": "2024-01-01",
    }
    lake.load("1.ndjson", json.dumps(key | {"conversions": 7}), "marketing_conversions")
    lines = [key | {"conversions": 1}, key | {"conversions": 2}, key]
    lake.load("2.ndjson", "\n".join(map(json.dumps, lines)), "marketing_conversions")
    assert [row["conversions"] for row in lake.rows("marketing_conversions")] == [3.0]


def test_keys_that_another_writer_left_twice_are_one_row_to_us(lake):
    for _ in range(2):
        write_deltalake(
            lake.folder("leads"), pa.table({"id": ["a"], "owner": ["x"]}), mode="append"
        )
    assert lake.counts("1.csv", "id,owner\na,y\nb,z\n") == (1, 1, 0, 0)
    assert [row["owner"] for row in lake.rows()] == ["y", "y", "z"]


cells = st.one_of(st.none(), st.sampled_from(["x", "y", "é", 'q"', "1"]))
days = st.one_of(st.none(), st.dates(date(2023, 12, 30), date(2024, 1, 2)).map(str), st.just("no"))
files = st.tuples(
    st.lists(st.sampled_from(["owner", "source", "date_relance"]), unique=True),
    st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), cells, cells, days), max_size=5),
    st.sampled_from(["csv", "ndjson", "parquet"]),
)


def written(path: Path, columns: list[str], rows: list[dict]) -> None:
    """Write a file with the standard library or Arrow, not with the code under test."""
    if path.suffix == ".ndjson":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows) or "\n")
    elif path.suffix == ".parquet":
        pq.write_table(
            pa.Table.from_pylist(rows, pa.schema([(c, pa.string()) for c in columns])), path
        )
    else:
        quoted = [
            ",".join('"' + (row[c] or "").replace('"', '""') + '"' for c in columns) for row in rows
        ]
        path.write_text("\n".join([",".join(columns), *quoted]))


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(files, min_size=1, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_any_history_of_files_is_what_a_dictionary_says(lake, monkeypatch, history, large):
    """The oracle: a dictionary of leads, changed file by file as the documentation says."""
    shutil.rmtree(lake.data / "lake", ignore_errors=True)
    model: dict[str, dict] = {}
    for number, (extra, cells, kind) in enumerate(history):
        monkeypatch.setattr(exchange, "LARGE", 0 if large[number] else 1000)
        columns = ["id", *extra]
        rows = [
            dict(zip(["id", "owner", "source", "date_relance"], row, strict=True)) for row in cells
        ]
        rows = [{name: row[name] for name in columns} for row in rows]
        path = lake.data / f"{number}.{kind}"
        written(path, columns, rows)

        taken = {}
        for row in rows:
            if row["id"] is not None and row.get("date_relance") != "no":
                taken[row["id"]] = row
        inserted = [key for key in taken if key not in model]
        before = {key: dict(lead) for key, lead in model.items()}
        for key, row in taken.items():
            model.setdefault(key, {}).update(row)
            model[key] = {name: value for name, value in model[key].items() if value is not None}
        updated = [key for key in taken if key in before and model[key] != before[key]]
        expected = (
            len(inserted),
            len(updated),
            len(taken) - len(inserted) - len(updated),
            len(rows) - len(taken),
        )
        for again in (False, True):
            before_it = lake.versions() if again else None
            loaded = load(LEADS, path)
            done = loaded.upserted
            counts = (done.inserted, done.updated, done.unchanged, loaded.rejected)
            assert counts == ((0, 0, len(taken), expected[3]) if again else expected)
            assert not again or lake.versions() == before_it
        stored = {
            key: {name: str(value) for name, value in lead.items()}
            for key, lead in lake.by_id().items()
        }
        assert stored == {
            key: {name: value for name, value in lead.items() if name != "id"}
            for key, lead in model.items()
        }


def load_in_a_process(data: str, path: str) -> tuple[int, int]:
    os.environ["LEADMARTS_DATA"] = data
    done = load(LEADS, Path(path)).upserted
    return done.inserted, done.updated


def test_loads_at_once_lose_nothing_and_double_nothing(lake):
    """Four processes load overlapping files into a table that does not exist yet."""
    paths = [
        lake.file(
            f"{n}.csv",
            "id,owner,date_relance\n"
            + "".join(f"{i},{n},no\n{i},{n},\n" for i in range(n * 50, n * 50 + 100)),
        )
        for n in range(4)
    ]
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        done = pool.starmap(load_in_a_process, [(str(lake.data), str(path)) for path in paths])
    ids = [row["id"] for row in lake.rows()]
    assert len(ids) == len(set(ids)) == 250
    assert sum(inserted for inserted, _ in done) == 250
    assert len(lake.rejected()) == 400
    assert len({(row["digest"], row["line"]) for row in lake.rows("leads_rejects")}) == 400


INTERNAL = (
    *("last", "line", "hash", "lines", "repeats", "staged", "merged", "lost", "reason", "rowid"),
    *("s", "t", "target", "changed", "known", "row", "rows", "_5", "number", "hashes", "written"),
    *(f"{name}_{n}" for name in ("last", "total", "present") for n in range(5, 9)),
)
"""What the loader calls its own tables and columns."""


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_a_column_may_be_called_as_the_loader_calls_its_own(lake, kind):
    names = [*MARKETING_CONVERSIONS.schema.names, *INTERNAL]

    def content(*rows):
        if kind == "csv":
            return "\n".join(",".join(row) for row in (names, *rows))
        return "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows)

    def row(conversions, value):
        key = ["p", "t", "c", "tv", "2024-01-01"]
        return [*key, conversions, *(value + name for name in INTERNAL)]

    file = (f"m.{kind}", content(row("1.5", "a"), row("2", "b")), "marketing_conversions")
    assert lake.counts(*file) == (1, 0, 0, 0)
    assert lake.counts(*file) == (0, 0, 1, 0)
    file = (f"m.{kind}", content(row("2", "a"), row("2", "c")), "marketing_conversions")
    assert lake.counts(*file) == (0, 1, 0, 0)
    (there,) = lake.rows("marketing_conversions")
    assert there["conversions"] == 4
    assert {name: there[name] for name in INTERNAL} == {name: "c" + name for name in INTERNAL}


def test_repeats_that_a_decimal_column_cannot_hold_are_rejected(lake):
    names = MARKETING_CONVERSIONS.schema.names
    decimals = pa.array([Decimal("0.5")], pa.decimal128(38, 30))
    key = [["p"], ["t"], ["old"], ["tv"], pa.array([date(2024, 1, 1)])]
    write_deltalake(lake.folder("marketing_conversions"), pa.table([*key, decimals], names=names))
    rows = [
        f"p,t,{campaign},tv,2024-01-01,{value}"
        for campaign, value in (("full", "99999999"), ("new", "0.1"), ("new", "0.2"))
        for _ in range(2 if campaign == "full" else 1)
    ]
    content = "\n".join([",".join(names), *rows])
    assert lake.counts("m.csv", content, "marketing_conversions") == (1, 0, 0, 2)
    reason = (
        "conversions: the rows with this key add up to more than the column holds, which is a "
        "DECIMAL(38,30)"
    )
    assert lake.rejected("marketing_conversions") == [(2, reason), (3, reason)]
    sums = {row["campaign"]: row["conversions"] for row in lake.rows("marketing_conversions")}
    assert sums == {"old": Decimal("0.5"), "new": Decimal("0.3")}


def test_what_duckdb_does_not_do_is_a_sentence(lake, monkeypatch):
    lake.load("1.csv", "id\na\n")

    def overflown(*_, **__):
        duckdb.execute("select 'x'::integer")

    monkeypatch.setattr("lake.load.repeats.Repeats.__init__", overflown)
    with pytest.raises(InputRejected) as raised:
        lake.load("2.csv", "id\nb\n")
    assert str(raised.value) == (
        f"{lake.data / '2.csv'} cannot be sorted out (Conversion Error: Could not convert string "
        "'x' to INT32): put right what that is about, and load it again. Nothing was loaded."
    )
    assert lake.versions() == {"leads": 0}

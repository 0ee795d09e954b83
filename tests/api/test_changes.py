"""What changed in a mart between two publications, against a comparison in plain Python."""

import json
import tracemalloc
from contextlib import ExitStack
from datetime import date

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.asking import Window
from api.comparison import differences
from api.dialect.question import FARTHEST
from tests.api import samples

MARTS = "/api/v1/marts"
WEEKS = f"{MARTS}/lead_event_counts_weekly"


def compared(old, new, grain):
    """The changes between two lists of rows, by hand."""
    before = {tuple(row[name] for name in grain): row for row in old}
    after = {tuple(row[name] for name in grain): row for row in new}
    found = []
    for key in sorted(before.keys() | after.keys()):
        was, is_now = before.get(key), after.get(key)
        if was == is_now:
            continue
        change = "added" if was is None else "removed" if is_now is None else "changed"
        found.append(
            {
                "change": change,
                "key": dict(zip(grain, key, strict=True)),
                "columns": [n for n in was if was[n] != is_now[n]] if change == "changed" else [],
                "old": was and {n: v for n, v in was.items() if n not in grain},
                "new": is_now and {n: v for n, v in is_now.items() if n not in grain},
            }
        )
    return found


def test_late_events_change_past_weeks(run_server, make_publication, make_events, tmp_path):
    folder = tmp_path / "publications"
    events = make_events(5)
    late = [("date_relance", date(2020, 12, 31)), ("date_relance", date(2031, 1, 1))]
    make_publication(folder, events)
    make_publication(folder, events[40:] + late)
    make_publication(folder, events)
    with run_server() as server, server.client() as client:
        states = {n: client.get(f"{WEEKS}?publication={n}").json() for n in (1, 2, 3)}
        for since, upto in ((1, 2), (2, 3), (1, 3), (3, 3)):
            answer = client.get(f"{WEEKS}/changes?since={since}&publication={upto}")
            assert answer.status_code == 200
            assert answer.headers["publication"] == str(upto)
            assert answer.headers["cache-control"] == "public, max-age=3600, must-revalidate"
            assert "content-range" not in answer.headers
            said = answer.json()
            expected = compared(states[since], states[upto], ["week_start"])
            assert said.pop("changes") == expected
            assert said == {
                "mart": "lead_event_counts_weekly",
                "since": since,
                "publication": upto,
                "grain": ["week_start"],
                "columns_added": [],
                "columns_removed": [],
            }
        assert {one["change"] for one in compared(states[1], states[2], ["week_start"])} == {
            "added",
            "removed",
            "changed",
        }
        current = client.get(f"{WEEKS}/changes?since=2")
        assert current.json()["changes"] == compared(states[2], states[3], ["week_start"])
        assert "max-age=0" in current.headers["cache-control"]
        tag = {"If-None-Match": current.headers["etag"]}
        assert client.get(f"{WEEKS}/changes?since=2", headers=tag).status_code == 304
        part = client.get(f"{WEEKS}/changes?since=2&limit=2&offset=1").json()["changes"]
        assert part == current.json()["changes"][1:3]


@pytest.fixture(scope="module")
def versions(run_server_in, make_publication, tmp_path_factory):
    """A server with publications of a mart whose columns, grain and existence change."""
    folder = tmp_path_factory.mktemp("versions")
    rows = "from range(5) r(n)"
    for marts in (
        {},
        {"m": f"select n, n as a, 'x' as b {rows}"},
        {"m": f"select n, n * (n % 2) as a, 1.5::double as c {rows}"},
        {"m": f"select n::varchar as a, n {rows}", "typed": f"select n, 1 as a {rows}"},
        {"m": f"select n::varchar as a, n {rows}", "typed": f"select n::int as n, 1 as a {rows}"},
    ):
        make_publication(folder / "publications", [], more=marts)
    with run_server_in(folder) as server, server.client() as client:
        yield client


def test_columns_that_only_one_has_are_named(versions):
    said = versions.get(f"{MARTS}/m/changes?since=2&publication=3").json()
    assert (said["columns_added"], said["columns_removed"]) == (["c"], ["b"])
    assert [(one["key"], one["old"], one["new"]) for one in said["changes"]] == [
        ({"n": 2}, {"a": 2}, {"a": 0}),
        ({"n": 4}, {"a": 4}, {"a": 0}),
    ]


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("", 400, "The parameter since is missing"),
        ("since=x", 400, "since=x is not a whole number, 1 or more."),
        ("since=1&since=2", 400, "The parameter since was given 2 times"),
        ("since=9", 400, "since=9 is newer than publication 5"),
        ("since=3&publication=2", 400, "since=3 is newer than publication 2"),
        ("since=1", 404, "There is no mart m in publication 1"),
        ("since=3", 400, "The grain of m was n BIGINT in publication 3 and is a VARCHAR in 5"),
        ("since=4&publication=9", 404, "There is no publication 9"),
        ("since=4&a=eq.1", 400, "Changes take only since, publication, limit and offset"),
        ("since=4&select=a", 400, "Changes take only since"),
        ("since=4&foo=1", 400, "Changes take only since"),
        ("sicne=4", 400, "Changes take only since"),
        ("since=4&limit=x", 400, "limit=x is not a whole number"),
    ],
)
def test_what_cannot_be_compared(versions, query, status, told):
    answer = versions.get(f"{MARTS}/m/changes?{query}")
    assert answer.status_code == status
    assert told in answer.json()["message"]


def test_a_grain_of_another_type_cannot_be_compared(versions):
    answer = versions.get(f"{MARTS}/typed/changes?since=4")
    assert answer.status_code == 400
    assert answer.json()["message"] == (
        "The grain of typed was n BIGINT in publication 4 and is n INTEGER in 5: "
        "their rows cannot be compared."
    )


def test_long_lists_are_cut_and_linked(run_server, make_publication, tmp_path):
    folder = tmp_path / "publications"
    make_publication(folder, [], more={"m": "select n, 0 as a from range(25) r(n)"})
    make_publication(folder, [], more={"m": "select n, 1 as a from range(25) r(n)"})
    with run_server(LEADMARTS_JSON_ROWS="10") as server, server.client() as client:
        found, url = [], f"{MARTS}/m/changes?since=1"
        statuses = []
        while url:
            answer = client.get(url)
            statuses.append(answer.status_code)
            found += answer.json()["changes"]
            url = answer.links.get("next", {}).get("url")
        assert statuses == [206, 206, 200]
        assert [one["key"]["n"] for one in found] == list(range(25))


def test_only_who_may_read_both_sees_what_changed(
    run_server, make_publication, make_conversion, add_user, users, tmp_path
):
    folder = tmp_path / "publications"
    day = date(2024, 2, 29)
    make_publication(folder, [], [make_conversion(date=day, conversions=1.0)])
    make_publication(folder, [], [make_conversion(date=day, conversions=2.0)], scope="open")
    add_user(tmp_path / "users.json", *users["operator"])
    with run_server() as server, server.signed_in(*users["operator"]) as reader:
        path = f"{MARTS}/marketing_conversions/changes?since=1"
        for _ in range(2):
            with server.client() as stranger:
                assert stranger.get(path).status_code == 401
            answer = reader.get(path)
            assert answer.json()["changes"][0]["old"]["conversions"] == 1.0
            assert answer.headers["cache-control"].startswith("private")


def test_what_is_passed_over_is_let_go(make_publication, tmp_path):
    """However much differs, what is not answered takes no memory."""
    rows = 150_000
    first, second = (
        make_publication(tmp_path, [], more={"m": f"select n, {v} as v from range({rows}) r(n)"})
        for v in (0, 1)
    )
    (before,), (now,) = (
        [mart for mart in one.marts if mart.name == "m"] for one in (first, second)
    )
    with ExitStack() as stack:
        older, newer = (
            stack.enter_context(duckdb.connect(str(tmp_path / one.file), read_only=True))
            for one in (first, second)
        )
        cursors = [newer, newer.cursor(), older]
        differences(cursors, now, before, Window(rows - 1, 2), 10)  # what is imported or kept
        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        part = differences(cursors, now, before, Window(rows - 1, 2), 10)
        nothing = differences(cursors, now, before, Window(FARTHEST, 2), 10)
        _, most = tracemalloc.get_traced_memory()
        assert most < 1_000_000
        assert (part.rows, part.more) == (1, False)
        assert json.loads(part.body)["key"] == {"n": rows - 1}
        assert nothing == (0, False, b"")


NAMES = ("added", "removed", "old", "new", "was", "is_now", "ends", "c0", "key", "Change", "temp")

ALIKE = {
    "DOUBLE": ("'0.0'", "'-0.0'"),
    "FLOAT": ("'-0.0'", "'0.0'"),
    "INTERVAL": ("'1 month'", "'30 days'"),
    "DOUBLE[]": ("['0.0']", "['-0.0']"),
    "STRUCT(i INTERVAL)": ("{'i': '1 day'}", "{'i': '24 hours'}"),
}
"""Of each type two values that are equal to DuckDB, and not the same."""

LONG = ("n % 997 > 0 and n < 140000", "n % 991 > 0 and n >= 70000")
"""Of which numbers there is a row. Both have many rows that the other has nothing beside."""


def state(newer):
    """SQL of marts in the older publication, or in the newer one."""
    marts = {}
    for place, name in enumerate(NAMES):
        columns = ", ".join(f'n * {newer} as "{other}"' for other in NAMES if other != name)
        marts[NAMES[-place]] = f'select n as "{name}", {columns} from range({newer}, 4) r(n)'
    place = f"(n + {newer}) % {len(samples.rows())} as n"  # each row has another one's cells
    marts["everything"] = samples.sql().replace("select n,", f"select {place},")
    for place, (kind, cells) in enumerate(samples.SAMPLES.items()):
        marts[f"by_{place}"] = f"select cast({next(iter(cells))} as {kind}) as g, {newer} as v"
    columns = ", ".join(
        f"{v[newer]}::{k} as c{place}" for place, (k, v) in enumerate(ALIKE.items())
    )
    marts["alike"] = f"select 1 as n, {columns}"
    marts["long"] = f"select n, n % 1000 // 999 as v from range(210000) r(n) where {LONG[newer]}"
    return marts


@pytest.fixture(scope="module")
def client(run_server_in, make_publication, tmp_path_factory):
    """A server with two publications."""
    folder = tmp_path_factory.mktemp("states")
    for newer in (0, 1):
        make_publication(folder / "publications", [], more=state(newer))
    with run_server_in(folder, LEADMARTS_JSON_ROWS="200000") as server, server.client() as client:
        yield client


def assert_compared(client, mart, grain):
    old, new = (client.get(f"{MARTS}/{mart}?publication={n}").json() for n in (1, 2))
    said = client.get(f"{MARTS}/{mart}/changes?since=1").json()["changes"]
    assert said == compared(old, new, [grain])
    assert said
    for number in (1, 2):
        same = client.get(f"{MARTS}/{mart}/changes?since={number}&publication={number}")
        assert same.json()["changes"] == []


@pytest.mark.parametrize("place", range(len(NAMES)))
def test_names_that_a_comparison_might_use_itself(client, place):
    assert_compared(client, NAMES[-place], NAMES[place])


def test_every_type_as_a_column(client):
    assert_compared(client, "everything", "n")


@pytest.mark.parametrize("place", range(len(samples.SAMPLES)))
def test_every_type_as_the_grain(client, place):
    (row,) = client.get(f"{MARTS}/by_{place}").json()
    assert client.get(f"{MARTS}/by_{place}/changes?since=1").json()["changes"] == [
        {
            "change": "changed",
            "key": {"g": row["g"]},
            "columns": ["v"],
            "old": {"v": 0},
            "new": {"v": 1},
        }
    ]


def test_what_is_equal_to_duckdb_and_not_the_same(client):
    (change,) = client.get(f"{MARTS}/alike/changes?since=1").json()["changes"]
    assert change["columns"] == [f"c{place}" for place in range(len(ALIKE))]


def test_long_marts_are_compared_part_by_part(client):
    said, url = [], f"{MARTS}/long/changes?since=1"
    while url:
        answer = client.get(url)
        said += answer.json()["changes"]
        url = answer.links.get("next", {}).get("url")
    old = {n for n in range(140_000) if n % 997}
    new = {n for n in range(70_000, 210_000) if n % 991}
    assert [(one["change"], one["key"]["n"]) for one in said] == [
        ("removed" if n in old else "added", n) for n in sorted(old ^ new)
    ]


reals = st.sampled_from(["0.0", "-0.0", "0.1", "nan", "inf"])
keys = st.tuples(st.sampled_from(["", "a", "b", "é"]), st.integers(-2, 2))
contents = st.dictionaries(keys, st.tuples(st.none() | reals, st.lists(reals, max_size=2)))


def cell(text):
    return None if text is None else {"nan": "NaN", "inf": "Infinity"}.get(text) or float(text)


def test_applied_to_the_old_rows_the_changes_give_the_new_ones(
    run_server, make_publication, tmp_path
):
    states = []

    @settings(max_examples=10, deadline=None, database=None)
    @given(contents)
    def publish(state):
        told = {("", 0): (None, [])} | state
        rows = ", ".join(
            f"('{t}', {n}, {'null' if v is None else repr(v)}::double, {many}::double[])"
            for (t, n), (v, many) in told.items()
        )
        sql = f"select * from (values {rows}) rows(t, n, v, many)"
        make_publication(tmp_path / "publications", [], keep=50, more={"m": sql}, keys=2)
        states.append({key: repr((cell(v), [*map(cell, many)])) for key, (v, many) in told.items()})

    publish()
    with run_server() as server, server.client() as client:
        for since, old in enumerate(states, start=1):
            for upto, new in enumerate(states[since - 1 :], start=since):
                said = client.get(f"{MARTS}/m/changes?since={since}&publication={upto}").json()
                applied = dict(old)
                for one in said["changes"]:
                    key = (one["key"]["t"], one["key"]["n"])
                    was = one["old"] and repr((one["old"]["v"], one["old"]["many"]))
                    assert applied.pop(key, None) == was
                    if one["new"]:
                        applied[key] = repr((one["new"]["v"], one["new"]["many"]))
                    assert one["old"] != one["new"] or "0.0" in was
                assert applied == new
                assert len(said["changes"]) == sum(
                    old.get(key) != new.get(key) for key in old | new
                )

"""What changed in a mart between two publications, against a comparison in plain Python."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
            assert "immutable" in answer.headers["cache-control"]
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
        assert "immutable" not in current.headers["cache-control"]
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
        {"m": f"select n::varchar as a, n {rows}"},
        {"m": f"select n::varchar as a, n {rows}"},
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
        ("since=4&limit=x", 400, "limit=x is not a whole number"),
    ],
)
def test_what_cannot_be_compared(versions, query, status, told):
    answer = versions.get(f"{MARTS}/m/changes?{query}")
    assert answer.status_code == status
    assert told in answer.json()["message"]


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


values = st.dictionaries(st.integers(0, 6), st.sampled_from([None, "", "a", "é"]), max_size=5)


def test_any_two_states(run_server, make_publication, tmp_path):
    folder = tmp_path / "publications"
    states = []

    @settings(max_examples=12, deadline=None, database=None)
    @given(values)
    def publish(state):
        written = ["null" if value is None else f"'{value}'" for value in state.values()]
        rows = [f"({n}, {text})" for n, text in zip(state, written, strict=True)] or ["(0, '')"]
        made = {"m": f"select n, v::varchar as v from (values {', '.join(rows)}) t(n, v)"}
        make_publication(folder, [], keep=50, more=made)
        states.append([{"n": n, "v": v} for n, v in sorted((state or {0: ""}).items())])

    publish()
    with run_server() as server, server.client() as client:
        for since in range(1, len(states) + 1):
            said = client.get(f"{MARTS}/m/changes?since={since}").json()
            assert said["changes"] == compared(states[since - 1], states[-1], ["n"])

"""How much of a long answer in JSON is answered at once, in rows and in bytes."""

import asyncio
import json
import re
from itertools import chain, count, islice
from types import SimpleNamespace
from urllib.parse import urljoin

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.asking import EVERYTHING, Asked
from api.dialect.parsing import parse
from api.dialect.sql import Table
from api.querying import parts, steps

MARTS = "/api/v1/marts"
ONE = {"Accept": "application/vnd.pgrst.object+json"}


@settings(deadline=None)
@given(
    st.lists(st.text("aé🎉", max_size=9), max_size=30),
    st.integers(1, 12),
    st.integers(1, 40),
    st.integers(1, 10),
)
def test_a_part_is_as_long_as_it_may_be(texts, most, enough, at_once):
    rows = [json.dumps(text, ensure_ascii=False) for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "ENOUGH", enough)
        left = rows
        while left:
            batches = (left[start : start + at_once] for start in range(0, len(left), at_once))
            part = parts.first(batches, most)
            assert part.body == ",".join(left[: part.rows]).encode()
            assert part.rows <= most
            assert len(part.body) <= enough
            assert part.more == (part.rows < len(left))
            if part.more and part.rows < most:
                assert len(",".join(left[: part.rows + 1]).encode()) > enough
            if part.rows == 0:
                break
            left = left[part.rows :]
        else:
            assert parts.first([], most) == (0, False, b"")


@pytest.mark.parametrize("enough", [10, 700, 4000, 10**6])
def test_parts_of_a_query_have_every_row_once(monkeypatch, enough):
    monkeypatch.setattr(parts, "ENOUGH", enough)
    query = "select to_json(range) from range(1000) order by range limit $limit offset $offset"
    texts = []
    with duckdb.connect() as connection:
        while True:
            values = {"limit": 400, "offset": len(texts)}
            part = steps.array([connection], query, None, values, 300)
            texts += part.body.decode().split(",")
            # The same cursor is given to the next step.
            connection.register("others", pa.table({"n": [1]}))
            assert connection.sql("from others").fetchall() == [(1,)]
            if not part.more:
                break
    assert texts == [str(n) for n in range(1000)]


def test_no_more_is_fetched_than_is_answered(monkeypatch):
    monkeypatch.setattr(parts, "ENOUGH", 1000)
    monkeypatch.setattr(steps, "FETCHED", 10)
    fetched = []

    class Found:
        def fetchmany(self, rows):
            fetched.append(rows)
            return [("x" * 99,)] * rows

    part = parts.first(steps.batches(Found()), 10_000)
    assert (part.rows, part.more) == (10, True)
    assert fetched == [10, 10]


def test_duckdb_makes_no_rows_that_have_no_room(make_publication, tmp_path):
    """As far as the names alone tell, which clients choose."""
    manifest = make_publication(tmp_path, [], more={"m": "select 1 as n"})
    (mart,) = (mart for mart in manifest.marts if mart.name == "m")
    source = SimpleNamespace(tables={"m": Table(mart)})

    class Work:
        async def do(self, step, query, strict, values, most):
            assert values == {"limit": most + 1}
            return parts.Part(most, True, b"")

    def rows(select):
        asked = Asked(source, mart, parse([("select", select)]))
        return asyncio.run(asked.array(Work(), EVERYTHING, 10_000)).rows

    assert rows("n") == 10_000
    assert rows(WIDE) == parts.ENOUGH // (500 * 65)
    assert rows(f"{'a' * parts.ENOUGH}:n") == 1


LONG = 6000
WIDE = ",".join(f"{'a' * 56}{n:04}:n" for n in range(500))
NAMED = ",".join(f"{'a' * 41}{n:04}:n" for n in range(140))
"""As long as it may be for a link to the next part."""

MOST = 8 * 1024**2


@pytest.fixture(scope="module")
def client(run_server_in, make_publication, tmp_path_factory):
    """A server with marts whose rows are long, two states of each."""
    folder = tmp_path_factory.mktemp("parts")
    for state in ("new", "newer"):
        text = f"'{state}' || n || repeat('é', 2000)"
        marts = {
            "long": f"select n, {text} as t from range({LONG}) r(n)",
            "huge": f"select n, {text} || repeat('x', (n % 2) * 9000000) as t from range(3) r(n)",
        }
        make_publication(folder / "publications", [], more=marts)
    with run_server_in(folder, LEADMARTS_QUERY_SECONDS="60") as server, server.client() as client:
        yield client


def followed(client, path):
    """An answer, and all that its links lead to."""
    url = path
    while url:
        answer = client.get(url)
        yield answer
        link = answer.headers.get("link", "")
        found = re.fullmatch(r'<(.*)>; rel="next"', link)
        assert bool(found) == (answer.status_code == 206)
        url = found and urljoin(str(answer.url), found[1])


def ranges(answers):
    """Which rows each says that it has; it has them."""
    for answer in answers:
        told = answer.json()
        rows = told["changes"] if isinstance(told, dict) else told
        first = int(answer.request.url.params.get("offset", 0))
        # A whole answer does not say it, because nobody asked.
        said = f"{first}-{first + len(rows) - 1}/*" if answer.status_code == 206 else None
        assert answer.headers.get("content-range") == said
        yield range(first, first + len(rows))


@pytest.mark.parametrize(
    ("path", "rows", "least"),
    [
        ("long", range(LONG), 3),
        ("long?order=n.desc&limit=5500&offset=100", range(5899, 399, -1), 3),
        (f"long?limit=3000&select={NAMED}", range(3000), 3),
        ("long/changes?since=1", range(LONG), 4),
        ("long/changes?since=1&limit=3000&offset=2500", range(2500, 5500), 3),
    ],
    ids=["rows", "window", "names", "changes", "changes-window"],
)
def test_parts_that_are_long_in_bytes_have_every_row_once(client, path, rows, least):
    answers = list(followed(client, f"{MARTS}/{path}"))
    assert len(answers) >= least
    for answer in answers[:-1]:
        assert 0.9 * MOST < len(answer.content) < MOST + 1000  # what is around the changes
    told = [answer.json() for answer in answers]
    listed = [one["changes"] if isinstance(one, dict) else one for one in told]
    numbers = [
        row["key"]["n"] if "key" in row else next(iter(row.values()))
        for row in chain.from_iterable(listed)
    ]
    assert numbers == list(rows)
    first = int(re.search(r"offset=(\d+)|$", path)[1] or 0)
    places = list(chain.from_iterable(ranges(answers)))
    assert places == list(islice(count(first), len(rows)))


def test_rows_of_an_ordinary_mart_stay_together(client):
    answer = client.get(f"{MARTS}/long?select=n,a:n,b:n,c:n,d:n,e:n,f:n,g:n,h:n,i:n")
    assert answer.status_code == 200
    assert len(answer.json()) == LONG


def test_a_cut_answer_whose_rows_are_counted(client):
    answer = client.get(f"{MARTS}/long?limit=5000", headers={"Prefer": "count=exact"})
    assert answer.status_code == 206
    rows = len(answer.json())
    assert rows < 5000
    assert answer.headers["content-range"] == f"0-{rows - 1}/{LONG}"
    assert f"limit={5000 - rows}&offset={rows}&" in answer.headers["link"]


@pytest.mark.parametrize(
    ("path", "headers", "instead"),
    [
        ("huge?offset=1", {}, "ask for fewer columns, or for another format."),
        ("huge?n=eq.1", ONE, "ask for fewer columns, or for another format."),
        (
            "huge/changes?since=1&offset=1",
            {},
            "ask for the mart in both publications, in another format.",
        ),
    ],
)
def test_a_row_that_is_too_long_alone(client, path, headers, instead):
    answer = client.get(f"{MARTS}/{path}", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["detail"] == (
        "The first of these rows takes more than 8 MB as JSON, which is the most that an answer "
        f"has; {instead}"
    )


def test_rows_before_one_that_is_too_long(client):
    first, second = islice(followed(client, f"{MARTS}/huge"), 2)
    assert first.status_code == 206
    assert [row["n"] for row in first.json()] == [0]
    assert second.status_code == 400
    assert client.get(f"{MARTS}/huge.csv?n=eq.1").status_code == 200


def test_one_row_of_several_that_are_long(client):
    told = client.get(f"{MARTS}/long", headers=ONE)
    assert told.status_code == 406
    assert told.json()["details"] == f"The result contains {LONG} rows"

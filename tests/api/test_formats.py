"""JSON, CSV, Arrow and Parquet: the same rows, cell for cell."""

import io
import re
from decimal import Context, Decimal
from time import monotonic

import duckdb
import httpx
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from pyarrow import ipc, parquet

from publication.types import SCALARS
from tests.api import samples
from tests.api.cells import KINDS, assert_equal, types_of

MARTS = "/api/v1/marts"
EVERYTHING = samples.sql()
DECIMALS = "select n, {} from (values {}) as written(n, t)".format(
    ", ".join(f"t::decimal(38, {scale}) as d{scale}" for scale in (0, 6, 7, 10, 18, 37)),
    "(1, '0'), (2, '1'), (3, '-1'), (4, '0.000001'), (5, '0.0000001'), (6, '-0.0000000001'), "
    "(7, '0.000000000000000001'), (8, null)",
)
EMPTY = f"select * from ({EVERYTHING}) where false"


NO_TEXT = [1, True, [], {}]
NO_LIST = ["", 1, {}]
NO_NUMBER = ["1", "nan", True, []]
WRONG = (
    {"STRUCT": [[], "", {}], "MAP": [[], "", {"a": {}}], "BOOLEAN": ["true", 1]}
    | dict.fromkeys(("FLOAT", "DOUBLE", "DECIMAL"), NO_NUMBER)
    | {kind: [*NO_NUMBER, 1.5] for kind in SCALARS if kind.endswith(("INT", "INTEGER"))}
    | {"DATE": [*NO_TEXT, "infinity", "2024-02-30"], "UUID": [*NO_TEXT, "x"]}
    | {"TIMESTAMP WITH TIME ZONE": [*NO_TEXT, "infinity"]}
)
"""What no value of a type is in JSON; for all others it is what is no text."""


@pytest.fixture(scope="module")
def many(run_server_in, make_publication, make_events, conversions, tmp_path_factory):
    """A server with marts of every type, with one that is empty, and with a long one."""
    folder = tmp_path_factory.mktemp("many")
    marts = {
        "everything": EVERYTHING,
        "nothing": EMPTY,
        "decimals": DECIMALS,
        "texts": "select 1 as n, 'a text' as t",
        "far": "select * from (values ('infinity'), ('-infinity'), ('10000-01-01'), "
        "('0044-03-15 (BC)')) as far(t)",
        "long": "select n, 'text ' || n as t, n / 7 as x from range(300000) r(n)",
    }
    make_publication(folder / "publications", make_events(3), conversions, scope="open", more=marts)
    with run_server_in(folder) as server:
        yield server


@pytest.fixture(scope="module")
def client(many):
    with many.client() as client:
        yield client


def contents_of(client, mart, query):
    """One answer in all formats."""
    contents = {}
    for suffix, media_type in KINDS.items():
        answer = client.get(f"{MARTS}/{mart}.{suffix}{query}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].partition(";")[0] == media_type
        by_accept = client.get(f"{MARTS}/{mart}{query}", headers={"Accept": media_type})
        assert by_accept.content == answer.content
        assert f'filename="{mart}-000001.{suffix}"' in answer.headers["content-disposition"]
        contents[suffix] = answer.content
    return contents


def test_there_is_a_sample_of_every_type_that_is_published():
    sampled = {kind.partition("(")[0] for kind in samples.SAMPLES if not kind.endswith("]")}
    assert sampled == SCALARS | {"STRUCT", "MAP"}


@pytest.mark.parametrize(
    ("query", "part"),
    [("", slice(None)), ("?limit=3&offset=1", slice(1, 4)), ("?limit=0", slice(0, 0))],
)
@pytest.mark.parametrize("mart", ["everything", "nothing"])
def test_every_type_is_equal_in_every_cell_of_four_formats(client, mart, query, part):
    expected = samples.rows()[part] if mart == "everything" else []
    assert_equal(contents_of(client, mart, query), types_of(samples.TYPES), expected)


def test_every_type_is_described_as_it_is(many, client):
    """Contract, file and OpenAPI agree, and the rows in JSON are as described."""
    entry = next(one for one in client.get(MARTS).json() if one["name"] == "everything")
    document = client.get("/openapi.json").json()
    described = document["components"]["schemas"]["mart.everything"]
    marts = (many.log_file.parent / "marts.duckdb").resolve()
    with duckdb.connect(str(marts), read_only=True) as file:
        stored = file.execute(
            "select column_name, data_type, is_nullable, comment from duckdb_columns() "
            "where table_name = 'everything' order by column_index"
        ).fetchall()
    contracted = [
        (one["name"], one["type"], one["nullable"], one["description"]) for one in entry["columns"]
    ]
    assert stored == contracted
    assert [(name, kind) for name, kind, *_ in stored] == list(samples.TYPES.items())
    properties = described["properties"]
    assert list(properties) == described["required"] == list(samples.TYPES)
    rows = client.get(f"{MARTS}/everything").json()
    for name, kind, nullable, comment in stored:
        shown = properties[name]
        assert (shown["x-duckdb-type"], shown["description"]) == (kind, comment)
        validator = Draft202012Validator(shown, format_checker=Draft202012Validator.FORMAT_CHECKER)
        for row in rows:
            validator.validate(row[name])
        assert validator.is_valid(None) == nullable
        wrong = WRONG.get(kind.partition("(")[0], NO_TEXT)
        assert not any(map(validator.is_valid, NO_LIST if kind.endswith("]") else wrong))


def test_casts_and_aggregates_are_equal_in_four_formats(many, client):
    """What a query makes of every column has the same cells too."""
    rows, types = samples.rows(), samples.TYPES
    listed = ", ".join(f"cast({name} as varchar) as {name}" for name in types)
    least = ", ".join(f"list_position(list({n} order by n), min({n})) - 1" for n in types)
    marts = (many.log_file.parent / "marts.duckdb").resolve()
    with duckdb.connect(str(marts), read_only=True) as file:
        file.execute("set timezone = 'UTC'")
        written = file.sql(f"select {listed} from everything order by everything.n").fetchall()
        (places,) = file.sql(f"select {least} from everything").fetchall()
    query = "?select=" + ",".join(f"{name}::text" for name in types)
    texts = types_of(dict.fromkeys(types, "VARCHAR"))
    expected = [dict(zip(types, row, strict=True)) for row in written]
    assert_equal(contents_of(client, "everything", query), texts, expected)
    query = "?select=" + ",".join(f"{name}:{name}.min()" for name in types)
    smallest = {n: rows[place][n] for n, place in zip(types, places, strict=True)}
    assert_equal(contents_of(client, "everything", query), types_of(types), [smallest])


def test_decimals_are_written_without_an_exponent(client):
    """Zero and small ones too: Arrow by itself writes 0E-10."""
    scales = (0, 6, 7, 10, 18, 37)
    texts = ("0", "1", "-1", "0.000001", "0.0000001", "-0.0000000001", "0.000000000000000001", None)
    exact = Context(prec=60)
    expected = [
        {
            f"d{scale}": text
            and exact.plus(Decimal(text).quantize(Decimal(1).scaleb(-scale), context=exact))
            for scale in scales
        }
        for text in texts
    ]
    query = "?select=" + ",".join(expected[0])
    contents = contents_of(client, "decimals", query)
    assert_equal(contents, types_of({f"d{n}": f"DECIMAL(38,{n})" for n in scales}), expected)
    plain = [[None if one is None else f"{one:f}" for one in row.values()] for row in expected]
    lines = contents["csv"].decode().splitlines()[1:]
    assert [[one.strip('"') or None for one in line.split(",")] for line in lines] == plain
    assert not re.search(rb"\d[eE]", contents["json"])


def test_a_real_is_the_number_that_is_written(client):
    """In every format: the shortest that reads back as it, and not the one that it is exactly."""
    expected = [{"x": float(str(np.float32(n / 7)))} for n in range(1, 1001)]
    contents = contents_of(client, "long", "?select=x::real&n=gte.1&limit=1000")
    assert_equal(contents, types_of({"x": "FLOAT"}), expected)
    texts = [{"x": str(row["x"])} for row in expected]
    contents = contents_of(client, "long", "?select=x:x::real.min()::text,n&n=gte.1&limit=1000")
    kinds = types_of({"x": "VARCHAR", "n": "BIGINT"})
    assert_equal(contents, kinds, [row | {"n": n} for n, row in enumerate(texts, 1)])


@pytest.mark.parametrize("to", ["date", "timestamp"])
@pytest.mark.parametrize("text", ["infinity", "-infinity", "10000-01-01", "0044-03-15 (BC)"])
def test_a_cast_makes_no_date_that_a_format_lacks(client, to, text):
    for suffix in KINDS:
        refused = client.get(f"{MARTS}/far.{suffix}?select=t::{to}&t=eq.{text}")
        assert refused.status_code == 400
        assert "A value cannot be cast" in refused.json()["message"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv, application/json;q=0.5", "text/csv; charset=utf-8"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/vnd.apache.parquet", "application/vnd.apache.parquet"),
        ("application/*", "application/json"),
        ("text/*", "text/csv; charset=utf-8"),
        ("application/json;q=0, text/csv", "text/csv; charset=utf-8"),
        ("application/json;q=0", None),
        ("text/html", None),
        ("application/vnd.pgrst.object+json;nulls=stripped", None),
    ],
)
def test_what_is_accepted(client, accept, kind):
    answer = client.get(f"{MARTS}/lead_event_counts_weekly", headers={"Accept": accept})
    assert answer.status_code == (406 if kind is None else 200)
    if kind:
        assert answer.headers["content-type"] == kind


def test_a_suffix_counts_more_than_what_is_accepted(client):
    answer = client.get(f"{MARTS}/lead_event_counts_weekly.csv", headers={"Accept": "text/html"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    unknown = client.get(f"{MARTS}/lead_event_counts_weekly.xlsx")
    assert unknown.status_code == 404
    assert "there are json, csv, arrow, parquet" in unknown.json()["message"]


def test_a_cast_that_fails_is_the_clients_mistake(client):
    for suffix in KINDS:
        refused = client.get(f"{MARTS}/texts.{suffix}?select=t::int")
        assert refused.status_code == 400
        assert "A value cannot be cast" in refused.json()["message"]


def test_files_count_and_cut_too(client):
    exact = {"Prefer": "count=exact"}
    answer = client.get(f"{MARTS}/everything.csv?limit=3&offset=2", headers=exact)
    assert (answer.status_code, answer.headers["content-range"]) == (206, "2-4/9")
    assert client.get(f"{MARTS}/everything.csv?offset=9", headers=exact).status_code == 206
    assert client.get(f"{MARTS}/everything.csv?offset=10", headers=exact).status_code == 416
    ranged = client.get(f"{MARTS}/everything.arrow", headers={"Range": "5-"})
    assert (ranged.status_code, ranged.headers["content-range"]) == (200, "5-8/*")
    assert "content-range" not in client.get(f"{MARTS}/everything.arrow?offset=5").headers


def test_long_answers_are_whole(client):
    """JSON is cut and says so; the other formats are sent while they are made, and whole."""
    cut = client.get(f"{MARTS}/long?select=n")
    assert (cut.status_code, len(cut.json())) == (206, 10_000)
    for suffix in ("csv", "arrow", "parquet"):
        url = f"{MARTS}/long.{suffix}"
        plain = client.get(url)
        assert plain.status_code == 200
        assert "content-range" not in plain.headers
        assert plain.headers["transfer-encoding"] == "chunked"
        if suffix == "csv":
            assert plain.content.count(b"\r\n") == 300_001
            assert plain.content.endswith(b'299999,"text 299999",42857\r\n')
        else:
            whole = io.BytesIO(plain.content)
            table = (
                ipc.open_stream(whole).read_all()
                if suffix == "arrow"
                else parquet.read_table(whole)
            )
            assert table["n"].to_pylist() == list(range(300_000))
        tags = set()
        for coding in ("gzip", "zstd", "identity"):
            counted = {"Accept-Encoding": coding, "Prefer": "count=exact"}
            coded = client.get(url, headers=counted)
            assert coded.headers["content-range"] == "0-299999/300000"
            assert coded.content == plain.content
            assert coded.headers.get("content-encoding", "identity") == coding
            tags.add(coded.headers["etag"])
            known = {**counted, "If-None-Match": f'"x", {coded.headers["etag"]}'}
            again = client.get(url, headers=known)
            assert (again.status_code, again.content) == (304, b"")
            head = client.head(url, headers=counted)
            assert (head.status_code, head.content) == (200, b"")
            for name in ("etag", "vary", "publication", "cache-control", "content-range"):
                assert coded.headers[name] == head.headers[name] == again.headers[name]
        assert len(tags) == 3
        assert client.get(url, headers={"Accept-Encoding": "*;q=0"}).status_code == 406
        pinned = client.get(f"{url}?publication=1&limit=1")
        assert pinned.headers["cache-control"] == "public, max-age=3600, must-revalidate"


def test_memory_does_not_grow_with_the_answer(run_server, make_publication, tmp_path):
    sizes = {"short": 200_000, "long": 4_000_000}
    marts = {
        name: f"select n, 'some text that is not short ' || n as t from range({rows}) r(n)"
        for name, rows in sizes.items()
    }
    make_publication(tmp_path / "publications", [], more=marts)
    # It may take its time.
    with run_server(LEADMARTS_QUERY_SECONDS="60") as server, server.client() as client:

        def peak(mart, suffix):
            largest, received = 0, 0
            with client.stream("GET", f"{MARTS}/{mart}.{suffix}") as answer:
                for chunk in answer.iter_raw(1 << 20):
                    received += len(chunk)
                    largest = max(largest, server.memory())
            return largest, received

        # DuckDB keeps in memory what it has read of the file, whatever is answered.
        for mart in sizes:
            assert client.get(f"{MARTS}/{mart}?select=t.max(),last:n.max()").status_code == 200
        for suffix in ("csv", "arrow", "parquet"):
            before, few = peak("short", suffix)
            after, much = peak("long", suffix)
            assert much > 15 * few
            assert after - before < 48 << 20, suffix


def test_a_slow_reader_has_time_and_a_slow_query_has_not(
    run_server, make_publication, tmp_path, wait_until
):
    """The limit is for the query's work; an answer that it ends is seen to be broken."""
    marts = {
        "long": "select n, 'text ' || n as t from range(600000) r(n)",
        "longer": "select n from range(4000000) r(n)",
        "short": "select 1 as n",
    }
    make_publication(tmp_path / "publications", [], more=marts)
    with run_server(LEADMARTS_QUERY_SECONDS="3") as server, server.client() as client:
        received = 0
        with client.stream("GET", f"{MARTS}/long.csv") as answer:
            chunks = answer.iter_raw(1 << 20)
            received += len(next(chunks))
            started = monotonic()
            wait_until(lambda: monotonic() - started > 3.5)
            received += sum(map(len, chunks))
        assert received > 10_000_000
        # Its first part is made in a moment, all of it is not.
        wide = ",".join(f"c{n}:n::text" for n in range(40))
        with client.stream("GET", f"{MARTS}/longer.csv?select={wide}") as answer:
            assert answer.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()
        assert "An answer broke off: The query took more than 3 seconds" in server.log()
        slow = ",".join(f"t.ilike.*x{n}*y*" for n in range(400))
        refused = client.get(f"{MARTS}/long?select=count()&not.or=({slow})")
        assert refused.status_code == 503
        assert refused.json()["message"] == "The query took more than 3 seconds; ask for less."
        assert refused.headers["retry-after"]
        assert client.get(f"{MARTS}/short.csv").text == '"n"\r\n1\r\n'


def test_a_client_that_leaves_frees_what_it_used(
    run_server, make_publication, tmp_path, wait_until
):
    marts = {"long": "select n, 'text ' || n as t from range(3000000) r(n)"}
    make_publication(tmp_path / "publications", [], more=marts)
    with run_server() as server:
        for _ in range(5):
            with server.client() as client, client.stream("GET", f"{MARTS}/long.csv") as answer:
                next(answer.iter_raw(1000))
        old = str(next((tmp_path / "publications").glob("*.duckdb")))
        make_publication(tmp_path / "publications", [], more=marts)
        wait_until(lambda: old not in server.open_databases(), what="the old file to be closed")
        with server.client() as client:
            assert httpx.codes.is_success(client.get("/health/live").status_code)

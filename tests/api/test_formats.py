"""JSON, CSV, Arrow and Parquet: the same rows, cell for cell."""

import csv
import io
import json
import math
import re
from base64 import b64decode
from datetime import date, datetime, time
from decimal import Decimal
from time import monotonic
from uuid import UUID

import duckdb
import httpx
import psutil
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

MARTS = "/api/v1/marts"
KINDS = {
    "json": "application/json",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}

EVERYTHING = """
    select n,
        case n when 1 then 'a,"b"' when 2 then E'line\\r\\nbreak\\ttab' when 3 then ''
            when 4 then 'é漢🎉' when 5 then 'null' when 6 then ' spaces ' when 7 then E'\\u202ex'
            end as text_,
        case n when 1 then 9223372036854775807 when 2 then -9223372036854775808 end as whole,
        case n when 1 then 170141183460469231731687303715884105727::hugeint end as huge,
        case n when 1 then '0.1' when 2 then '1e300' when 3 then '5e-324' when 4 then '-0.0'
            when 5 then 'nan' when 6 then 'inf' when 7 then '-inf' end::double as real_,
        case n when 1 then 0.1::float when 2 then 'nan'::float end as single,
        case n when 1 then 12345678901234567890.123456789 end::decimal(38, 9) as exact,
        case n when 1 then true when 2 then false end as truth,
        case n when 1 then '2024-02-29' when 2 then '0001-01-01' when 3 then '9999-12-31' end::date
            as day,
        case n when 1 then '2024-02-29 12:34:56.789' when 2 then '1969-12-31 00:00:00'
            end::timestamp as moment,
        case n when 1 then '2024-02-29 12:34:56+02' end::timestamptz as zoned,
        case n when 1 then '12:34:56.5' end::time as clock,
        case n when 1 then interval '1 month 2 days' end as span,
        case n when 1 then '36705c10-df6c-48aa-a67e-76022dbae570' end::uuid as id,
        case n when 1 then '\\x00\\xFF'::blob end as bytes_,
        case n when 1 then ['a', null, 'b"'] when 2 then [] end as listed,
        case n when 1 then {'a': 1, 'b': 'x'} end as nested,
        case n when 1 then '{"a": [1, 2]}' end::json as document,
        case n when 1 then 'low' end::enum('low', 'high') as level
    from range(1, 9) as numbers(n)
"""
EMPTY = f"select * from ({EVERYTHING}) where false"


@pytest.fixture(scope="module")
def many(run_server_in, make_publication, make_events, conversions, tmp_path_factory):
    """A server with marts of every type, with one that is empty, and with a long one."""
    folder = tmp_path_factory.mktemp("many")
    marts = {
        "everything": EVERYTHING,
        "nothing": EMPTY,
        "long": "select n, 'text ' || n as t, n / 7 as x from range(300000) r(n)",
    }
    make_publication(folder / "publications", make_events(3), conversions, scope="open", more=marts)
    with run_server_in(folder) as server:
        yield server


@pytest.fixture(scope="module")
def client(many):
    with many.client() as client:
        yield client


def from_json(content, kinds):
    def read(value, kind):
        if value is None:
            return None
        match kind.partition("(")[0]:
            case "DOUBLE" | "FLOAT":
                return float(value)
            case "DECIMAL":
                return Decimal(str(value))
            case "DATE":
                return date.fromisoformat(value)
            case "TIMESTAMP" | "TIMESTAMP WITH TIME ZONE":
                return datetime.fromisoformat(value)
            case "TIME":
                return time.fromisoformat(value)
            case "UUID":
                return UUID(value)
            case "BLOB":
                return b64decode(value)
        return value

    rows = json.loads(content, parse_float=Decimal)
    return [{name: read(value, kinds[name]) for name, value in row.items()} for row in rows]


def from_csv(content, kinds):
    text = content.decode()
    assert "\r\n" in text
    # The module cannot tell an empty text from nothing, so the quotes are looked at by hand.
    records = re.findall(
        r'((?:"(?:[^"]|"")*"|[^",\r\n]*)(?:,(?:"(?:[^"]|"")*"|[^",\r\n]*))*)\r\n', text
    )
    assert "".join(record + "\r\n" for record in records) == text
    table = list(csv.reader(io.StringIO(text, newline="")))
    assert len(table) == len(records)
    names = table[0]
    rows = []
    for record, values in zip(records[1:], table[1:], strict=True):
        raw = re.findall(r'(?:^|,)("(?:[^"]|"")*"|[^",]*)', record)
        row = {}
        for name, given, value in zip(names, raw, values, strict=True):
            kind = kinds[name].partition("(")[0]
            if given == "":
                row[name] = None
            elif kind in {"BIGINT", "HUGEINT"}:
                row[name] = int(value)
            elif kind == "BOOLEAN":
                row[name] = {"true": True, "false": False}[value]
            elif kinds[name].endswith("]") or kind in {"STRUCT", "JSON"}:
                row[name] = json.loads(value)
            else:
                row[name] = from_json(json.dumps([{name: value}]), kinds)[0][name]
        rows.append(row)
    return rows


def from_arrow(table, kinds):
    def read(value, kind):
        if value is None:
            return None
        match kind.partition("(")[0]:
            case "UUID":
                return UUID(value)
            case "HUGEINT":
                return int(value)
            case "JSON":
                return json.loads(value)
        return value

    return [
        {name: read(value, kinds[name]) for name, value in row.items()} for row in table.to_pylist()
    ]


def same(one, other):
    if isinstance(one, float) and isinstance(other, float):
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return one == other


def as_single(value):
    return value if value is None else float(pa.scalar(value, pa.float32()).as_py())


def unchanged(value):
    return value


QUERIES = ["", "?limit=3&offset=1", "?limit=0"]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(
    "mart",
    [
        *("everything", "nothing", "marketing_conversions"),
        *("lead_event_counts_weekly", "lead_event_counts_monthly"),
    ],
)
def test_four_formats_are_equal_in_every_cell(many, client, mart, query):
    kinds = {
        column["name"]: column["type"]
        for entry in client.get(MARTS).json()
        if entry["name"] == mart
        for column in entry["columns"]
    }
    contents = {}
    for suffix, media_type in KINDS.items():
        answer = client.get(f"{MARTS}/{mart}.{suffix}{query}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].partition(";")[0] == media_type
        by_accept = client.get(f"{MARTS}/{mart}{query}", headers={"Accept": media_type})
        assert by_accept.content == answer.content
        assert f'filename="{mart}-000001.{suffix}"' in answer.headers["content-disposition"]
        contents[suffix] = answer.content
    table = ipc.open_stream(contents["arrow"]).read_all()
    stored = parquet.read_table(io.BytesIO(contents["parquet"]))
    assert stored.schema.names == table.schema.names == list(kinds)
    if "level" in kinds:  # Parquet has no dictionaries, only columns that are stored as such
        place = table.schema.get_field_index("level")
        table = table.set_column(place, "level", table["level"].cast(pa.string()))
        place = stored.schema.get_field_index("level")
        stored = stored.set_column(place, "level", stored["level"].cast(pa.string()))
    assert stored.schema.types == table.schema.types
    read = {
        "json": from_json(contents["json"], kinds),
        "csv": from_csv(contents["csv"], kinds),
        "arrow": from_arrow(table, kinds),
        "parquet": from_arrow(stored, kinds),
    }
    with duckdb.connect(
        str((many.log_file.parent / "marts.duckdb").resolve()), read_only=True
    ) as c:
        columns = ", ".join("span::varchar as span" if n == "span" else n for n in kinds)
        order = {"marketing_conversions": "all"}.get(mart, "1")
        rest = query.removeprefix("?").replace("=", " ").replace("&", " ")
        c.execute("set timezone = 'UTC'")
        found = c.sql(f"select {columns} from {mart} order by {order} {rest}").to_arrow_table()
        expected = from_arrow(found, kinds)
    for suffix, rows in read.items():
        assert len(rows) == len(expected), suffix
        for row, original in zip(rows, expected, strict=True):
            assert list(row) == list(original)
            for name, value in original.items():
                width = as_single if kinds[name] == "FLOAT" else unchanged
                assert same(width(row[name]), width(value)), (suffix, name, row[name], value)


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
        refused = client.get(f"{MARTS}/everything.{suffix}?select=text_::int&n=gt.2")
        assert refused.status_code == 400
        assert "A value cannot be cast" in refused.json()["message"]


def test_files_count_and_cut_too(client):
    exact = {"Prefer": "count=exact"}
    answer = client.get(f"{MARTS}/everything.csv?limit=3&offset=2", headers=exact)
    assert (answer.status_code, answer.headers["content-range"]) == (206, "2-4/8")
    assert client.get(f"{MARTS}/everything.csv?offset=8", headers=exact).status_code == 206
    assert client.get(f"{MARTS}/everything.csv?offset=9", headers=exact).status_code == 416
    uncounted = client.get(f"{MARTS}/everything.arrow?offset=5")
    assert (uncounted.status_code, uncounted.headers["content-range"]) == (200, "5-7/*")


def test_long_answers_are_whole(client):
    """JSON is cut and says so; the other formats are sent while they are made, and whole."""
    cut = client.get(f"{MARTS}/long?select=n")
    assert (cut.status_code, len(cut.json())) == (206, 10_000)
    for suffix in ("csv", "arrow", "parquet"):
        url = f"{MARTS}/long.{suffix}"
        plain = client.get(url)
        assert (plain.status_code, plain.headers["content-range"]) == (200, "0-299999/*")
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
            coded = client.get(url, headers={"Accept-Encoding": coding})
            assert coded.content == plain.content
            assert coded.headers.get("content-encoding", "identity") == coding
            tags.add(coded.headers["etag"])
            known = {"Accept-Encoding": coding, "If-None-Match": f'"x", {coded.headers["etag"]}'}
            again = client.get(url, headers=known)
            assert (again.status_code, again.content) == (304, b"")
            head = client.head(url, headers={"Accept-Encoding": coding})
            assert (head.status_code, head.content) == (200, b"")
            for name in ("etag", "vary", "publication", "cache-control", "content-range"):
                assert coded.headers[name] == head.headers[name] == again.headers[name]
        assert len(tags) == 3
        assert client.get(url, headers={"Accept-Encoding": "*;q=0"}).status_code == 406
        pinned = client.get(f"{url}?publication=1&limit=1")
        assert pinned.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_memory_does_not_grow_with_the_answer(run_server, make_publication, tmp_path):
    sizes = {"short": 200_000, "long": 4_000_000}
    marts = {
        name: f"select n, 'some text that is not short ' || n as t from range({rows}) r(n)"
        for name, rows in sizes.items()
    }
    make_publication(tmp_path / "publications", [], more=marts)
    with run_server() as server, server.client() as client:
        process = psutil.Process(server.process.pid)

        def peak(mart, suffix):
            largest, received = 0, 0
            with client.stream("GET", f"{MARTS}/{mart}.{suffix}") as answer:
                for chunk in answer.iter_raw(1 << 20):
                    received += len(chunk)
                    largest = max(largest, process.memory_info().rss)
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
        "short": "select 1 as n",
    }
    make_publication(tmp_path / "publications", [], more=marts)
    with run_server(LEADMARTS_QUERY_SECONDS="1") as server, server.client() as client:
        received = 0
        with client.stream("GET", f"{MARTS}/long.csv") as answer:
            chunks = answer.iter_raw(1 << 20)
            received += len(next(chunks))
            started = monotonic()
            wait_until(lambda: monotonic() - started > 1.5)
            received += sum(map(len, chunks))
        assert received > 10_000_000
        wide = ",".join(f"c{n}:n::text" for n in range(100))
        with client.stream("GET", f"{MARTS}/long.csv?select={wide}") as answer:
            assert answer.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()
        assert "An answer broke off: The query took more than 1 seconds" in server.log()
        slow = ",".join(f"t.ilike.*x{n}*y*" for n in range(400))
        refused = client.get(f"{MARTS}/long?select=count()&not.or=({slow})")
        assert refused.status_code == 503
        assert refused.json()["message"] == "The query took more than 1 seconds; ask for less."
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
        process = psutil.Process(server.process.pid)

        def closed():
            return old not in [file.path for file in process.open_files()]

        wait_until(closed, what="the old file to be closed")
        with server.client() as client:
            assert httpx.codes.is_success(client.get("/health/live").status_code)

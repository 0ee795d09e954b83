"""Text that is none of a query's business: nothing of it is executed, and nothing breaks."""

import asyncio
import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.asking import read
from api.dialect.parsing import parse
from api.dialect.question import Refused

MARTS = "/api/v1/marts"
CONVERSIONS = f"{MARTS}/marketing_conversions"
WEEKS = f"{MARTS}/lead_event_counts_weekly"
NUMBERS = f"{MARTS}/numbers"

PAYLOADS = [
    "'",
    '"',
    "''",
    "';--",
    "\\",
    "\0",
    "%",
    "*",
    "(",
    ")",
    "()",
    ",",
    ".",
    "..",
    "null",
    "eq.",
    "eq",
    "not.",
    "not.not.eq.1",
    "in.(",
    "in.)",
    "in.(,)",
    'in.("',
    'in.(")")',
    "is.",
    "or",
    "and",
    "1; drop table marketing_conversions",
    "' or 1=1 --",
    "x' union select * from meta.sources --",
    "eq.1) or (1=1",
    "eq.$v0",
    "$v0",
    "{}",
    "[]",
    "<script>",
    "é" * 200,
    "x" * 5000,
    "read_csv('/etc/passwd')",
    "(select 1)",
    "count(*)",
    "current_setting('x')",
    "mart.channel",
    "main.marketing_conversions",
    "rowid",
    "columns('.*')",
    "* exclude (channel)",
    "channel::varchar",
    "channel::text::text",
    "a:b:c",
    "channel.sum().sum()",
    "1e999",
    "-0",
    "0x10",
    "\uff19",
    "\ud7ff",
    "\u202e",
    "a\nb",
    "eq.\0",
    "gt.inf",
    "gt.nan",
    "like.\\",
    "like.%5C%5C%5C",
    "in.(" + "1," * 3000 + "1)",
    "(" * 3000,
    '"' * 999,
    "%00",
    "%27%20or%201=1",
    "' or '1'='1",
    '" or ""="',
    "1)) union select 1 --",
    "/* */",
    "--",
    "#",
    ";",
    "; attach '/tmp/x.duckdb' as x; --",
    "; copy marketing_conversions to '/tmp/x.csv'; --",
    "; install httpfs; load httpfs; --",
    "; set threads = 99; --",
    "; pragma database_list; --",
    "read_parquet('s3://a/b')",
    "read_text('/etc/passwd')",
    "glob('*')",
    "getenv('HOME')",
    "duckdb_settings()",
    "information_schema.tables",
    "sqlite_master",
    "pg_sleep(9)",
    "sleep(9)",
    "select(1)",
    "a->b",
    "a->>0",
    "a!inner(b)",
    "...a(b)",
    "*::text",
    "::int",
    "channel::varchar(3)",
    "channel::int[]",
    "count()::text",
    "sum()",
    ".sum()",
    "eq(any).{1,2}",
    "{1,2",
    "not",
    "not.and",
    "(not.and(channel.eq.tv))",
    "(" + "or(" * 30 + "channel.eq.tv" + ")" * 31,
    "(channel.eq.tv, date.eq.2020-01-01 )",
    "(,)",
    "(channel.eq.tv,)",
    "(channel.in.(tv)",
    '(channel.in.("tv)',
    "9" * 400,
    "-" + "9" * 400,
    "1e999999999",
    "1e-999999999",
    "Infinity",
    "true",
    "9999-99-99",
    "infinity",
    "T",
    "\t",
    "\r\nX-Injected: 1",
    "${jndi:ldap://a}",
    "{{7*7}}",
    "../../etc/passwd",
    "%2e%2e%2f",
    "\u200b",
    "\U0001f4a9",
    "e\u0301" * 40,
    "a" * 3000 + ".desc",
    "channel," * 600,
    "channel.eq.tv," * 600,
]

ROWS = ["select", "order", "limit", "offset", "and", "or", "not.and", "publication"]
"""What every mart takes."""

COLUMNS = ["whole", "money", "yes", "at", "word", "none"]
"""What is asked of a server; the others below are asked without one."""

HEADERS = ["Range", "Prefer", "Accept", "Accept-Profile", "If-None-Match", "Accept-Encoding"]

CHANGES = ["since", "publication", "limit", "offset", "select", "order", "and", "channel"]

TYPED = """
    select range as id, range::bigint as whole, range::utinyint as small,
        range::decimal(10, 2) as money, range::decimal(38, 18) as wide, range::double as ratio,
        range = 1 as yes, '2020-01-01'::timestamp as at, 'b'::blob as mark, [range] as list,
        'tv' as word
    from range(3)
"""


@pytest.fixture(scope="module")
def asking(run_server_in, make_publication, tmp_path_factory, make_conversion):
    """A client of a server with a mart of every kind of number, and with two publications."""
    folder = tmp_path_factory.mktemp("payloads")
    for channel in ("tv", "radio"):
        made = [make_conversion(channel=channel)]
        make_publication(folder / "publications", [], made, scope="open", more={"numbers": TYPED})
    with run_server_in(folder) as server, server.client() as client:
        yield client


def spelled(name, payload):
    """A payload as the parameter takes it."""
    if name in {"and", "or", "not.and"}:
        return [payload, f"(word.eq.{payload})"]
    return [f"eq.{payload}"] if name in COLUMNS else [payload]


def test_there_are_enough_payloads():
    assert len(set(PAYLOADS)) == len(PAYLOADS) >= 130


def hold(answer, *, of_marts=True):
    """An answer, or a refusal with a sentence: never a failure."""
    assert answer.status_code in {200, 206, 304, 400, 404, 406, 416}, answer.text
    if answer.status_code >= 400:
        problem = answer.json()
        assert problem["detail"]
        assert not of_marts or problem["message"] == problem["detail"]


def whole(client):
    """What must stay as it is, whatever was asked."""
    marts = [client.get(path).json() for path in (CONVERSIONS, NUMBERS, WEEKS)]
    return marts, client.get("/api/v1/publications/current").json()


@pytest.mark.parametrize("name", [*ROWS, *COLUMNS])
def test_payloads_as_parameters(asking, name):
    before = whole(asking)
    for payload in PAYLOADS:
        for value in spelled(name, payload):
            hold(asking.get(NUMBERS, params={name: value}))
    assert whole(asking) == before


@pytest.mark.parametrize("name", CHANGES)
def test_payloads_as_parameters_of_changes(asking, name):
    before = whole(asking)
    since = {} if name == "since" else {"since": "1"}
    for payload in PAYLOADS:
        hold(asking.get(f"{CONVERSIONS}/changes", params={**since, name: payload}))
    assert whole(asking) == before


@pytest.mark.parametrize("name", HEADERS)
def test_payloads_as_headers(asking, name):
    before = whole(asking)
    for payload in PAYLOADS:
        if re.fullmatch(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*", payload) and len(payload) < 4000:
            # No client sends another header.
            answer = asking.get(NUMBERS, headers={name: payload})
            if answer.status_code == 431:
                assert payload.count(",") >= 100
            else:
                hold(answer)
    assert whole(asking) == before


def test_payloads_on_every_type(tmp_path, make_publication, open_current):
    """Rows or a refusal, never an error of DuckDB's: without a server, on a locked publication."""
    make_publication(tmp_path, [], more={"numbers": TYPED})

    async def go():
        found = refused = 0
        async with open_current(tmp_path) as publication:
            mart = publication.marts["numbers"]
            for payload in PAYLOADS:
                for column in (column.name for column in mart.columns):
                    for text in (f"eq.{payload}", f"not.lt.{payload}", f"in.({payload})", payload):
                        try:
                            await read(publication, mart, parse([(column, text)]))
                            found += 1
                        except Refused:
                            refused += 1
            assert await read(publication, mart, parse([("select", "count()")])) == [(3,)]
        return found, refused

    found, refused = asyncio.run(go())
    assert found > 500
    assert refused > 500


def test_payloads_as_names(asking):
    """Of parameters, of columns and of marts; a path with a slash may lead to no route."""
    before = whole(asking)
    for payload in PAYLOADS:
        hold(asking.get(NUMBERS, params={payload: "eq.1"}))
        hold(asking.get(NUMBERS, params={"select": f"{payload}:id", "order": f"{payload}.desc"}))
        path = quote(payload, safe="")
        for at in (path, f"numbers.{path}", f"{path}/changes"):
            hold(asking.get(f"{MARTS}/{at}"), of_marts="/" not in payload and ".." not in payload)
    assert whole(asking) == before


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from([*ROWS, "channel", "date", "conversions"]),
    text=st.text(st.sampled_from('abcein.,()"\\:*-> 0123notrselq'), max_size=40),
)
def test_no_text_breaks_anything(operator, name, text):
    answer = operator.get(CONVERSIONS, params={name: text})
    assert answer.status_code in {200, 206, 400, 404}


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
        min_size=1,
        max_size=4,
    )
)
def test_every_value_can_be_written(operator, values):
    """Quoted in a list and in a tree, whatever it holds: nothing of it is taken for syntax."""

    def quoted(value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    listed = ",".join([*map(quoted, values), "tv"])
    each = ",".join(f"channel.eq.{quoted(value)}" for value in [*values, "tv"])
    expected = operator.get(CONVERSIONS, params={"channel": "eq.tv"}).json()
    assert expected
    for query in ({"channel": f"in.({listed})"}, {"or": f"({each})"}):
        answer = operator.get(CONVERSIONS, params=query)
        assert answer.status_code == 200, answer.text
        assert answer.json() == expected

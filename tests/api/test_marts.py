"""Every mart as an API, against the same questions asked in SQL of the file."""

import json
import re
from datetime import date, timedelta
from decimal import Decimal
from urllib.parse import urljoin

import duckdb
import pytest

MARTS = "/api/v1/marts"
CONVERSIONS = f"{MARTS}/marketing_conversions"
WEEKS = f"{MARTS}/lead_event_counts_weekly"
GRAIN = "product, campaign_type, campaign, channel, date"


@pytest.fixture(scope="module")
def ask_file(served):
    """Runs SQL on the file that is served; rows as JSON has them."""
    file = (served.log_file.parent / "marts.duckdb").resolve()
    with duckdb.connect(str(file), read_only=True) as connection:

        def ask(sql):
            found = connection.execute(sql)
            names = [column[0] for column in found.description]
            return [
                {name: plain(value) for name, value in zip(names, row, strict=True)}
                for row in found.fetchall()
            ]

        yield ask


def plain(value):
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


ALL = "from marketing_conversions"
BY = f"order by {GRAIN}"

QUESTIONS = [
    ("", f"{ALL} {BY}"),
    ("select=*", f"{ALL} {BY}"),
    ("select=channel,date", f"select channel, date {ALL} {BY}"),
    (
        "select=kanal:channel,conversions::int&limit=7",
        (f"select channel as kanal, conversions::int as conversions {ALL} {BY} limit 7"),
    ),
    (
        "select=date::text&order=date.desc&limit=5",
        (f"select date::varchar as date {ALL} m order by m.date desc, {GRAIN} limit 5"),
    ),
    ("channel=eq.tv", f"{ALL} where channel = 'tv' {BY}"),
    ("channel=neq.tv", f"{ALL} where channel <> 'tv' {BY}"),
    (
        "conversions=gt.100.5",
        f"{ALL} where conversions > 100.5 {BY}",
    ),
    (
        "conversions=gte.0.5",
        f"{ALL} where conversions >= 0.5 {BY}",
    ),
    (
        "conversions=lt.1e-3",
        f"{ALL} where conversions < 0.001 {BY}",
    ),
    ("conversions=lte.0", f"{ALL} where conversions <= 0 {BY}"),
    (
        "date=eq.2020-03-01",
        f"{ALL} where date = '2020-03-01' {BY}",
    ),
    (
        "date=gte.2020-03-01&date=lt.2020-04-01",
        (f"{ALL} where date >= '2020-03-01' and date < '2020-04-01' {BY}"),
    ),
    ("channel=like.*o*", f"{ALL} where channel like '%o%' {BY}"),
    ("channel=ilike.TV", f"{ALL} where channel ilike 'TV' {BY}"),
    ("channel=like.t_", f"{ALL} where channel like 't_' {BY}"),
    ("channel=like.t%5C_", f"{ALL} where false"),
    (
        "channel=not.like.*o*",
        f"{ALL} where channel not like '%o%' {BY}",
    ),
    (
        'channel=in.(tv,"radio")',
        f"{ALL} where channel in ('tv', 'radio') {BY}",
    ),
    ("channel=in.()", f"{ALL} where false"),
    (
        "channel=not.in.(tv,radio)",
        f"{ALL} where channel not in ('tv', 'radio') {BY}",
    ),
    ("conversions=is.null", f"{ALL} where false"),
    ("conversions=not.is.null", f"{ALL} {BY}"),
    ("conversions=is.not_null", f"{ALL} {BY}"),
    (
        "campaign_type=eq.it's branding&campaign=eq.été",
        (f"{ALL} where campaign_type = 'it''s branding' and campaign = 'été' {BY}"),
    ),
    (
        "campaign=eq.a%26b%3Dc",
        f"{ALL} where campaign = 'a&b=c' {BY}",
    ),
    (
        "or=(channel.eq.tv,conversions.gt.500)",
        f"{ALL} where channel = 'tv' or conversions > 500 {BY}",
    ),
    (
        "and=(channel.eq.tv,or(product.eq.product a,date.lt.2020-02-01))",
        (f"{ALL} where channel = 'tv' and (product = 'product a' or date < '2020-02-01') {BY}"),
    ),
    (
        "not.or=(channel.eq.tv,channel.eq.radio)",
        f"{ALL} where channel not in ('tv', 'radio') {BY}",
    ),
    (
        "or=(not.and(channel.eq.tv,product.eq.product a),conversions.is.null)",
        (f"{ALL} where not (channel = 'tv' and product = 'product a') {BY}"),
    ),
    (
        'or=(channel.in.(tv,"out of home"),channel.eq."radio")',
        (f"{ALL} where channel in ('tv', 'out of home', 'radio') {BY}"),
    ),
    (
        "order=conversions.desc.nullslast,date&limit=20&offset=3",
        f"{ALL} order by conversions desc, date, {GRAIN} limit 20 offset 3",
    ),
    (
        "select=channel,conversions.sum()",
        (
            "select channel, cast(sum(conversions::varchar::decimal(38, 18)) as double) as sum "
            f"{ALL} group by all order by channel"
        ),
    ),
    (
        "select=channel,n:count(),conversions.max(),last:date.max()&order=channel.desc",
        (
            "select channel, count(*) as n, max(conversions) as max, max(date) as last "
            f"{ALL} group by all order by channel desc"
        ),
    ),
    ("select=count()", f"select count(*) as count {ALL}"),
    (
        "select=count(),channel.count()::text&channel=eq.tv",
        None,
    ),
    (
        "select=conversions::int.sum(),avg:conversions::int.avg()&channel=eq.tv",
        (
            "select sum(conversions::int) as sum, avg(conversions::int) as avg "
            f"{ALL} where channel = 'tv'"
        ),
    ),
    (
        "select=day:date,channel&channel=eq.tv&order=date",
        (f"select date as day, channel {ALL} where channel = 'tv' order by date, {GRAIN}"),
    ),
    (
        "select=channel:product,product:channel&order=channel.desc&limit=9",
        (
            f"select m.product as channel, m.channel as product {ALL} m "
            "order by m.channel desc, m.product, m.campaign_type, m.campaign, m.date limit 9"
        ),
    ),
]


@pytest.mark.parametrize(("query", "sql"), QUESTIONS, ids=[query for query, _ in QUESTIONS])
def test_the_same_as_in_sql(operator, ask_file, query, sql):
    answer = operator.get(f"{CONVERSIONS}?{query}")
    if sql is None:
        assert answer.status_code == 400
        assert "select gives count twice" in answer.json()["message"]
        return
    assert answer.status_code == 200, answer.text
    expected = ask_file(sql)
    assert answer.json() == expected
    assert "content-range" not in answer.headers  # nobody asked which rows these are


def test_open_marts_need_no_token(client, ask_file):
    answer = client.get(WEEKS)
    assert answer.json() == ask_file("from lead_event_counts_weekly order by week_start")
    assert answer.headers["cache-control"] == (
        "public, max-age=0, stale-while-revalidate=10, stale-if-error=86400"
    )
    assert answer.headers["vary"] == (
        "Accept, Accept-Encoding, Accept-Profile, Origin, Prefer, Range"
    )
    assert client.get(CONVERSIONS).status_code == 401


def test_the_catalogue_is_the_manifest(client):
    manifest = client.get("/api/v1/publications/current").json()
    listed = client.get(MARTS).json()
    links = [mart.pop("links") for mart in listed]
    marts = [{k: v for k, v in mart.items() if k != "sorted"} for mart in manifest["marts"]]
    assert listed == marts
    for mart, link in zip(listed, links, strict=True):
        assert client.get(link["publication"]).json() == manifest
        for name in ("rows", "csv", "arrow", "parquet"):
            status = 200 if mart["scope"] == "open" else 401
            assert client.get(link[name]).status_code == status


@pytest.mark.parametrize(
    ("scope", "reader", "nobody", "stranger"),
    [
        ("open", 200, 200, 200),
        ("marketing:read", 200, 403, 401),
        ("marketing:secret", 403, 403, 401),
        (None, 200, 200, 401),
    ],
)
def test_who_may_read_a_mart(
    run_server,
    make_publication,
    tmp_path,
    make_conversion,
    add_user,
    users,
    scope,
    reader,
    nobody,
    stranger,
):
    folder = tmp_path / "publications"
    make_publication(folder, [], [make_conversion()], scope="open")
    make_publication(folder, [], [make_conversion()], scope=scope)
    add_user(tmp_path / "users.json", *users["operator"])
    add_user(tmp_path / "users.json", *users["nobody"], "--no-scope")
    with (
        run_server() as server,
        server.signed_in(*users["operator"]) as one,
        server.signed_in(*users["nobody"]) as another,
        server.client() as third,
    ):
        # What the mart was once is no way around what it is now.
        for path in (CONVERSIONS, f"{CONVERSIONS}?publication=1"):
            for _ in range(2):
                for client, status in ((one, reader), (another, nobody), (third, stranger)):
                    assert client.get(path).status_code == status


def test_counting_and_ranges(operator, ask_file):
    everything = ask_file(f"from marketing_conversions order by {GRAIN}")
    total = len(everything)
    exact = {"Prefer": "count=exact"}
    whole = operator.get(CONVERSIONS, headers=exact)
    assert (whole.status_code, whole.headers["content-range"]) == (200, f"0-{total - 1}/{total}")
    assert whole.headers["preference-applied"] == "count=exact"
    part = operator.get(CONVERSIONS, params={"limit": 3, "offset": 2}, headers=exact)
    assert (part.status_code, part.headers["content-range"]) == (206, f"2-4/{total}")
    ranged = operator.get(CONVERSIONS, headers={**exact, "Range-Unit": "items", "Range": "2-4"})
    assert ranged.json() == part.json() == everything[2:5]
    assert ranged.status_code == 206
    rest = operator.get(CONVERSIONS, headers={"Range": f"{total - 2}-"})
    assert rest.json() == everything[-2:]
    assert (rest.status_code, rest.headers["content-range"]) == (200, f"{total - 2}-{total - 1}/*")
    both = operator.get(CONVERSIONS, params={"limit": 4, "offset": 2}, headers={"Range": "3-9"})
    assert both.json() == everything[3:6]
    uncounted = operator.get(CONVERSIONS, params={"offset": total + 1})
    assert (uncounted.status_code, uncounted.json()) == (200, [])
    assert "content-range" not in uncounted.headers


def test_ranges_without_rows(operator, ask_file):
    """As PostgREST has it: `rangeStatus` in RangeQuery.hs and `getRanges` in ApiRequest.hs."""
    ((total,),) = [row.values() for row in ask_file(f"select count(*) {ALL}")]
    exact = {"Prefer": "count=exact"}
    behind = operator.get(CONVERSIONS, params={"offset": total}, headers=exact)
    assert (behind.status_code, behind.json()) == (206, [])
    assert behind.headers["content-range"] == f"*/{total}"
    none = operator.get(CONVERSIONS, params={"channel": "eq.nothing"}, headers=exact)
    assert (none.status_code, none.headers["content-range"]) == (200, "*/0")
    nothing = operator.get(CONVERSIONS, params={"limit": 0, "offset": 3}, headers={"Range": "0-1"})
    assert (nothing.status_code, nothing.json()) == (200, [])
    beyond = operator.get(CONVERSIONS, params={"offset": total + 1}, headers=exact)
    assert beyond.headers["content-range"] == f"*/{total}"
    lower = (
        "The lower boundary must be lower than or equal to the upper boundary in the Range header."
    )
    negative = "Limit should be greater than or equal to zero."
    for answer, details in (
        (
            beyond,
            f"An offset of {total + 1} was requested, but there are only {total} rows.",
        ),
        (
            operator.get(CONVERSIONS, headers={"Range": "5-3"}),
            lower,
        ),
        (operator.get(CONVERSIONS, params={"limit": "-1"}), negative),
        (operator.get(CONVERSIONS, params={"offset": 9}, headers={"Range": "0-4"}), negative),
        (operator.get(CONVERSIONS, params={"limit": 2}, headers={"Range": "2-"}), negative),
    ):
        assert answer.status_code == 416
        problem = answer.json()
        assert (problem["code"], problem["details"]) == ("PGRST103", details)
        assert problem["message"] == problem["detail"]


def test_ranges_that_are_none_are_ignored(operator):
    """RFC 9110 §14.2, and `rangeParse` of PostgREST's RangeQuery.hs."""
    whole = operator.get(CONVERSIONS)
    for header in ("x", "bytes=0-9", "items=0-9", "-3", "0-9,20-29", "1 - 2", "٣-٤".encode()):
        ignored = operator.get(CONVERSIONS, headers={"Range": header})
        assert (ignored.status_code, ignored.content) == (200, whole.content)
        assert "content-range" not in ignored.headers
    for header in ("0-1", "9-3"):  # HEAD is about the whole, also where GET is kept
        operator.get(CONVERSIONS, headers={"Range": header})
        head = operator.head(CONVERSIONS, headers={"Range": header})
        assert (head.status_code, head.headers["etag"]) == (200, whole.headers["etag"])
        assert "content-range" not in head.headers
    assert len(operator.get(CONVERSIONS, headers={"Range": f"3-{'9' * 400}"}).json()) > 3


def test_one_row_by_itself(operator, ask_file):
    one = {"Accept": "application/vnd.pgrst.object+json"}
    answer = operator.get(CONVERSIONS, params={"limit": 1}, headers=one)
    assert answer.headers["content-type"] == "application/vnd.pgrst.object+json"
    assert [answer.json()] == operator.get(CONVERSIONS, params={"limit": 1}).json()
    ((total,),) = [row.values() for row in ask_file(f"select count(*) {ALL}")]
    for rows, query in (
        (2, {"limit": 2}),
        (0, {"channel": "eq.nothing"}),
        (total, {}),
        (total - 3, {"offset": 3, "limit": 10_000}),
    ):
        refused = operator.get(CONVERSIONS, params=query, headers=one)
        assert refused.status_code == 406
        assert refused.json()["code"] == "PGRST116"
        assert refused.json()["details"] == f"The result contains {rows} rows"


@pytest.mark.parametrize(
    ("query", "code", "told"),
    [
        (
            "nothing=eq.1",
            "42703",
            "There is no column nothing in marketing_conversions; its columns",
        ),
        ("select=nothing", "42703", "There is no column nothing"),
        ("order=nothing", "42703", "There is no column nothing"),
        ("or=(nothing.eq.1)", "42703", "There is no column nothing"),
        ("rowid=gt.0", "42703", "There is no column rowid"),
        (
            "channel=tv",
            "PGRST100",
            "channel=tv has no operator; if that is a column, write it as channel=eq.value (there",
        ),
        ("channel=is.tv", "PGRST100", "channel=is.tv is none of null, not_null, true, false,"),
        ("channel=is.true", "42804", "is.true needs a boolean, and channel is VARCHAR."),
        ("channel=EQ.tv", "PGRST100", "has no operator"),
        ("channel=foo.tv", "PGRST100", "There is no operator foo"),
        (
            "channel=fts.tv",
            "PGRST127",
            "fts is not supported here; there are eq, neq, gt, gte, lt, lte, like, ilike, in, is,",
        ),
        ("or=(channel.match.tv)", "PGRST127", "The operator match is not supported here; there"),
        ("channel=eq(any).{tv}", "PGRST127", "The modifier eq(any) is not supported here; for one"),
        ("date=eq.tomorrow", "22P02", "'tomorrow' is none; write a date as 2026-01-31."),
        ("conversions=gt.many", "22P02", "conversions is DOUBLE, and 'many' is none; write a"),
        ("conversions=in.(1,two)", "22P02", "'two' is none; write a number, such as 12.5."),
        ("date=like.2020*", "42883", "like needs text, and date is DATE."),
        ("channel=like.a%5C", "22025", "The pattern for channel ends with a lone backslash."),
        ("limit=-x", "PGRST100", "limit=-x is not a whole number, 0 or more."),
        ("offset=x", "PGRST100", "offset=x is not a whole number, 0 or more."),
        ("limit=1&limit=2", "PGRST100", "The parameter limit was given twice"),
        ("select=a->b", "PGRST127", "reaches into JSON"),
        ("or=(a->b.eq.1)", "PGRST127", "reaches into JSON"),
        ("a->>b=eq.1", "PGRST127", "reaches into JSON"),
        ("order=a->b.desc", "PGRST127", "reaches into JSON"),
        ("select=other(*)", "PGRST127", "embeds another mart"),
        ("select=other!inner(a,b(c,d))", "PGRST127", "embeds another mart"),
        (
            "order=other(a).desc",
            "PGRST127",
            "or an embedded mart, which is not supported; order by columns.",
        ),
        ("other.limit=1", "PGRST127", "The parameter other.limit is about an embedded mart"),
        ("other.order=n", "PGRST127", "The parameter other.order is about an embedded mart"),
        ("other.or=(a.eq.1)", "PGRST127", "The parameter other.or is about an embedded mart"),
        ("channel.x=eq.1", "PGRST127", "is written in quotes"),
        ('"channel.x"=eq.1', "42703", "There is no column channel.x"),
        ("select=channel::varchar(3)", "PGRST127", "a type with a length"),
        ("select=channel,channel", "PGRST100", "select gives channel twice"),
        ("select=,", "PGRST100", "is not an element of a selection"),
        ("select=channel.sum()", "42883", "sum() needs numbers, and channel is VARCHAR."),
        (
            "select=m:conversions::int.median()::text",
            "PGRST100",
            "for median(), and there is no such aggregate; there are count(), sum(), avg(), min()",
        ),
        ("select=channel.count(date)", "PGRST100", "asks for count(date), and there is no such"),
        ("select=sum()", "PGRST100", "lacks a column; only count() needs none."),
        ("select=channel::money", "42704", "There is no type money to cast to; there are text,"),
        ("select=channel::int", "22P02", "as select=channel::int asks (Could not convert string"),
        (
            "select=date,m:channel::int.max()::text&order=date",
            "22P02",
            "A value cannot be cast as select=m:channel::int.max()::text asks (Could not convert",
        ),
        ("select=sum(conversions)", "PGRST100", "way; write it as conversions.sum()."),
        ("select=m:MAX( date )::text", "PGRST100", "way; write it as m:date.max()::text."),
        ("select=n:count(*)", "PGRST100", "way; write it as n:count()."),
        ("select=count(1)", "PGRST100", "way; write it as count()."),
        ("select=count(distinct channel)", "PGRST127", "about distinct values, which is not supp"),
        ("select=conversions.sum().avg()", "PGRST100", "goes on after sum(), where only a cast m"),
        ("select=conversions.sum() as x", "PGRST100", "stands before, as in other:column.sum()."),
        ("select=sum(a.b)", "PGRST100", "column alone; write it as column.sum()."),
        ("select=n:Count(id,name)", "PGRST100", "column alone; write it as column.count()."),
        ("select=sum(my-column)", "PGRST100", "way; write it as my-column.sum()."),
        ("select=sum(conversions::int)", "PGRST100", "way; write it as conversions::int.sum()."),
        ('select=max("a (b)")', "PGRST100", "way; write it as %22a%20(b)%22.max()."),
        ("select=sum(*)", "PGRST100", "select=sum(*) lacks a column; only count() needs none."),
        ("select=x:avg( )", "PGRST100", "lacks a column; only count() needs none."),
        ("select=upper(channel)", "PGRST127", "embeds another mart or calls a function"),
        ("select=avg(conversions) as x", "PGRST127", "such as column.sum(), and other names"),
        ("select=channel,n:count()&order=n.desc", "PGRST100", "order=n is by what is made of a"),
        ("order=count().desc", "PGRST127", "is by an aggregate, a function or an embedded mart"),
        ("conversions.sum()=gt.5", "PGRST127", "is about an aggregate, which is not supported"),
        ("not.channel=eq.tv", "PGRST100", "as in channel=not.eq.value."),
        ("channel=not.in.tv,radio", "PGRST100", "write it as channel=not.in.(tv,radio)."),
        ("page=2", "PGRST100", "columns are select, order, and, or, limit, offset and publicat"),
        (
            "select=count()&order=channel",
            "PGRST100",
            "order=channel is not possible beside aggregates",
        ),
        ("order=channel.up", "PGRST100", "order=channel.up is not an element of an order"),
        ("or=channel.eq.tv", "PGRST100", "is malformed at character 1: '(' is expected there."),
        (
            "channel=not.in.(tv,radio",
            "PGRST100",
            "channel=not.in.(tv,radio is malformed at character 17: ')' is expected there.",
        ),
        ("or=(channel.eq.tv", "PGRST100", "')' is expected there."),
        ("or=()", "PGRST100", "a condition such as column.eq.value is expected there."),
        ("and=(channel.eq.tv)x", "PGRST100", "the end is expected there."),
        ('and=(channel.in."tv")', "PGRST100", "'(' is expected there."),
        ("and=" + "(and" * 25 + "(channel.eq.tv" + ")" * 26, "PGRST100", ""),
        (
            "and=" + "(or" * 25 + "(channel.eq.tv" + ")" * 26,
            "PGRST100",
            "nested more than 20 times",
        ),
        ("select=" + "channel," * 500, "PGRST100", "select has more than 500 elements"),
        ("order=" + "date," * 100, "PGRST100", "order has more than 100 elements"),
        (
            f"channel=in.({'a,' * 2000})",
            "PGRST100",
            "There are more than 2,000 listed values",
        ),
        (
            f"or=({'date.is.null,' * 500}date.is.null)",
            "PGRST100",
            "There are more than 500 conditions",
        ),
        ("date=is.null&" * 501, "PGRST100", "There are more than 500 conditions"),
        ("columns=channel", "PGRST127", "The parameter columns is for writing"),
        ("select=count", "42703", "as an aggregate, write it as count()."),
        ("select=channel,sum", "42703", "as an aggregate, write it as column.sum()."),
        ("select=n:max", "42703", "as an aggregate, write it as column.max()."),
        ("select=conversions.sum", "PGRST100", "; write it as conversions.sum()."),
        ("channel=in.{tv,radio}", "PGRST100", "; write it as channel=in.(tv,radio)."),
        ("channel=not.in.[tv]", "PGRST100", "; write it as channel=not.in.(tv)."),
        ("channel=in.tv,radio", "PGRST100", "; write it as channel=in.(tv,radio)."),
        ("channel=in.{tv", "PGRST100", "; write it as channel=in.(tv)."),
        ("or=(channel.in.{tv,radio},date.is.null)", "PGRST100", " as channel.in.(tv,radio)."),
        ("and=(channel.not.in.[tv])", "PGRST100", "; write it as channel.not.in.(tv)."),
        ("channel=eq(any).{tv,radio}", "PGRST127", "several values write in.(value,value)."),
        ("publication=x", "PGRST000", "publication=x is not a whole number, 1 or more."),
    ],
)
def test_what_cannot_be_answered_is_refused(operator, query, code, told):
    answer = operator.get(f"{CONVERSIONS}?{query}")
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert told in problem["detail"] == problem["message"]
    assert problem["code"] == code
    assert {"details", "hint", "title", "status", "instance"} <= problem.keys()


def test_a_number_becomes_the_decimal_that_it_is_written_as(operator, ask_file):
    query = f"{CONVERSIONS}?select=d:conversions::numeric&order=conversions.desc.nullslast&limit=50"
    written = json.loads(operator.get(query).text, parse_float=Decimal)
    rows = ask_file(f"select conversions {ALL} order by conversions desc nulls last limit 50")
    assert [row["d"] for row in written] == [Decimal(repr(row["conversions"])) for row in rows]


def test_other_refusals(operator, client):
    for path in (CONVERSIONS, f"{CONVERSIONS}/changes?since=1"):
        no_schema = operator.get(path, headers={"Accept-Profile": "meta"})
        assert (no_schema.status_code, no_schema.json()["code"]) == (406, "PGRST106")
        assert no_schema.json()["message"] == "There is no schema meta; there is public."
    no_format = operator.get(CONVERSIONS, headers={"Accept": "image/png"})
    assert (no_format.status_code, no_format.json()["code"]) == (406, "PGRST107")
    assert operator.get(CONVERSIONS, headers={"Accept-Profile": "public"}).status_code == 200
    unknown = client.get(f"{MARTS}/sources")
    assert unknown.status_code == 404
    assert "there are lead_event_counts_" in unknown.json()["message"]
    assert operator.get(CONVERSIONS, params={"publication": 3}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "told"),
    [
        ("POST", WEEKS, 405, "PGRST117", "POST is not supported: marts are only read"),
        ("PATCH", f"{WEEKS}?semaine=eq.x", 405, "PGRST117", "PATCH is not supported"),
        ("DELETE", WEEKS, 405, "PGRST117", "DELETE is not supported"),
        ("PUT", WEEKS, 405, "PGRST117", "PUT is not supported"),
        ("POST", f"{MARTS}/rpc/foo", 404, "PGRST202", "There are no functions to call (rpc)"),
        ("GET", f"{MARTS}/rpc/foo", 404, "PGRST202", "There are no functions to call (rpc)"),
        ("GET", f"{WEEKS}/a/b", 404, "PGRST125", "There is nothing at this path"),
    ],
)
def test_what_has_no_route_is_told_to_the_clients_too(client, method, path, status, code, told):
    answer = client.request(method, path, json={} if method in {"POST", "PATCH", "PUT"} else None)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert problem["message"] == problem["detail"]
    assert problem["message"].startswith(told)
    assert problem["details"] is None
    assert problem["hint"] is None


def test_long_answers_are_cut_and_say_so(run_server, make_publication, make_conversion, tmp_path):
    days = [date(1990, 1, 1) + timedelta(days=number) for number in range(10_005)]
    made = [make_conversion(date=day, conversions=1.0) for day in days]
    make_publication(tmp_path / "publications", [], made, scope="open")
    with run_server() as server, server.client() as client:
        first = client.get(CONVERSIONS, params={"select": "date"})
        assert (first.status_code, len(first.json())) == (206, 10_000)
        assert first.headers["content-range"] == "0-9999/*"
        target = re.fullmatch(r'<(.*)>; rel="next"', first.headers["link"])[1]
        second = client.get(urljoin(str(first.url), target))
        assert second.status_code == 200
        assert "link" not in second.headers
        answered = [row["date"] for row in first.json() + second.json()]
        assert answered == [day.isoformat() for day in days]
        limited = client.get(CONVERSIONS, params={"limit": 10_002})
        assert limited.status_code == 206
        assert "limit=2" in limited.headers["link"]
        one = {"Accept": "application/vnd.pgrst.object+json"}
        told = client.get(CONVERSIONS, params={"select": "date"}, headers=one).json()
        assert told["details"] == "The result contains 10005 rows"
        exactly = client.get(CONVERSIONS, params={"limit": 10_000})
        assert exactly.status_code == 200
        assert "link" not in exactly.headers


def test_a_question_too_long_for_a_link(run_server, make_publication, tmp_path):
    """Clients and proxies bound what they take in headers; Python's own takes 64 kB."""
    more = {"m": "select n, 0 as a from range(100000, 101000) r(n)"}
    make_publication(tmp_path / "publications", [], more=more)
    numbers = ",".join(str(n) for n in range(100_000, 101_000))
    asked = {"n": f"in.({numbers})"}
    with run_server(LEADMARTS_JSON_ROWS="900") as server, server.client() as client:
        refused = client.get(f"{MARTS}/m", params=asked)
        assert refused.status_code == 400
        assert refused.json()["code"] == "PGRST100"
        assert refused.json()["message"] == (
            "There are more rows than the 900 of one answer, and the link to the next ones, which "
            "repeats the question, would have 9063 characters of at most 8000; ask for less, set "
            "a limit of 900 or less, or take .csv, which has none."
        )
        assert "link" not in refused.headers
        # What the sentence says to do.
        less = client.get(f"{MARTS}/m", params={"n": f"in.({numbers[: 850 * 7 - 1]})"})
        assert (less.status_code, len(less.json())) == (200, 850)
        limited = client.get(f"{MARTS}/m", params={**asked, "limit": 900})
        assert (limited.status_code, len(limited.json())) == (200, 900)
        assert client.get(f"{MARTS}/m.csv", params=asked).text.count("\r\n") == 1 + 1000


def test_links_are_quoted(run_server, make_publication, tmp_path, monkeypatch):
    """RFC 8288 §3: a link's target is a URI, whatever a mart of an older publication is called."""
    monkeypatch.setattr("publication.properties.NAME", re.compile(".+"))
    more = {"été 2026": "select n, 0 as a from range(25) r(n)"}
    make_publication(tmp_path / "publications", [], more=more)
    with run_server(LEADMARTS_JSON_ROWS="20") as server, server.client() as client:
        first = client.get(f"{MARTS}/été 2026", params={"n": "gte.1", "a": "in.(0,1)"})
        target = re.fullmatch(r'<(.*)>; rel="next"', first.headers["link"])[1]
        assert target.startswith(f"{MARTS}/%C3%A9t%C3%A9%202026?")
        second = client.get(urljoin(str(first.url), target))
        rows = first.json() + second.json()
        assert [row["n"] for row in rows] == list(range(1, 25))


def test_the_same_answer_has_the_same_tag(operator):
    ranged = {"Range": "0-1"}
    tag = operator.get(CONVERSIONS, headers=ranged).headers["etag"]
    known = operator.get(CONVERSIONS, headers={**ranged, "If-None-Match": tag})
    assert known.status_code == 304
    assert known.headers["content-range"] == "0-1/*"
    others = [
        operator.get(CONVERSIONS, params={"limit": 3}),
        operator.get(CONVERSIONS, params={"limit": 2}, headers={"Prefer": "count=exact"}),
        operator.get(CONVERSIONS, params={"limit": 2}, headers={"Range": "1-2"}),
    ]
    assert len({tag, *(other.headers["etag"] for other in others)}) == 4
    for kept in (
        operator.get(CONVERSIONS, params={"limit": 2}, headers={"Prefer": "count=exact"}),
        operator.get(CONVERSIONS, params={"limit": 2}, headers={"Range": "1-2"}),
    ):
        assert kept.headers["etag"] in {other.headers["etag"] for other in others}


def test_numbers_have_all_their_digits(run_server, make_publication, make_conversion, tmp_path):
    made = [make_conversion(conversions=value, date=date(2020, 1, n + 1)) for n, value in
            enumerate([0.1, 1e300, 5e-324, 12345678.901234567, -0.0])]  # fmt: skip
    make_publication(tmp_path / "publications", [], made, scope="open")
    with run_server() as server, server.client() as client:
        found = client.get(CONVERSIONS, params={"select": "conversions"}).content
        assert [row["conversions"] for row in json.loads(found)] == [
            one.conversions for one in made
        ]

"""Measurements, weekly sales and shares of channels, against sums made in plain Python."""

import re
from collections import defaultdict
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.conversions import percentage

MEASUREMENTS = "/api/marketing/measurements/"
SHARES = "/api/marketing/stats/channel-sales-percentages/"
WEEKS = "/api/marketing/stats/channel-weekly-sales/"
ROUTES = [MEASUREMENTS, SHARES, WEEKS]

COLUMNS = {
    "products": "product",
    "campaigns": "campaign",
    "campaign_types": "campaign_type",
    "channels": "channel",
}

ask_often = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def selected(conversions, query):
    """The conversions that fit a query."""
    return [
        one
        for one in conversions
        if all(getattr(one, COLUMNS[name]) in query[name] for name in COLUMNS if query.get(name))
        and one.date.isoformat() >= query.get("start_date", "")
        and one.date.isoformat() <= query.get("end_date", "9999")
    ]


def measurements(conversions, query):
    order = sorted(selected(conversions, query), key=lambda one: one.key)
    names = ("product", "campaign_type", "campaign", "channel", "date", "conversions")
    return [
        {name: getattr(one, name) for name in names} | {"date": one.date.isoformat()}
        for one in order
    ]


def weeks(conversions, query):
    sums = defaultdict(Fraction)
    for one in selected(conversions, query):
        year, week, _ = one.date.isocalendar()
        sums[year, week, one.channel] += Fraction(one.conversions)
    return [
        {"channel": channel, "year": year, "week": week, "sales": float(sums[year, week, channel])}
        for year, week, channel in sorted(sums)
    ]


def shares(conversions, query):
    """What is divided is rounded to 18 places first, as the marts do."""

    def exact(one):
        with localcontext(prec=60):
            return Decimal(one.conversions).quantize(Decimal("1e-18"), ROUND_HALF_UP)

    period = {name: query[name] for name in ("start_date", "end_date") if name in query}
    with localcontext(prec=60):
        whole = sum(exact(one) for one in selected(conversions, period))
        sums = defaultdict(Decimal)
        for one in selected(conversions, query):
            sums[one.channel] += exact(one)
        order = sorted(sums, key=lambda channel: (-sums[channel], channel))
        return [
            {
                "channel": channel,
                "percentage": str(
                    (100 * sums[channel] / whole).quantize(Decimal("0.01"), ROUND_HALF_UP)
                    if whole
                    else "0.00"
                ),
            }
            for channel in order
        ]


MODELS = {MEASUREMENTS: measurements, SHARES: shares, WEEKS: weeks}


def assert_same(found, expected):
    """Equal, where sums of floating-point numbers differ by the rounding of their exact values."""
    assert [{**one, "sales": 0} for one in found] == [{**one, "sales": 0} for one in expected]
    for one, other in zip(found, expected, strict=True):
        if "sales" in other:
            assert one["sales"] == pytest.approx(other["sales"], rel=1e-15, abs=1e-15)


def links(answer):
    """The Link header's targets by relation, as absolute URLs."""
    found = re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers["link"])
    assert len(found) == answer.headers["link"].count("rel=")
    return {name: urljoin(str(answer.url), target) for target, name in found}


def walk(client, url, **query):
    """All elements, page by page, by the links."""
    answer = client.get(url, params=query)
    elements = answer.json()["data"]
    while "next" in links(answer):
        answer = client.get(links(answer)["next"])
        assert answer.status_code == 200
        elements += answer.json()["data"]
    assert len(elements) == int(answer.headers["x-total-count"])
    return elements


days = st.dates(date(2019, 12, 20), date(2021, 1, 20)).map(date.isoformat)

queries = st.fixed_dictionaries(
    {},
    optional={
        "products": st.lists(st.sampled_from(["product a", "product b", "x"]), max_size=3),
        "campaigns": st.lists(st.sampled_from(["spring", "été", "a&b=c", "x"]), max_size=3),
        "campaign_types": st.lists(st.sampled_from(["always on", "it's branding"]), max_size=2),
        "channels": st.lists(
            st.sampled_from(["tv", "facebook", "radio", "out of home", "x", "TV"]), max_size=3
        ),
        "start_date": days,
        "end_date": days,
    },
).filter(lambda query: query.get("start_date", "") <= query.get("end_date", "9999"))


@pytest.mark.parametrize("route", ROUTES)
@ask_often
@given(query=queries, page_size=st.integers(1, 100), offset=st.integers(0, 120))
def test_every_route_answers_what_was_selected(
    operator, conversions, route, query, page_size, offset
):
    answer = operator.get(route, params={**query, "page_size": page_size, "offset": offset})
    assert answer.status_code == 200
    expected = MODELS[route](conversions, query)
    assert int(answer.headers["x-total-count"]) == len(expected)
    assert_same(answer.json()["data"], expected[offset : offset + page_size])


@pytest.mark.parametrize("route", ROUTES)
def test_all_pages_together_are_the_whole(operator, conversions, route):
    for page_size in (7, 10, 100):
        found = walk(operator, route, channels=["tv", "radio"], page_size=page_size)
        assert_same(found, MODELS[route](conversions, {"channels": ["tv", "radio"]}))


def test_without_a_word_ten_of_all(operator, conversions):
    answer = operator.get(MEASUREMENTS)
    assert answer.json() == {"data": measurements(conversions, {})[:10]}


def test_both_spellings_are_one(operator):
    one, other = (
        operator.get(f"/api/marketing/stats/channel{s}-sales-percentages{slash}")
        for s, slash in (("", ""), ("s", "/"))
    )
    assert one.json() == other.json()
    assert one.headers["etag"] == other.headers["etag"]
    assert urlsplit(links(other)["first"]).path == urlsplit(str(other.url)).path


def test_a_week_that_is_cut_counts_the_days_inside(operator, conversions):
    """2020-W14 is from March 30 to April 5."""
    found = operator.get(WEEKS, params={"start_date": "2020-04-01", "end_date": "2020-04-02"})
    by_channel = defaultdict(Fraction)
    for one in conversions:
        if one.date in {date(2020, 4, 1), date(2020, 4, 2)}:
            by_channel[one.channel] += Fraction(one.conversions)
    assert by_channel
    assert [(one["year"], one["week"]) for one in found.json()["data"]] == [(2020, 14)] * len(
        by_channel
    )
    for one in found.json()["data"]:
        assert one["sales"] == pytest.approx(float(by_channel[one["channel"]]), rel=1e-15)


def test_shares_are_of_all_sales(operator, conversions):
    alone = operator.get(SHARES, params={"channels": "tv"}).json()["data"]
    among = operator.get(SHARES).json()["data"]
    assert len(alone) == 1
    assert alone[0] in among
    whole = walk(operator, SHARES)
    assert abs(sum(Decimal(one["percentage"]) for one in whole) - 100) <= Decimal("0.02")


def test_nothing_to_divide(run_server, make_publication, tmp_path, make_conversion):
    zero = make_conversion(channel="tv", date=date(2020, 1, 1), conversions=0.0)
    make_publication(tmp_path / "publications", [], [zero])
    with run_server() as server, server.signed_in() as client:
        assert client.get(SHARES).json() == {"data": [{"channel": "tv", "percentage": "0.00"}]}
        nothing = client.get(SHARES, params={"start_date": "2020-01-02"})
        assert nothing.json() == {"data": []}
        assert set(links(nothing)) == {"first", "last"}


@pytest.mark.parametrize(
    ("part", "whole", "written"),
    [
        ("0", "0", "0.00"),
        ("1", "3", "33.33"),
        ("2", "3", "66.67"),
        ("1", "20000", "0.01"),
        ("0.999999999999999999", "20000", "0.00"),
        ("1", "1", "100.00"),
        ("67.735", "100", "67.74"),
        ("0.00001", "100", "0.00"),
        ("-1", "4", "-25.00"),
        ("99999999999999999999.999999999999999999", "100000000000000000000", "100.00"),
    ],
)
def test_percentages_have_two_decimals(part, whole, written):
    assert percentage(Decimal(part), Decimal(whole)) == written


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("value", ["0", "101", "-1", "1.5", "abc", "", "1e9", "\uff19", "1 0"])
def test_page_sizes_that_are_none(operator, route, value):
    answer = operator.get(route, params={"page_size": value})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "is not a whole number from 1 to 100." in answer.json()["detail"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("offset=-1", 422, "offset=-1 is not a whole number, 0 or more."),
        ("offset=x", 422, "offset=x is not a whole number, 0 or more."),
        ("start_date=2020-02-30", 422, "start_date=2020-02-30 is not a date; write it as 2025-"),
        ("end_date=", 422, "end_date= is not a date"),
        ("end_date=null", 422, "end_date=null is not a date"),
        ("publication=Null", 422, "publication=Null is not a whole number, 1 or more."),
        ("offset=null", 422, "offset=null is not a whole number, 0 or more."),
        ("end_date=tomorrow", 422, "end_date=tomorrow is not a date"),
        ("offset=1&offset=2", 422, "The parameter offset was given 2 times; give one."),
        ("end_date=2020-01-01&end_date=2020-01-01", 422, "The parameter end_date was given 2"),
        ("publication=0", 422, "publication=0 is not a whole number, 1 or more."),
        ("publication=3", 404, "There is no publication 3: they go from 1 to 2."),
        (f"publication={'9' * 36}", 404, f"There is no publication {'9' * 36}: numbers are sh"),
        (
            "start_date=2020-01-02&end_date=2020-01-01",
            400,
            "End date should be greater than start date or equal to it: 2020-01-01 is before 2020-",
        ),
    ],
)
def test_bad_parameters(operator, route, query, status, told):
    answer = operator.get(f"{route}?{query}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.json()["detail"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", [*COLUMNS, "start_date", "end_date", "offset", "page_size", "x"])
@pytest.mark.parametrize(
    "values",
    [
        ["%00"],
        ["a%00b"],
        ["'"],
        ['"'],
        ["'; drop table marketing_conversions; --"],
        ["x" * 10_000],
        ["%C3%A9" * 10_000],
        ["%ff%fe"],
        ["%"],
        ["%ud800"],
        ["a"] * 200,
        [f"value-{number}" for number in range(200)],
    ],
    ids=lambda values: values[0][:8] + str(len(values)),
)
def test_whatever_is_asked_is_answered(operator, route, name, values):
    query = "&".join(f"{name}={value}" for value in values)
    answer = operator.get(f"{route}?{query}")
    assert answer.status_code in {200, 400, 422}
    if answer.status_code == 200:
        assert isinstance(answer.json()["data"], list)
    else:
        assert answer.json()["detail"]


@pytest.mark.parametrize("route", ROUTES)
@ask_often
@given(
    query=st.lists(
        st.tuples(
            st.sampled_from([*COLUMNS, "start_date", "end_date", "offset", "page_size", "more"]),
            st.text(max_size=20),
        ),
        max_size=5,
    )
)
def test_no_query_breaks_anything(operator, route, query):
    query = [(name, value.encode("utf-8", "replace").decode()) for name, value in query]
    answer = operator.get(route, params=query)
    assert answer.status_code in {200, 400, 422}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("offset", [10**4, 2**31, 2**63, 10**30])
def test_past_the_end_there_is_nothing(operator, route, offset):
    answer = operator.get(route, params={"offset": offset, "page_size": 5})
    assert answer.status_code == 200
    assert answer.json() == {"data": []}
    total = int(answer.headers["x-total-count"])
    assert total > 0
    assert "next" not in links(answer)
    back = operator.get(links(answer)["prev"])
    assert back.json()["data"]


def test_parameters_of_nobody_are_ignored(operator):
    plain, more = operator.get(WEEKS), operator.get(WEEKS, params={"utm_source": "mail", "_": "1"})
    assert plain.json() == more.json()
    assert plain.headers["link"] == more.headers["link"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *(("channel", "channels"), ("Channels", "channels"), ("campaign", "campaigns")),
        *(("campaignTypes", "campaign_types"), ("campaign-type", "campaign_types")),
        *(("page-size", "page_size"), ("pageSize", "page_size"), ("pagesize[]", "page_size")),
        *(("startDate", "start_date"), ("start", "start_date"), ("end", "end_date")),
        *(("ofset", "offset"), ("publications", "publication"), ("prodcuts", "products")),
    ],
)
def test_nearly_the_name_of_a_parameter_is_refused(operator, route, name, meant):
    """To ignore it would answer another question."""
    answer = operator.get(route, params={name: "facebook"})
    assert answer.status_code == 422
    assert answer.json()["detail"].endswith(f" here; did you mean {meant}?")


def test_only_the_first_unknown_names_are_compared(operator):
    """A thousand of them, each looked at, would keep others waiting."""
    path = "/api/marketing/measurements/"
    for unknown, status in ((19, 422), (20, 200)):
        query = {**{f"x{number}": "1" for number in range(unknown)}, "channel": "facebook"}
        assert operator.get(path, params=query).status_code == status


@pytest.mark.parametrize(
    "name",
    ["utm_campaign", "utm_source", "campaign_id", "page", "q", "date", "send", "v", "a" * 5_000,
     "callback", "sort", "format", "_", "channel_sales", "éà"],
)  # fmt: skip
def test_other_names_are_still_ignored(operator, name):
    assert operator.get(WEEKS, params={name: "1"}).json() == operator.get(WEEKS).json()


def test_lists_are_read_as_clients_write_them(operator):
    plain = operator.get(WEEKS, params={"channels": ["tv", "radio"], "products": "product a"})
    for query in (
        "channels[]=tv&channels[]=radio&products[]=product+a",
        "channels%5B%5D=tv&channels%5b%5d=radio&products=product%20a",
        "channels[0]=tv&channels[1]=radio&products%5B0%5D=product+a",
        "channels=radio&channels[]=tv&products=product+a",
    ):
        answer = operator.get(f"{WEEKS}?{query}")
        assert answer.json() == plain.json()
        assert answer.headers["etag"] == plain.headers["etag"]
        assert answer.headers["link"] == plain.headers["link"]


def test_empty_values_select_nothing(operator):
    """A form sends them for fields that were left alone."""
    plain, more = operator.get(WEEKS), operator.get(WEEKS + "?channels=&products=&products=")
    assert plain.json() == more.json()
    assert plain.headers["etag"] == more.headers["etag"]


def test_the_same_question_has_the_same_tag(operator):
    one = operator.get(WEEKS, params={"channels": ["tv", "radio", "tv"], "page_size": 10})
    other = operator.get(WEEKS, params={"page_size": 10, "channels": ["radio", "tv"]})
    assert one.headers["etag"] == other.headers["etag"]
    third = operator.get(WEEKS, params={"channels": "radio"})
    assert third.headers["etag"] != other.headers["etag"]
    again = operator.get(WEEKS, headers={"If-None-Match": other.headers["etag"]})
    assert again.status_code == 200
    known = operator.get(
        WEEKS, params={"channels": ["radio", "tv"]}, headers={"If-None-Match": one.headers["etag"]}
    )
    assert known.status_code == 304
    assert known.headers["link"] == other.headers["link"]


def test_nobody_else_may_keep_it(operator):
    answer = operator.get(MEASUREMENTS)
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["vary"] == "Accept-Encoding, Authorization, Origin"


def test_links_have_all_that_was_asked(operator):
    answer = operator.get(
        MEASUREMENTS + "?channels=tv&campaigns=%C3%A9t%C3%A9&campaigns=a%26b%3Dc"
        "&start_date=2020-01-01&page_size=3&offset=4&x=y"
    )
    found = links(answer)
    assert set(found) == {"first", "prev", "next", "last"}
    total = int(answer.headers["x-total-count"])
    offsets = {"first": 0, "prev": 1, "next": 7}
    for name, url in found.items():
        assert urlsplit(url).path == MEASUREMENTS
        query = parse_qs(urlsplit(url).query)
        offset = int(query.pop("offset")[0])
        assert query == {
            "channels": ["tv"],
            "campaigns": ["a&b=c", "été"],
            "start_date": ["2020-01-01"],
            "page_size": ["3"],
            "publication": ["2"],
        }
        if name in offsets:
            assert offset == offsets[name]
        else:
            assert total - 3 <= offset < total
            assert offset % 3 == 4 % 3
        assert operator.get(url).json()["data"]


def test_filters_that_are_too_long_for_links(operator):
    answer = operator.get(MEASUREMENTS, params={"channels": "x" * 10_000})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("The filters have 10009 characters and may have 8000")


def test_the_publication_of_the_first_page_is_kept_to(
    run_server, make_publication, tmp_path, make_conversion, wait_until
):
    folder = tmp_path / "publications"

    def day(number, conversions):
        first = date(2020, 1, 1)
        return make_conversion(date=first + timedelta(days=number), conversions=conversions)

    make_publication(folder, [], [day(number, 1.0) for number in range(6)], keep=2)
    with run_server() as server, server.signed_in() as client:
        first = client.get(MEASUREMENTS, params={"page_size": 2})
        assert first.headers["publication"] == "1"
        # Two days more, before all others: pages that are not kept to one would repeat rows.
        make_publication(folder, [], [day(number, 2.0) for number in range(-2, 6)], keep=2)
        wait_until(lambda: client.get(MEASUREMENTS).headers["publication"] == "2")
        following = links(first)["next"]
        for _ in range(2):
            second = client.get(following)
            assert second.headers["publication"] == "1"
            assert [one["date"] for one in second.json()["data"]] == ["2020-01-03", "2020-01-04"]
            assert {one["conversions"] for one in second.json()["data"]} == {1.0}
        assert second.headers["x-total-count"] == "6"
        assert (
            client.get(following, headers={"If-None-Match": second.headers["etag"]}).status_code
            == 304
        )
        assert client.head(following).headers["publication"] == "1"
        assert parse_qs(urlsplit(links(second)["last"]).query)["publication"] == ["1"]
        # Without a token it is as closed as the current one.
        with server.client() as stranger:
            assert stranger.get(following).status_code == 401
        # Gone is gone, though it was open.
        make_publication(folder, [], [day(0, 3.0)], keep=2)
        wait_until(lambda: client.get(following).status_code == 410)
        assert client.get(following).json()["detail"] == (
            "Publication 1 is gone; /api/v1/publications lists those kept."
        )
        assert (
            client.get(links(first)["next"].replace("publication=1", "publication=9")).status_code
            == 404
        )


def test_many_publications_are_kept_to_at_once(
    run_server, make_publication, tmp_path, make_conversion
):
    """More than stay open."""
    for number in range(1, 9):
        conversion = make_conversion(conversions=float(number))
        make_publication(tmp_path / "publications", [], [conversion], keep=8)
    with run_server() as server, server.signed_in() as client:
        for _ in range(2):
            for number in range(8, 0, -1):
                answer = client.get(MEASUREMENTS, params={"publication": number})
                assert answer.json()["data"][0]["conversions"] == number
                assert answer.headers["publication"] == str(number)


def test_a_publication_without_conversions(run_server, make_publication, tmp_path):
    """Such as one of an older version, to which somebody rolled back."""
    make_publication(tmp_path / "publications", [], None)
    with run_server() as server, server.signed_in() as client:
        for route in ROUTES:
            answer = client.get(route)
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            told = "Publication 1 has no marketing conversions; `dbt build` publishes them."
            assert answer.json()["detail"] == told
        assert client.get("/health/ready").status_code == 200
        assert client.get("/openapi.json").status_code == 200


def test_a_new_publication_is_warm_for_those_who_may(
    run_server, make_publication, tmp_path, make_conversion, wait_until
):
    """And answers nobody else from what it got ready."""
    folder = tmp_path / "publications"
    make_publication(folder, [], [make_conversion(conversions=1.0)])
    with run_server() as server, server.signed_in() as client, server.client() as stranger:
        assert client.get(MEASUREMENTS).json()["data"][0]["conversions"] == 1.0
        make_publication(folder, [], [make_conversion(conversions=2.0)])
        ready = "/health/ready"
        wait_until(lambda: stranger.get(ready).json()["publication"] == 2)
        for _ in range(2):
            assert stranger.get(MEASUREMENTS).status_code == 401
            assert client.get(MEASUREMENTS).json()["data"][0]["conversions"] == 2.0


@pytest.mark.parametrize(
    ("scope", "status"),
    [("marketing:read", 200), ("open", 200), (None, 200), ("marketing:secret", 403)],
)
def test_a_mart_can_need_more(
    run_server, make_publication, tmp_path, make_conversion, scope, status
):
    """The mart's own scope counts too, for older publications as well."""
    folder = tmp_path / "publications"
    make_publication(folder, [], [make_conversion()])
    make_publication(folder, [], [make_conversion()], scope=scope)
    with run_server() as server, server.signed_in() as client, server.client() as stranger:
        for route in [*ROUTES, MEASUREMENTS + "?publication=1"]:
            for _ in range(2):
                answer = client.get(route)
                assert answer.status_code == status
                assert stranger.get(route).status_code == 401
            if status == 403:
                assert "it lacks the scope marketing:secret." in answer.json()["detail"]
                assert (
                    'scope="marketing:read marketing:secret"' in answer.headers["www-authenticate"]
                )

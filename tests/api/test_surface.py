"""What every path answers, right and wrong."""

from datetime import datetime
from email.utils import parsedate_to_datetime

import msgspec
import pytest

ROUTE = "/api/v1/transformation/count_date_by_week"

PATHS = [
    "/",
    "/docs",
    "/api/docs",
    "/docs/assets/swagger-ui.css",
    "/openapi.json",
    "/openapi.yaml",
    "/health/live",
    "/health/ready",
    "/api/v1/publications",
    "/api/v1/publications/current",
    "/api/v1/publications/2",
    ROUTE,
    "/api/v1/transformation/count_date_by_month",
    "/api/v1/marts",
    "/api/v1/marts/lead_event_counts_weekly",
]


def problem(answer, status):
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["status"] == status
    assert body["type"] == "about:blank"
    assert body["instance"] == answer.request.url.raw_path.decode().partition("?")[0]
    assert body["title"]
    assert len(body["request_id"]) == 32
    return body["detail"]


def test_root(client):
    answer = client.get("/")
    assert answer.json() == {"message": "Lead Analytics API", "version": "0.1.0", "docs": "/docs"}


@pytest.mark.parametrize("path", PATHS)
def test_a_trailing_slash_changes_nothing(client, path):
    plain, slashed = client.get(path), client.get(path.rstrip("/") + "/")
    assert plain.status_code == slashed.status_code == 200
    assert plain.content == slashed.content
    assert plain.headers.get("etag") == slashed.headers.get("etag")


@pytest.mark.parametrize("path", [*PATHS, "/nowhere", f"{ROUTE}?start=x"])
@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_head_is_get_without_body(client, path, encoding):
    headers = {"Accept-Encoding": encoding} if encoding else {}
    # Three times: asked of the framework, kept, and taken from what is kept.
    for _ in range(3):
        got, head = client.get(path, headers=headers), client.head(path, headers=headers)
        assert head.content == b""
        assert head.status_code == got.status_code
        for answer in (got, head):
            del answer.headers["date"]
            answer.headers.pop("x-request-id", None)
        assert head.headers == got.headers


@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_405_with_allow(client, path):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = client.request(method, path)
        assert method in problem(answer, 405)
        allowed = {name.strip() for name in answer.headers["allow"].split(",")}
        assert allowed == {"GET", "HEAD", "OPTIONS"}
    options = client.options(path)
    assert options.status_code == 204
    assert "HEAD" in options.headers["allow"]


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/api", "/api/v1/transformation", "/docs/assets/none.js", "/docs/assets/..%2f",
     "/api/v1/publications/x", "/api/v1/publications/1.5", "/api/v1/publications/+1",
     "/api/v1/publications/00001", "/api/v1/publications/1%20", "/api/v1/publications/%D9%A3",
     "/api/v1/publications/1_0", "/%00", "/a%0Ab"],
)  # fmt: skip
def test_unknown_paths_are_404(client, path):
    assert "/docs" in problem(client.get(path), 404)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("foo=1", "There is no parameter 'foo' here; the known ones are date_cols, start, end"),
        ("Start=2025-01-01", "There is no parameter 'Start' here; did you mean start? The known"),
        ("date-cols=x", "did you mean date_cols?"),
        ("start[]=2025-01-01", "There is no parameter 'start%5B%5D' here; did you mean start?"),
        ("date_cols[x]=date_relance", "There is no parameter 'date_cols%5Bx%5D'"),
        ("start=2025-13-01", "start=2025-13-01 is not a date; write it as 2025-01-31."),
        ("start=", "start= is not a date"),
        ("end=20250101", "end=20250101 is not a date"),
        ("end=2025-01-01T00:00:00", "is not a date"),
        ("start=1735689600", "start=1735689600 is not a date"),
        ("end=null", "end=null is not a date; write it as 2025-01-31."),
        ("start=NULL", "start=NULL is not a date; write it as 2025-01-31."),
        ("dense=null", "dense=null is not true or false."),
        ("dense=maybe", "dense=maybe is not true or false."),
        ("date_cols=x", "date_cols=x is not among date_prise_contact, date_reponse_prospect,"),
        ("date_cols=date_relance&date_cols=", "is not among date_prise_contact"),
        ("date_cols=date_relance,date_prise_contact", "is not among date_prise_contact"),
        ("start=2025-01-01&start=2025-01-02", "The parameter start was given 2 times; give one."),
        ("start=x&dense=y", "start=x is not a date; write it as 2025-01-31. dense=y is not true"),
    ],
)
def test_bad_parameters_are_400(client, route, query, told):
    assert told in problem(client.get(f"{route}?{query}"), 400)


def test_reversed_dates(client, route):
    reversed_dates = {"start": "2025-01-02", "end": "2025-01-01"}
    detail = problem(client.get(route, params=reversed_dates), 400)
    begun = "End date should be greater than start date"  # as the replaced service says
    assert detail == f"{begun} or equal to it: 2025-01-01 is before 2025-01-02."
    assert client.get(route, params={"start": "2025-01-01", "end": "2025-01-01"}).is_success


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        ("/api/v1/marts/none", 404),
        ("/api/v1/marts/none.csv", 404),
        ("/api/v1/marts/none/changes?since=1", 404),
        ("/api/v1/marts/lead_event_counts_weekly.xml", 404),
        ("/api/v1/publications/3", 404),
        ("/api/v1/publications/01", 404),
        ("/docs/assets/none.js", 404),
        ("/api/v1/marts/lead_event_counts_weekly.csv", 204),
        ("/api/v1/marts/lead_event_counts_weekly/changes/", 204),
        ("/docs/assets/start.js", 204),
    ],
)
def test_options_of_what_is_not_there_are_404(client, path, status):
    answer = client.options(path)
    assert answer.status_code == status
    if status == 204:
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    else:
        assert problem(answer, 404) == problem(client.get(path), 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", [ROUTE, "/api/v1/marts/lead_event_counts_weekly", "/docs"])
def test_a_page_may_read_why_it_cannot_write(client, path, method):
    """Browsers ask first, and show a page nothing of what they were not allowed to send."""
    origin = {"Origin": "https://anywhere.example"}
    asked = {**origin, "Access-Control-Request-Method": method}
    answer = client.options(path, headers=asked)
    assert answer.status_code == 204
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    refused = client.request(method, path, headers=origin)
    assert method in problem(refused, 405)
    assert refused.headers["access-control-allow-origin"] == "*"


def test_publications(client):
    listed = client.get("/api/v1/publications").json()
    assert [one["number"] for one in listed] == [2, 1]
    current = client.get("/api/v1/publications/current")
    assert current.json() == client.get("/api/v1/publications/2").json()
    assert current.headers["publication"] == "2"
    assert current.json()["sources"][0]["version"] == 3
    for one in listed:
        whole = client.get(f"/api/v1/publications/{one['number']}").json()
        assert one.pop("tests") == whole["build"]["tests"]
        assert one.items() <= whole.items()


@pytest.mark.parametrize(
    "path", [ROUTE, "/api/v1/publications/current", "/api/marketing/measurements/"]
)
def test_every_data_answer_says_where_it_comes_from(operator, path):
    manifest = operator.get("/api/v1/publications/current").json()
    built_at = datetime.fromisoformat(manifest["built_at"]).replace(microsecond=0)
    for headers in ({}, {"If-None-Match": operator.get(path).headers["etag"]}):
        answer = operator.get(path, headers=headers)
        assert answer.status_code == (304 if headers else 200)
        assert answer.headers["publication"] == str(manifest["number"])
        assert answer.headers["publication-tests"] == "passed"
        assert parsedate_to_datetime(answer.headers["last-modified"]) == built_at
        committed = answer.headers["source-last-modified"]
        assert committed == "Fri, 31 Jan 2025 12:00:00 GMT"


def test_publications_that_are_not_there(client):
    assert "3" in problem(client.get("/api/v1/publications/3"), 404)
    assert problem(client.get("/api/v1/publications/0"), 404)


def test_health(client):
    assert client.get("/health/live").json() == {"status": "live"}
    ready = client.get("/health/ready").json()
    assert ready.pop("built_at")
    assert ready == {"status": "ready", "publication": 2, "refused": None}


def test_request_ids_of_proxies_are_kept(client):
    taken = client.get("/nowhere", headers={"X-Request-ID": "a-1.b:2"}).json()["request_id"]
    assert taken == "a-1.b:2"
    forged = client.get("/nowhere", headers={"X-Request-ID": 'x" level=ERROR'}).json()["request_id"]
    assert len(forged) == 32


def test_errors_are_logged_with_their_request(client, served):
    request_id = client.get("/no%0Awhere?a=b%0Ac").json()["request_id"]
    lines = [line for line in served.log().splitlines() if request_id in line]
    assert len(lines) == 1
    for part in ("WARNING", "method=GET", "path=/no%0Awhere", "query=a=b%0Ac", "status=404"):
        assert part in lines[0]


@pytest.mark.parametrize("name", ["start", "date_cols", "{}"])
def test_no_line_of_the_log_can_be_forged(client, served, route, name):
    before = len(served.log())
    forged = "%0a12:00:00%20ERROR%20forged%1b[31m%c2%85%e2%80%a8" + "1" * 5000
    query = f"{name}={forged}" if name != "{}" else f"{forged}=1"
    detail = problem(client.get(f"{route}?{query}"), 400)
    assert "%0A12:00:00%20ERROR" in detail
    assert len(detail) < 500
    said = served.log()[before:]
    assert len(said.splitlines()) == 1
    assert "\x1b" not in said
    assert detail in said


def test_any_origin_may_read_in_development(client):
    answer = client.get(ROUTE, headers={"Origin": "https://anywhere.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = answer.headers["access-control-expose-headers"]
    assert {name.strip() for name in exposed.split(",")} == {
        *("Publication", "Publication-Tests", "Last-Modified", "Source-Last-Modified"),
        *("ETag", "Link", "X-Total-Count", "Content-Range", "Preference-Applied"),
        *("Content-Disposition", "X-Request-ID", "Allow"),
        *("Retry-After", "WWW-Authenticate", "RateLimit", "RateLimit-Policy"),
    }
    refused = client.get("/nowhere", headers={"Origin": "https://anywhere.example"})
    assert refused.headers["access-control-allow-origin"] == "*"


def test_preflight(client):
    answer = client.options(
        ROUTE,
        headers={
            "Origin": "https://anywhere.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "if-none-match",
        },
    )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "if-none-match" in answer.headers["access-control-allow-headers"]
    assert "GET" in answer.headers["access-control-allow-methods"]


def test_only_listed_origins_may_read_in_production(run_server, make_publication, tmp_path):
    make_publication(tmp_path / "publications", [])
    origins = "https://a.example, HTTPS://B.example:8443"
    with (
        run_server(
            LEADMARTS_ENV="production",
            LEADMARTS_CORS_ORIGINS=origins,
            LEADMARTS_HOSTS="127.0.0.1",
            LEADMARTS_SIGNING_KEY="0123456789abcdef-a-key-of-tests-only",
        ) as server,
        server.client() as client,
    ):
        # In every order, so that nobody gets what was kept for another origin.
        for _ in range(2):
            for origin, allowed in (
                ("https://a.example", True),
                ("https://evil.example", False),
                (None, False),
                ("https://b.example:8443", True),
                ("https://b.example", False),
                ("https://a.example.evil.example", False),
            ):
                answer = client.get(ROUTE, headers={"Origin": origin} if origin else {})
                assert answer.status_code == 200
                given = answer.headers.get("access-control-allow-origin")
                assert given == (origin if allowed else None)
                assert answer.headers["vary"] == "Accept-Encoding, Origin"
        client.get("/nowhere")
    # In production every line of the log is JSON.
    lines = [msgspec.json.decode(line) for line in server.log().splitlines()]
    assert any(line["message"] == "Publication 1 is served now." for line in lines)
    (refused,) = [line for line in lines if line.get("status") == 404]
    assert refused["level"] == "WARNING"
    assert refused["path"] == "/nowhere"
    assert refused["method"] == "GET"

"""The OpenAPI document, and the page that shows it."""

from base64 import b64encode
from pathlib import Path

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator
from playwright.sync_api import sync_playwright

from api.protection import HEADERS

CHROMIUM = Path("/usr/bin/chromium")

# This machine has another name too: Swagger UI behaves better on 127.0.0.1 than elsewhere.
# Whatever is not this machine does not exist.
RESOLVED = "MAP marts.example 127.0.0.1 , MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
WEEK = "/api/v1/transformation/count_date_by_week"


@pytest.fixture(scope="module")
def document(client):
    return client.get("/openapi.json").json()


def operations(document):
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_it_is_valid_openapi_31(document):
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_json_and_yaml_say_the_same(client, document):
    answer = client.get("/openapi.yaml")
    assert answer.headers["content-type"] == "application/yaml"
    assert yaml.safe_load(answer.text) == document
    assert "&id" not in answer.text


def test_everything_is_described(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for path, _, operation in operations(document):
        assert operation["summary"]
        assert operation["description"], path
        for parameter in operation["parameters"]:
            if parameter["in"] != "path":
                assert parameter["description"], parameter
                assert parameter["schema"]["type"]
        for status, response in operation["responses"].items():
            assert response["description"], (path, status)
            for header in response.get("headers", {}).values():
                assert header["description"], path
                assert header["schema"]
            if int(status) >= 400:
                # RFC 6749 §5.2 has its own kind of error.
                general = status in {"500", "503"}
                oauth = operation["operationId"].startswith("postToken") and not general
                kind = "application/json" if oauth else "application/problem+json"
                assert list(response["content"]) == [kind], path


MART = "/api/v1/marts/{mart}"

MARKETING = [
    "/api/marketing/measurements",
    "/api/marketing/stats/channel-sales-percentages",
    "/api/marketing/stats/channels-sales-percentages",
    "/api/marketing/stats/channel-weekly-sales",
]

STATUSES = {
    "/": {"200", "304", "406"},
    "/openapi.json": {"200", "304", "406"},
    "/openapi.yaml": {"200", "304", "406"},
    "/health/live": {"200"},
    "/health/ready": {"200", "503"},
    "/metrics": {"200"},
    "/api/v1/publications": {"200", "400", "503"},
    "/api/v1/publications/current": {"200", "304", "406", "503"},
    "/api/v1/publications/{number}": {"200", "404", "410", "503"},
    WEEK: {"200", "304", "400", "406", "503"},
    WEEK.replace("week", "month"): {"200", "304", "400", "406", "503"},
    **{
        path: {"200", "304", "400", "401", "403", "404", "406", "410", "422", "503"}
        for path in MARKETING
    },
    "/api/auth/token": {"200", "401", "429"},
    "/api/token": {"200", "401", "429"},
    "/api/v1/marts": {"200", "304", "406", "503"},
    f"{MART}/changes": {
        *("200", "206", "304", "400", "401", "403", "404", "406", "410", "416", "503")
    },
    **{
        MART.replace("{mart}", f"lead_event_counts_{grain}"): {
            *("200", "206", "304", "400", "404", "406", "410", "416", "503")
        }
        for grain in ("weekly", "monthly")
    },
    MART.replace("{mart}", "marketing_conversions"): {
        *("200", "206", "304", "400", "401", "403", "404", "406", "410", "416", "503")
    },
    MART: {"200", "206", "304", "400", "401", "403", "404", "406", "410", "416", "503"},
}
"""What each path may answer, besides 500, and 503 where there is too much to do."""

SEEN_ELSEWHERE = {
    "/api/v1/publications": {"503"},
    "/api/v1/publications/{number}": {"410", "503"},
    **{path: {"410"} for path in MARKETING},
    "/api/auth/token": {"429"},
    "/api/token": {"429"},
    **{
        MART.replace("{mart}", mart): {"206", "410", "416"}
        for mart in (
            *("{mart}", "lead_event_counts_weekly", "lead_event_counts_monthly"),
            "marketing_conversions",
        )
    },
    f"{MART}/changes": {"206", "410", "416"},
}
"""What needs a damaged or a removed publication, or patience."""

GENERAL = {
    *("date", "content-type", "content-length", "x-request-id"),
    *(name.decode() for name, _ in HEADERS),
}


def test_what_is_answered_is_described(served, users, document, run_server):
    """Each status and header that a route was seen to answer is in the document."""
    assert document["paths"].keys() == STATUSES.keys()
    basic = "Basic " + b64encode(":".join(users["operator"]).encode()).decode()
    with run_server() as empty, empty.client() as without_publication, served.client() as client:
        without_publication.headers["Authorization"] = f"Bearer {empty.token()}"
        client.headers["Authorization"] = f"Bearer {served.token(*users['operator'])}"
        asked = [
            ("", {}),
            ("", {"If-None-Match": "*"}),
            ("?start=x&page_size=x", {}),
            ("?start_date=2021-01-02&end_date=2021-01-01", {}),
            ("?publication=3", {}),
            ("", {"Accept-Encoding": "*;q=0"}),
            ("", {"Authorization": ""}),
            ("?since=1", {}),
            ("?since=1", {"If-None-Match": "*"}),
            ("?since=1", {"Accept-Encoding": "*;q=0"}),
            ("?since=1", {"Authorization": ""}),
            ("?since=1", {"Authorization": f"Bearer {served.token(*users['nobody'])}"}),
            ("?since=1&publication=3", {}),
            ("", {"Authorization": basic}),
            ("", {"Authorization": f"Bearer {served.token(*users['nobody'])}"}),
        ]
        for path, statuses in STATUSES.items():
            described = document["paths"][path]["get"]["responses"]
            assert described.keys() == statuses | {"500", "503"}
            seen = set()
            for number in (2, 3):
                for someone in (client, without_publication):
                    for query, headers in asked:
                        if "since" in query and not path.endswith("/changes"):
                            continue
                        url = path.replace("{number}", str(number)) + query
                        url = url.replace("{mart}", "marketing_conversions")
                        answer = someone.get(url, headers=headers)
                        seen.add(str(answer.status_code))
                        response = described[str(answer.status_code)]
                        names = {name.lower() for name in response.get("headers", {})}
                        names |= {"cache-control", "vary"}
                        if path.startswith("/api/v1/marts/"):  # where an answer was cut or counted
                            names -= {"link", "preference-applied", "content-range"}
                        assert answer.headers.keys() - GENERAL == names, url
            assert seen == statuses - SEEN_ELSEWHERE.get(path, set())


def test_parameters_and_limits(document):
    names = [parameter["name"] for parameter in document["paths"][WEEK]["get"]["parameters"]]
    assert names == ["date_cols", "start", "end", "dense", "If-None-Match"]
    counts = document["components"]["schemas"]["WeekCounts"]
    assert counts["required"] == ["semaine"]
    for name in ("date_prise_contact", "date_relance"):
        assert counts["properties"][name].items() >= {"type": "integer", "minimum": 0}.items()
    headers = document["paths"][WEEK]["get"]["responses"]["200"]["headers"]
    assert headers["Publication"]["schema"]["type"] == "integer"


def test_it_is_made_for_the_publication(client, document, model, events):
    digest = client.get("/api/v1/publications/current").json()["digest"]
    said = f"Made from publication 2 with the content {digest[:19]}."
    assert said in document["info"]["description"]
    assert "now" not in document["info"]["description"]  # it is read without a server, too
    content = document["paths"][WEEK]["get"]["responses"]["200"]["content"]["application/json"]
    assert content["example"] == model(events, "week")[-2:]
    properties = document["components"]["schemas"]["WeekCounts"]["properties"]
    assert properties["date_relance"]["description"] == "The date_relance."


def test_whoever_signs_in_can_ask_for_the_scopes_of_the_marts(
    run_server, make_publication, tmp_path
):
    make_publication(tmp_path / "publications", [], scope="sales:read")
    with run_server() as server, server.client() as client:
        document = client.get("/openapi.json").json()
    (way, _) = document["paths"]["/api/v1/marts/marketing_conversions"]["get"]["security"]
    assert way == {"OAuth2": ["sales:read"]}
    (way, _) = document["paths"]["/api/marketing/measurements"]["get"]["security"]
    assert way == {"OAuth2": ["marketing:read", "sales:read"]}
    flows = document["components"]["securitySchemes"]["OAuth2"]["flows"]
    for flow in flows.values():
        assert flow["scopes"].keys() == {"marketing:read", "sales:read"}
        assert flow["scopes"]["sales:read"] == "Read marketing_conversions."


def test_it_gives_away_no_row_that_needs_a_token(client, operator, document):
    rows = operator.get("/api/marketing/measurements", params={"page_size": 100}).json()["data"]
    text = client.get("/openapi.json").text
    assert not [row for row in rows if row["conversions"] > 1 and str(row["conversions"]) in text]
    paths = [path for path in document["paths"] if path.startswith("/api/marketing/")]
    for path in paths:
        answered = document["paths"][path]["get"]["responses"]["200"]["content"]
        assert answered["application/json"]["example"]["data"]


def test_the_page_is_served_with_its_policy(client):
    for path in ("/docs", "/api/docs"):
        answer = client.get(path)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "http" not in answer.text


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser: there is no {CHROMIUM}")
def test_the_authorize_button_in_a_browser(served, users):
    told = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        # What its policy stops is an error; advice on password fields is not.
        page.on("console", lambda said: told.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: told.append(str(error)))
        page.goto(served.url + "/docs")
        page.locator(".auth-wrapper .authorize").first.click()
        name, password = users["operator"]
        form = page.locator(".auth-container").first
        form.locator("#oauth_username").fill(name)
        form.locator("#oauth_password").fill(password)
        form.locator("label[for^='marketing:read']").first.click()
        form.locator("button", has_text="Authorize").click()
        form.locator("button", has_text="Logout").wait_for()
        page.locator("button.close-modal").click()
        shares = page.locator("[id$='-listChannelShares']")
        shares.locator(".opblock-summary-control").click()
        shares.get_by_role("button", name="Try it out").click()
        shares.get_by_role("button", name="Execute").click()
        answer = shares.locator(".live-responses-table .highlight-code").first
        answer.wait_for()
        assert "percentage" in answer.inner_text()
        browser.close()
    assert told == []


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser: there is no {CHROMIUM}")
@pytest.mark.parametrize(
    ("host", "path"), [("127.0.0.1", "/docs"), ("marts.example", "/api/docs/")]
)
def test_the_page_in_a_browser(served, host, path):
    url = served.url.replace("127.0.0.1", host)
    asked, told = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                f"--host-resolver-rules={RESOLVED}",
            ],
        )
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.goto(url + path)
        for name in ("countDatesByWeek", "countDatesByMonth", "getReadiness"):
            page.locator(f"[id$='-{name}']").wait_for()
        week = page.locator("[id$='-countDatesByWeek']")
        week.locator(".opblock-summary-control").click()
        week.get_by_role("button", name="Try it out").click()
        week.get_by_role("button", name="Execute").click()
        answer = week.locator(".live-responses-table .highlight-code").first
        answer.wait_for()
        assert "semaine" in answer.inner_text()
        title = page.title()
        browser.close()
    assert title == "Lead Analytics API"
    assert told == []
    elsewhere = [asked_url for asked_url in asked if not asked_url.startswith((url + "/", "data:"))]
    assert elsewhere == []

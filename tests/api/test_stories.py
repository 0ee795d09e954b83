"""The stories of the front-end and of the analyst, told in plain language in `stories/`."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import duckdb
import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from tests.api.factories import Conversion

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

scenarios("stories")

LISTS = {
    "measurements": "/api/marketing/measurements/",
    "percentages": "/api/marketing/stats/channel-sales-percentages/",
    "weekly sales": "/api/marketing/stats/channel-weekly-sales/",
}
TOKEN = "/api/auth/token/"
WHO = {"username": "marketing_op", "password": "marketing_op_supersecret"}


def rows(datatable: list[list[str]]) -> list[dict[str, str]]:
    header, *lines = datatable
    return [dict(zip(header, line, strict=True)) for line in lines]


def written(element: dict[str, Any]) -> dict[str, str]:
    """An element as a story writes it: whole numbers without a fraction."""
    return {
        name: str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        for name, value in element.items()
    }


class Story:
    """What has happened so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token: dict[str, Any] = {}
        self.server: Any = None
        self.client: httpx.Client
        self.answer: httpx.Response
        self.seen: list[dict[str, Any]] = []
        self.open_file: duckdb.DuckDBPyConnection | None = None

    @property
    def publications(self) -> Path:
        return self.folder / "publications"

    def sign_in(self, **form: str) -> None:
        answer = self.client.post(TOKEN, data=form)
        assert answer.status_code == 200, answer.text
        self.token = answer.json()

    def ask(self, url: str) -> None:
        headers = {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token['access_token']}"
        self.answer = self.client.get(url, headers=headers)

    def links(self) -> dict[str, str]:
        found = re.findall(r'<([^>]*)>; rel="(\w+)"', self.answer.headers["link"])
        return {name: urljoin(str(self.answer.url), target) for target, name in found}


@pytest.fixture
def story(request, tmp_path, run_server):
    """A story, with its server."""
    told = Story(tmp_path)
    short = request.node.get_closest_marker("short_tokens") is not None
    with (
        run_server(LEADMARTS_TOKEN_SECONDS="6" if short else "") as server,
        server.client() as client,
    ):
        told.server, told.client = server, client
        yield told
        if told.open_file is not None:
            told.open_file.close()


@given("these conversions are published")
@when("these conversions are published")
def publish(story, datatable, make_publication):
    conversions = [
        Conversion(
            product=row["product"],
            campaign_type=row["campaign_type"],
            campaign=row["campaign"],
            channel=row["channel"],
            date=date.fromisoformat(row["date"]),
            conversions=float(row["conversions"]),
        )
        for row in rows(datatable)
    ]
    make_publication(story.publications, [], conversions)


@given("the front-end has signed in")
def sign_in(story):
    story.sign_in(grant_type="password", **WHO)


@given("it has not signed in")
def forget(story):
    story.token = {}


@given("its token has expired")
def expire(story, wait_until):
    def expired():
        # An answer that was kept must not outlive the token either.
        story.ask(LISTS["percentages"])
        return story.answer.status_code == 401

    wait_until(expired, what="the token's end")


@when("it refreshes its token")
def refresh(story):
    story.sign_in(grant_type="refresh_token", refresh_token=story.token["refresh_token"])


@given(parsers.re(r"it has asked for (?P<what>[a-z ]+?)(?: with (?P<query>.+))?$"))
@when(parsers.re(r"it asks for (?P<what>[a-z ]+?)(?: with (?P<query>.+))?$"))
def ask(story, what, query, wait_until):
    # The server may have started before there was anything to serve.
    ready = "/health/ready"
    wait_until(lambda: story.client.get(ready).status_code == 200, what="a publication")
    story.ask(LISTS[what] + (f"?{query}" if query else ""))


@when("it follows the links to the last page")
def follow(story):
    story.seen = story.answer.json()["data"]
    while "next" in story.links():
        story.ask(story.links()["next"])
        story.seen += story.answer.json()["data"]


@then(parsers.parse("the answer is {status:d}"))
def status_is(story, status):
    assert story.answer.status_code == status, story.answer.text


@then(parsers.parse('it says "{sentence}"'))
def says(story, sentence):
    assert story.answer.json()["detail"] == sentence


@then("the data is")
def data_is(story, datatable):
    assert story.answer.status_code == 200, story.answer.text
    assert [written(one) for one in story.answer.json()["data"]] == rows(datatable)


@then("there is no data")
def no_data(story):
    assert story.answer.json() == {"data": []}


@then(parsers.parse("there are {count:d} elements of {total:d}"))
def elements(story, count, total):
    assert len(story.answer.json()["data"]) == count
    assert story.answer.headers["x-total-count"] == str(total)


@then(parsers.parse("it has seen {count:d} elements, none of them twice"))
def seen(story, count):
    assert len(story.seen) == len({tuple(one.items()) for one in story.seen}) == count


@given("the analyst holds the marts file open")
def hold(story):
    story.open_file = duckdb.connect(str(marts_file(story)), read_only=True)


def marts_file(story):
    """Where the link to the current publication leads."""
    return (story.folder / "marts.duckdb").resolve()


def conversions_in(connection):
    return connection.execute("select sum(conversions) from marketing_conversions").fetchone()[0]


@then(parsers.parse("the open file still says {count:d} conversions"))
def still_says(story, count):
    assert conversions_in(story.open_file) == count


@then(parsers.parse("the marts file opened anew says {count:d} conversions"))
def says_anew(story, count):
    with duckdb.connect(str(marts_file(story)), read_only=True) as connection:
        assert conversions_in(connection) == count


@given(parsers.parse("the API answers from publication {number:d}"))
@when(parsers.parse("the API answers from publication {number:d}"))
@then(parsers.parse("the API soon answers from publication {number:d}"))
def answers_from(story, wait_until, number):
    ready = "/health/ready"
    wait_until(lambda: story.client.get(ready).json().get("publication") == number)


@then(parsers.parse("the weekly sales it shows are {count:d}"))
def weekly_sales_are(story, count):
    story.ask(LISTS["weekly sales"])
    assert sum(one["sales"] for one in story.answer.json()["data"]) == count


@then(parsers.parse("the links of the first page still lead through publication {number:d}"))
def links_lead(story, number):
    first = story.answer.json()["data"]
    follow(story)
    assert story.answer.headers["publication"] == str(number)
    assert story.seen == first

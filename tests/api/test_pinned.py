"""Publications that requests name by their number, while a newer one is served."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest

MARTS = "/api/v1/marts/"
WEEKS = f"{MARTS}lead_event_counts_weekly"
CONVERSIONS = f"{MARTS}marketing_conversions"


@pytest.fixture
def published(tmp_path, make_publication, make_events, make_conversion):
    """Publishes contents that differ in every row."""

    def publish(n: int):
        made = [make_conversion(campaign=f"c{row}", conversions=n) for row in range(5)]
        return make_publication(tmp_path / "publications", make_events(n), made, scope="open")

    return publish


def test_one_that_is_gone_is_gone_though_it_was_asked_before(run_server, tmp_path, published):
    first = published(1)
    published(2)
    paths = [
        f"{WEEKS}?publication=1",
        f"{WEEKS}.csv?publication=1",
        f"{WEEKS}/changes?since=1",
        f"{WEEKS}/changes?since=1&publication=1",
    ]
    with run_server() as server, server.client() as client:
        before = [client.get(path) for path in paths for _ in range(2)]
        assert {answer.status_code for answer in before} == {200}
        assert "immutable" in before[0].headers["cache-control"]
        for suffix in ("duckdb", "json"):
            (tmp_path / "publications" / first.file).with_suffix(f".{suffix}").unlink()
        for path in paths:
            gone = client.get(path)
            assert gone.status_code == 410, path
            assert "1" in gone.json()["detail"]
            assert gone.json()["message"] == gone.json()["detail"]


def test_pages_never_mix_two_publications(run_server, tmp_path, published, wait_until):
    """The links of a page lead on in its publication, whatever is published meanwhile."""
    published(1)
    with run_server(LEADMARTS_JSON_ROWS="2") as server, server.client() as client:
        page = client.get(CONVERSIONS)
        assert page.headers["publication"] == "1"
        published(2)
        wait_until(lambda: client.get(CONVERSIONS).headers["publication"] == "2")
        rows = page.json()
        while "link" in page.headers:
            target = re.fullmatch(r'<(.*)>; rel="next"', page.headers["link"])[1]
            page = client.get(urljoin(str(page.url), target))
            assert page.headers["publication"] == "1"
            rows += page.json()
        assert [row["campaign"] for row in rows] == [f"c{row}" for row in range(5)]
        assert {row["conversions"] for row in rows} == {1}

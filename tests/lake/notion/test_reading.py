"""All pages are read, whatever Notion does meanwhile, and never for ever."""

from __future__ import annotations

import time

import pytest

from lake.errors import SourceRefused, SourceUnreachable
from lake.notion import service
from tests.lake.notion.workspace import error


def filled(notion, count: int, *, every: float = 0) -> list[str]:
    """Make that many pages, one every so many seconds."""
    for score in range(count):
        notion.workspace.create({"Score": score})
        notion.workspace.tick(every)
    return [*notion.workspace.pages]


def test_all_pages_not_the_first_hundred(notion):
    keys = filled(notion, 250)
    assert notion.counts() == (250, 0, 0, 0, 0)
    assert notion.lake.by_id().keys() == set(keys)
    queries = notion.queries()
    assert [query["whole"] for query in queries] == [True] * 3 + [False] * 3
    assert {query["page_size"] for query in queries} == {100}


def test_more_pages_than_a_query_shows(notion):
    notion.workspace.page_size, notion.workspace.query_limit = 4, 10
    filled(notion, 35, every=20)
    notion.workspace.tick(3600)
    assert notion.counts() == (35, 0, 0, 0, 0)
    notion.queries()
    notion.workspace.tick(86_400)
    for page in [*notion.workspace.pages.values()][:25]:
        notion.workspace.edit(page, Score=-1)
    assert notion.counts() == (0, 25, 0, 0, 0)


def test_more_pages_of_one_minute_than_a_query_shows(notion):
    notion.workspace.query_limit = 10
    filled(notion, 11)
    with pytest.raises(SourceRefused, match=r"created at 2026-03-02T09:30\S+ and does not go on"):
        notion.ingest()
    assert not notion.lake.folder("leads").exists()


def test_only_what_was_edited_is_read_whole(notion):
    keys = filled(notion, 30)
    notion.workspace.tick(3600)
    notion.ingest()
    notion.queries()
    notion.workspace.tick(86_400)
    notion.workspace.edit(notion.workspace.pages[keys[7]], Score=-1)
    assert notion.counts() == (0, 1, 0, 0, 0)
    changed, listed = notion.queries()
    assert changed["whole"]
    assert changed["filter"] == {
        "and": [
            {
                "timestamp": "last_edited_time",
                "last_edited_time": {"on_or_after": "2026-03-02T10:25:00+00:00"},
            }
        ]
    }
    assert not listed["whole"]
    assert "filter" not in listed
    assert notion.counts(full=True) == (0, 0, 30, 0, 0)
    assert [query["whole"] for query in notion.queries()] == [True, False]


def test_a_second_edit_in_the_minute_of_the_reading(notion):
    """Notion's time of the second edit is that of the first, which has been read."""
    ada, *others = (notion.workspace.create({"Score": 1}) for _ in range(3))
    notion.ingest()
    notion.workspace.tick(30)
    notion.workspace.edit(ada, Score=2)
    for hours in (1, 2):
        notion.workspace.tick(hours * 3600)
        notion.workspace.edit(others[0], Score=hours)
        notion.ingest()
        assert notion.lake.by_id()[ada.id]["score"] == 2


def test_a_second_edit_in_the_minute_of_a_long_reading(notion):
    """A page is edited again right after it was read; much is edited before the reading ends."""
    there = notion.workspace
    there.page_size = 1
    ada, bob, eve = (there.create({"Score": 1}) for _ in range(3))
    first = there.live()[0]

    def edit_again():
        there.tick(20)
        there.edit(first, Score=2)

    def much_later():
        there.tick(3600)
        there.edit(there.live()[2], Score=3)

    there.meanwhile = {3: edit_again, 4: much_later}
    notion.ingest()
    assert notion.lake.by_id()[first.id]["score"] == 1
    there.tick(3600)
    notion.ingest()
    scores = {page.id: page.values["Score"] for page in (ada, bob, eve)}
    assert {key: lead["score"] for key, lead in notion.lake.by_id().items()} == scores
    assert scores[first.id] == 2


@pytest.mark.parametrize("request_number", range(3, 9))
def test_pages_that_leave_while_others_are_read(notion, request_number):
    """The first page is trashed in the middle: what comes after it moves up past the cursor."""
    there = notion.workspace
    there.page_size = 2
    keys = filled(notion, 6)
    first = there.live()[0]
    there.meanwhile = {request_number: lambda: setattr(first, "trashed", True)}
    notion.ingest()
    rest = {key for key, lead in notion.lake.by_id().items() if not lead["deleted"]}
    assert rest >= set(keys) - {first.id}
    notion.ingest()
    rest = {key for key, lead in notion.lake.by_id().items() if not lead["deleted"]}
    assert rest == set(keys) - {first.id}


def test_a_page_that_was_trashed_after_it_was_read(notion):
    there = notion.workspace
    ada, bob = there.create({"Score": 1}), there.create({"Score": 1})
    there.meanwhile = {3: lambda: setattr(ada, "trashed", True)}
    assert notion.counts() == (1, 0, 0, 0, 0)
    there.edit(bob, Score=2)
    there.meanwhile = {3: lambda: setattr(bob, "trashed", True)}
    assert notion.counts() == (0, 0, 0, 0, 1)
    lead = notion.lake.by_id()[bob.id]
    assert (lead["deleted"], lead["score"]) == (True, 1)


@pytest.mark.parametrize("request_number", [3, 4])
def test_an_edited_page_that_a_query_passed_over(notion, request_number):
    """Its place was taken while the query went on; the list shows that it was edited."""
    there = notion.workspace
    there.page_size = 2
    filled(notion, 6)
    notion.ingest()
    there.tick(86_400)
    for page in there.pages.values():
        there.edit(page, Score=10)
    first, *rest = there.live()
    there.meanwhile = {request_number: lambda: setattr(first, "trashed", True)}
    notion.ingest()
    assert {notion.lake.by_id()[page.id]["score"] for page in rest} == {10}


def test_a_cursor_that_expired(notion):
    notion.workspace.page_size = 3
    filled(notion, 10)
    notion.workspace.faults = ["", "", "", "", "expire", "", "", "expire"]
    assert notion.counts() == (10, 0, 0, 0, 0)


def test_a_cursor_that_expires_each_time(notion):
    notion.workspace.page_size = 3
    filled(notion, 10)
    notion.workspace.faults = ["", "", *[""] + ["expire"] * 30]
    with pytest.raises(SourceRefused, match="Notion stops at the pages of Leads"):
        notion.ingest()


def test_it_waits_as_long_as_notion_asks(notion):
    filled(notion, 3)
    limit = error(429, "rate_limited", "You have been rate limited.", Retry_After="1")
    notion.workspace.faults = ["", "", limit]
    started = time.monotonic()
    assert notion.counts() == (3, 0, 0, 0, 0)
    assert time.monotonic() - started >= 1
    assert len(notion.workspace.requests) == 5, "and is not refused again for being too early"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (error(500, "internal_server_error", "Oops."), "it answered 500"),
        (error(503, "service_unavailable", "Later."), "it answered 503"),
        ((502, {"Content-Type": "text/html"}, b"<html>"), "it answered 502"),
        ((504, {}, b""), "it answered 504"),
        (error(429, "rate_limited", "Slow.", Retry_After="0"), "it answered 429"),
        ("close", "Server disconnected without sending a response"),
        ((200, {}, b"{"), "not the documented answer"),
        ((200, {}, b'{"results": 3}'), "not the documented answer"),
        ((200, {}, b"[]"), "not the documented answer"),
    ],
)
def test_what_passes_is_tried_again_but_not_for_ever(notion, fault, said):
    filled(notion, 3)
    attempts = len(service.WAITS) + 1
    notion.workspace.faults = [*[fault] * (attempts - 1), "", "", *[fault] * (attempts - 1)]
    notion.ingest()
    notion.workspace.faults = [fault] * 100
    notion.workspace.tick(86_400)
    before = notion.lake.versions()
    with pytest.raises(SourceUnreachable, match=rf"{said}.*attempts: {attempts}\): nothing"):
        notion.ingest()
    assert len(notion.workspace.faults) == 100 - attempts
    assert notion.lake.versions() == before


def test_more_patience_than_anybody_has(notion):
    notion.workspace.faults = [error(429, "rate_limited", "Slow.", Retry_After="900000")]
    notion.workspace.faults[0][1]["Retry-After"] = "900000"
    with pytest.raises(SourceUnreachable, match="asks for 900,000 seconds of patience"):
        notion.ingest()


def test_a_server_that_is_silent(notion, monkeypatch):
    monkeypatch.setattr(service, "TIMEOUT_MS", 50)
    monkeypatch.setattr(service, "WAITS", ())
    notion.workspace.meanwhile = {1: lambda: time.sleep(0.3)}
    with pytest.raises(SourceUnreachable, match="no answer in time"):
        notion.ingest()


def test_many_restored_pages_are_read_together(notion):
    """Neither a restoration nor a move is an edit; each page by itself would take too long."""
    keys = filled(notion, 120)
    for page in notion.workspace.pages.values():
        page.trashed = page.id != keys[0]
    notion.workspace.tick(86_400)
    assert notion.counts() == (1, 0, 0, 0, 0)
    notion.workspace.tick(86_400)
    for page in notion.workspace.pages.values():
        page.trashed = False
    notion.workspace.requests.clear()
    assert notion.counts() == (119, 0, 1, 0, 0)
    assert len(notion.workspace.requests) < 10

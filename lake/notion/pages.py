"""How all pages of a data source are read.

A query shows 100 pages at a time and 10,000 in all, and its cursor does not live for ever. So
pages are read in the order of ``created_time``, which no edit changes, and where a query stops
short another one starts from the newest page so far. See
https://developers.notion.com/guides/data-apis/query-large-data-sources.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lake.errors import SourceRefused
from lake.notion.answers import Answer
from lake.notion.data_source import not_shown
from lake.notion.long_values import complete
from lake.notion.service import CursorExpiredError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from lake.notion.data_source import DataSource
    from lake.notion.service import Service

PAGE_SIZE = 100
"""How many pages an answer has at most; Notion gives no more."""

UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")
"""What every id of Notion is."""

STANDSTILLS = 3
"""How many queries in a row may bring nothing new before it is given up."""


def read_all(
    service: Service,
    source: DataSource,
    since: datetime | None = None,
    properties: Sequence[str] = (),
) -> Iterator[Any]:
    """Read pages of a data source, each once, however many there are.

    Pages that are made, edited or trashed meanwhile may come or not come; no other page is lost
    because of them as long as Notion goes on from where it stopped.

    Args:
        service: The connection.
        source: The data source.
        since: Only those edited then or later, by Notion's minutes.
        properties: The ids of the only properties that are wanted; all without it.

    Yields:
        Pages as Notion describes them, unchecked.

    Raises:
        SourceRefused: Notion does not go on, or does not show the data source.
        SourceUnreachable: It does not answer.
    """
    seen: set[str] = set()
    created: str | None = None
    standstills = 0
    while standstills < STANDSTILLS:
        newest, fresh = created, False
        window = _Window(service, source, _filter(since, created), properties)
        for page in window:
            key = id_of(page)
            if key in seen:
                continue
            if key is not None:
                fresh = True
                seen.add(key)
                made = page.get("created_time")
                newest = made if isinstance(made, str) else newest
                if not properties:
                    complete(service, key, page)
            yield page
        if window.whole:
            return
        standstills = 0 if fresh else standstills + 1
        created = newest
    raise SourceRefused(
        f"Notion stops at the pages of {source.name} that were created at {created} and does not "
        "go on: try again later; if more than 10,000 pages were created in that one minute, spread "
        "them over several data sources."
    )


def read_one(service: Service, source: DataSource, page_id: str) -> dict[str, Any] | None:
    """Read one page.

    Returns:
        The page, or ``None`` if it is in the trash, in another place, or no more.

    Raises:
        SourceRefused: Notion does not show it for another reason.
        SourceUnreachable: It does not answer.
    """
    try:
        found = service.ask(dict[str, Any], service.client.pages.retrieve, page_id=page_id)
    except NotFoundError:
        return None
    parent = found.get("parent")
    elsewhere = isinstance(parent, dict) and parent.get("data_source_id") != source.id
    if elsewhere or is_trashed(found):
        return None
    complete(service, page_id, found)
    return found


def id_of(page: object) -> str | None:
    """Return a page's id, if it has one that can be asked for."""
    key = page.get("id") if isinstance(page, dict) else None
    return key if isinstance(key, str) and UUID.fullmatch(key) else None


def is_trashed(page: dict[str, Any]) -> bool:
    """Tell whether a page is in the trash, in the words of any version of the API."""
    return any(page.get(word) is True for word in ("in_trash", "archived", "is_archived"))


class _Window:
    """The pages that one query shows, answer by answer.

    Attributes:
        whole: Whether they are all there are; known at the end.
    """

    def __init__(
        self,
        service: Service,
        source: DataSource,
        conditions: dict[str, Any],
        properties: Sequence[str],
    ) -> None:
        self.whole = True
        self._service = service
        self._source = source
        self._query: dict[str, Any] = {
            **conditions,
            "sorts": [{"timestamp": "created_time", "direction": "ascending"}],
            "page_size": PAGE_SIZE,
        }
        if properties:
            self._query["filter_properties"] = list(properties)

    def __iter__(self) -> Iterator[Any]:
        cursor = None
        while True:
            try:
                answer = self._service.ask(
                    Answer,
                    self._service.client.data_sources.query,
                    data_source_id=self._source.id,
                    start_cursor=cursor,
                    **self._query,
                )
            except CursorExpiredError:
                self.whole = False
                return
            except NotFoundError:
                raise not_shown(self._source.name) from None
            if answer.request_status is not None and answer.request_status.type == "incomplete":
                self.whole = False
            yield from answer.results
            cursor = answer.next_cursor
            if not (answer.has_more and cursor):
                self.whole = self.whole and not answer.has_more
                return


def _filter(since: datetime | None, created: str | None) -> dict[str, Any]:
    moments = {"last_edited_time": since and since.isoformat(), "created_time": created}
    conditions = [
        {"timestamp": name, name: {"on_or_after": moment}}
        for name, moment in moments.items()
        if moment
    ]
    return {"filter": {"and": conditions}} if conditions else {}

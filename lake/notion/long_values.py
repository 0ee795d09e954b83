"""The values of properties that are too long to be in a page as Notion shows it.

A page shows the first 25 people, and text up to the 25th mention; all of them are read one
property at a time. See https://developers.notion.com/reference/retrieve-a-page-property.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lake.errors import SourceRefused
from lake.notion.answers import Answer
from lake.notion.service import CursorExpiredError, NotFoundError

if TYPE_CHECKING:
    from lake.notion.service import Service

LONG = ("title", "rich_text", "people")
"""The types of properties that may be cut."""

SHOWN = 25
"""How many references a page shows of one property."""


def complete(service: Service, page_id: str, page: dict[str, Any]) -> None:
    """Put whole values in the place of those that may be cut.

    Args:
        service: The connection.
        page_id: The page's id.
        page: The page as Notion shows it, which is changed.

    Raises:
        SourceRefused: Notion does not show a value to its end.
        SourceUnreachable: It does not answer.
    """
    properties = page.get("properties")
    for value in properties.values() if isinstance(properties, dict) else ():
        kind = value.get("type") if isinstance(value, dict) else None
        if kind in LONG and isinstance(value.get(kind), list) and len(value[kind]) >= SHOWN:
            value[kind] = _whole(service, page_id, str(value.get("id")), kind) or value[kind]


def _whole(service: Service, page_id: str, property_id: str, kind: str) -> list[Any]:
    """Return all pieces of a value; none if the page is gone, which the list of pages shows."""
    pieces: list[Any] = []
    cursor = None
    while True:
        try:
            answer = service.ask(
                Answer,
                service.client.pages.properties.retrieve,
                page_id=page_id,
                property_id=property_id,
                start_cursor=cursor,
            )
        except NotFoundError:
            return []
        except CursorExpiredError:
            raise SourceRefused(
                f"Notion does not show a property of the page {page_id} to its end: try again."
            ) from None
        pieces += [item.get(kind) if isinstance(item, dict) else None for item in answer.results]
        cursor = answer.next_cursor
        if not (answer.has_more and cursor):
            return pieces

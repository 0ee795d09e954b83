"""What Notion answers when there may be more than fits into one answer."""

from __future__ import annotations

from typing import Any

import msgspec


class Status(msgspec.Struct):
    """Whether a query shows all it found."""

    type: str


class Answer(msgspec.Struct):
    """Some of what was found; see https://developers.notion.com/reference/intro#pagination."""

    results: list[Any]
    has_more: bool = False
    next_cursor: str | None = None
    request_status: Status | None = None

"""The two messages of an answer that is sent whole, as ASGI has them.

See https://asgi.readthedocs.io/en/latest/specs/www.html#response-start-send-event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent


def start(status: int, headers: list[tuple[bytes, bytes]]) -> HTTPResponseStartEvent:
    """Make the first one.

    Args:
        status: The status.
        headers: The headers, their names in lower case.
    """
    return {"type": "http.response.start", "status": status, "headers": headers}


def named(begun: HTTPResponseStartEvent, request_id: bytes) -> HTTPResponseStartEvent:
    """Say in the first one what the request is called.

    Args:
        begun: The first one, which stays as it is.
        request_id: The request's id.
    """
    return {**begun, "headers": [*begun["headers"], (b"x-request-id", request_id)]}


def whole(body: bytes) -> HTTPResponseBodyEvent:
    """Make the second one, with all of the body."""
    return {"type": "http.response.body", "body": body, "more_body": False}

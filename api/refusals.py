"""Answers to what is refused before anybody works on it: made here, at little cost."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from api.messages import start, whole
from api.problems import MARTS, MartProblem, Problem, code_of
from api.protection import HEADERS
from api.quoting import shown
from api.request_ids import request_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, HTTPScope

    Lines = Iterable[tuple[bytes, bytes]]

SOON = (b"retry-after", b"1")
"""What a refusal for want of room carries: a queue is short, and soon another one."""


def refusal(
    scope: HTTPScope, status: int, detail: str, *more: tuple[bytes, bytes]
) -> tuple[HTTPResponseStartEvent, HTTPResponseBodyEvent]:
    """Make the ASGI messages of a problem (RFC 9457).

    Args:
        scope: The request's. If it has an exchange, that learns that it was turned away.
        status: The status.
        detail: One sentence.
        more: Further header fields.
    """
    if exchange := scope.get("state", {}).get("exchange"):
        exchange.turned_away = True
        name: bytes = exchange.request_id.encode()
        named: list[tuple[bytes, bytes]] = []  # it names its answers by itself
    else:
        name = request_id(dict(scope["headers"]).get(b"x-request-id"))
        named = [(b"x-request-id", name)]
    raw: bytes | None = scope.get("raw_path")
    path = scope["path"] if raw is None else raw.decode("latin-1")
    body = _problem(status, detail, path, name)
    lines = [*_lines(body, more), *named]
    return start(status, lines), whole(b"" if scope["method"] == "HEAD" else body)


def written(status: int, detail: str, *more: tuple[bytes, bytes]) -> bytes:
    """Write a problem as HTTP/1.1 sends it, to a client whose request is not read to its end.

    Args:
        status: The status.
        detail: One sentence.
        more: Further header fields.
    """
    body = _problem(status, detail, "", request_id())
    lines = [*_lines(body, more), (b"connection", b"close")]
    head = b"".join(b"%b: %b\r\n" % line for line in lines)
    phrase = HTTPStatus(status).phrase.encode()
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, phrase, head, body)


def _problem(status: int, detail: str, path: str, name: bytes) -> bytes:
    said: dict[str, Any] = {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": shown(path),
        "request_id": name.decode(),
    }
    if path.startswith(MARTS):
        return msgspec.json.encode(MartProblem(**said, message=detail, code=code_of(status)))
    return msgspec.json.encode(Problem(**said))


def _lines(body: bytes, more: Lines) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        *HEADERS,
        *more,
    ]

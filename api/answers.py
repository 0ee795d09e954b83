"""Answers ready to be sent, and the bounded shelf that a publication keeps them on."""

from __future__ import annotations

import asyncio
import hashlib
from functools import lru_cache
from heapq import nlargest
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from litestar import Response
from litestar.datastructures import ResponseHeader
from litestar.response.base import ASGIResponse
from litestar.serialization import get_serializer

from api.negotiation import Coding, is_current

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from litestar import Litestar
    from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

    from api.observing.traffic import Tallies, Tally
    from api.requests import AnyRequest

Content = TypeVar("Content")

Value = bytes | None
Key = tuple[str, bytes, Value, Value, Value, Value, Value, Value, Value]
"""What an answer's bytes may depend on besides the publication: path, query string, and the
headers of ``KEYED``; on the host it depends whether there is an answer at all. Other caches hear of
those that an answer does depend on by ``Vary``."""

KEYED = (b"accept-encoding", b"origin", b"accept", b"accept-profile", b"range", b"prefer", b"host")

CACHE_CONTROL = "public, max-age=0, stale-while-revalidate=10, stale-if-error=86400"
"""Anyone may keep an answer and asks whether it still holds; a 304 costs less than any other
answer. A cache that can (RFC 5861) shows the old one for ten more seconds while it asks, and for a
day if this server fails: each answer says which publication it is from."""

IMMUTABLE = "public, max-age=31536000, immutable"
"""An answer from a publication that the request names never changes (RFC 8246)."""


def keeping(*, named: bool, everyone: bool) -> str:
    """Who may keep an answer, and how long: the value of ``Cache-Control``.

    Args:
        named: Whether the request names the publication.
        everyone: Whether everyone may read it; else only the client itself keeps it.
    """
    cache_control = IMMUTABLE if named else CACHE_CONTROL
    return cache_control if everyone else cache_control.replace("public", "private")


HEADERS = (
    ResponseHeader(
        name="ETag",
        value="",
        description="Strong entity tag: send it back in `If-None-Match` and get 304 while the "
        "answer is the same.",
        documentation_only=True,
    ),
    ResponseHeader(
        name="Cache-Control",
        value="",
        description="Any cache (`public`), or only the client itself (`private`), may keep the "
        "answer and asks whether it still holds (RFC 5861); what is asked of one publication by "
        "its number is `immutable` (RFC 8246).",
        documentation_only=True,
    ),
    ResponseHeader(
        name="Vary",
        value="",
        description="The request's headers that the answer depends on.",
        documentation_only=True,
    ),
)
"""What every answer that may be kept carries, for the OpenAPI document."""

PUBLISHED = (
    *HEADERS,
    ResponseHeader(
        name="Publication",
        value="",
        description="The number of the publication that the whole answer comes from.",
        documentation_only=True,
    ),
    ResponseHeader(
        name="Publication-Tests",
        value="",
        description="How the tests of the run that made the content ended: `passed`, `warned` or "
        "`not-run`.",
        documentation_only=True,
    ),
    ResponseHeader(
        name="Last-Modified",
        value="",
        description="When the content was built. To ask whether it changed, use the entity tag: "
        "a rollback brings an older content back.",
        documentation_only=True,
    ),
    ResponseHeader(
        name="Source-Last-Modified",
        value="",
        description="When the newest of the Delta versions that it was built from was committed.",
        documentation_only=True,
    ),
)
"""What every answer about a publication's content carries."""

REPLACED = {b"content-length", b"etag", b"vary"}
"""Headers that depend on the coding, or on what the key holds."""

ABOUT_BODY = {b"content-type", b"content-length", b"content-encoding"}
"""Headers that a 304 leaves out (RFC 9110 §15.4.5)."""

EMPTY: HTTPResponseBodyEvent = {"type": "http.response.body", "body": b"", "more_body": False}


def etag(*parts: str | bytes) -> str:
    """Make a strong entity tag out of everything that a representation's bytes depend on."""
    encoded = [part.encode() if isinstance(part, str) else part for part in parts]
    # Each part with its length: ("ab", "c") and ("a", "bc") must not be one.
    framed = b"".join([b"%d:%b" % (len(part), part) for part in encoded])
    return f'"{hashlib.sha256(framed).hexdigest()[:32]}"'


def coded(tag: bytes, coding: Coding) -> bytes:
    """Make the coding part of an entity tag.

    A strong one may stand for only one sequence of bytes (RFC 9110 §8.8.3.3).
    """
    return tag if coding == "identity" else tag[:-1] + b'-%b"' % coding.encode()


@lru_cache(64)
def varying(own: str, *, guarded: bool) -> str:
    """The ``Vary`` header of an answer: its own, and what the layer in front adds for all.

    Args:
        own: What the handler says.
        guarded: Whether it needs a token.
    """
    names = {name.strip() for name in own.split(",")} - {""}
    names |= {"Accept-Encoding", "Origin"} | ({"Authorization"} if guarded else set())
    return ", ".join(sorted(names))


class Reusable(Response[Content]):
    """A response that is sent as it says itself: without cookies, and with its own headers alone.

    Litestar's own way costs a tenth of a whole answer: it looks each header up among the others.
    """

    def to_asgi_response(
        self,
        app: Litestar | None,
        request: AnyRequest,
        **of_route: Any,  # noqa: ANN401 -- as Litestar has it
    ) -> ASGIResponse:
        """Make what is sent; see :meth:`litestar.Response.to_asgi_response`."""
        del app, request
        return _Sent(self, self.status_code or of_route["status_code"])


class _Sent(ASGIResponse):
    """The two messages of a response."""

    __slots__ = ("_body", "_start")

    def __init__(self, response: Response[Any], status: int) -> None:
        media_type = str(response.media_type)
        content = response.content
        if not isinstance(content, bytes):
            content = response.render(content, media_type, get_serializer(None))
        kind = f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
        said = {**response.headers, "content-type": kind, "content-length": str(len(content))}
        lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in said.items()]
        self._start = _start(status, lines)
        self._body: HTTPResponseBodyEvent = {**EMPTY, "body": content}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        del scope, receive
        await send(self._start)
        await send(self._body)


def reusable(
    content: Content,
    tag: str,
    *,
    media_type: str = "application/json",
    cache_control: str = CACHE_CONTROL,
    headers: Mapping[str, str] | None = None,
) -> Response[Content]:
    """Make a response that may be kept, here and by others, until its entity tag changes.

    Args:
        content: The content in no coding; the hot path codes it as each client likes.
        tag: Its strong entity tag.
        media_type: Its media type.
        cache_control: Who may keep it.
        headers: Further headers.
    """
    validators = {"ETag": tag, "Cache-Control": cache_control}
    return Reusable(content, media_type=media_type, headers={**validators, **(headers or {})})


class Reply(NamedTuple):
    """One way for an answer to go out.

    Attributes:
        start: The first message.
        body: The second one.
        tally: Who counts how often it does.
    """

    start: HTTPResponseStartEvent
    body: HTTPResponseBodyEvent
    tally: Tally


class Answer:
    """One representation, ready to go out: whole, as its head, and as 304.

    Attributes:
        permission: The scopes without which nobody may have it, if so.
        route: The template of the route that it is of.
        size: How many bytes it takes.
        used: When it was made or last looked up, on the clock of :func:`time.perf_counter`.
    """

    __slots__ = ("_current", "_etag", "_tallies", "_whole", "permission", "route", "size", "used")

    def __init__(  # noqa: PLR0913, PLR0917 -- what a representation is made of
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        coding: Coding,
        tallies: Tallies,
        route: str,
        permission: frozenset[str] | None = None,
    ) -> None:
        """Make the messages.

        Args:
            status: 200, or 206 for a part of a list.
            headers: The headers of the response in no coding. ``Vary`` names what the answer
                depends on besides the coding, the origin and the token.
            body: The body in the coding.
            coding: The coding.
            tallies: Where it is counted how often it goes out.
            route: The template of its route.
            permission: The scopes without which nobody may have it, if so.
        """
        self.permission = permission
        self.route = route
        self.used = perf_counter()
        said = dict(headers)
        self._etag = coded(said[b"etag"], coding)
        about_body = [(b"content-length", b"%d" % len(body))]
        if coding != "identity":
            about_body.append((b"content-encoding", coding.encode()))
        kept = [line for line in headers if line[0] not in REPLACED]
        own = said.get(b"vary", b"").decode()
        vary = varying(own, guarded=permission is not None).encode()
        lines = [*kept, *about_body, (b"etag", self._etag), (b"vary", vary)]
        whole = _start(status, lines)
        current = _start(304, [line for line in lines if line[0] not in ABOUT_BODY])
        self._whole = Reply(whole, {**EMPTY, "body": body}, tallies[route, "GET", status])
        self._current = Reply(current, EMPTY, tallies[route, "GET", 304])
        self._tallies = tallies
        self.size = len(body) + sum([len(name) + len(value) for name, value in lines])

    def reply(self, method: str, if_none_match: bytes | None) -> Reply:
        """Choose how it goes out for one request.

        Args:
            method: ``GET`` or ``HEAD``.
            if_none_match: The header's value, if the request has it.
        """
        # Most clients have one, as it was sent to them: that needs no call.
        if if_none_match is not None and (
            if_none_match == self._etag or is_current(if_none_match, self._etag)
        ):
            reply = self._current
        else:
            reply = self._whole
        return reply if method == "GET" else self._head(reply)

    def _head(self, reply: Reply) -> Reply:
        start = reply.start
        return Reply(start, EMPTY, self._tallies[self.route, "HEAD", start["status"]])


def _start(status: int, headers: list[tuple[bytes, bytes]]) -> HTTPResponseStartEvent:
    return {"type": "http.response.start", "status": status, "headers": headers}


class Coming(asyncio.Event):
    """An answer that is being made; set when it has been, or is found to be for nobody else.

    Attributes:
        answer: It, if it is for others too.
    """

    answer: Answer | None = None


class Answers(dict[Key, Answer]):
    """The most recently used answers of one publication. Only :meth:`keep` puts one in.

    Whoever gets one says when, in ``used``: that costs a hit less than to keep them in order.
    """

    def __init__(self, entries: int = 4096, size: int = 64 * 1024 * 1024) -> None:
        """Make room.

        Args:
            entries: How many it keeps at most.
            size: How many bytes it keeps at most. An answer larger than an eighth of that is not
                kept: it would push too many others out.
        """
        super().__init__()
        self._entries = entries
        self._size = size
        self._used = 0
        self._coming: dict[Key, Coming] = {}

    def announce(self, key: Key) -> Coming:
        """Say that an answer is being made, so that those who ask the same may wait for it."""
        coming = Coming()
        self._coming.setdefault(key, coming)
        return coming

    def coming(self, key: Key) -> Coming | None:
        """Tell whether an answer is being made."""
        return self._coming.get(key)

    def settle(self, key: Key, coming: Coming, answer: Answer | None = None) -> None:
        """Give an answer to those who wait for it, or nothing if there is none for others."""
        coming.answer = answer
        coming.set()
        if self._coming.get(key) is coming:
            del self._coming[key]

    def keep(self, key: Key, answer: Answer) -> None:
        """Keep an answer, and let the longest unused ones go if there is no room."""
        if _cost(key, answer) > self._size // 8:
            return
        if replaced := self.pop(key, None):
            self._used -= _cost(key, replaced)
        self[key] = answer
        self._used += _cost(key, answer)
        if len(self) > self._entries or self._used > self._size:
            self._make_room()

    def recent(self, count: int) -> list[Key]:
        """The keys of the most recently used answers, the latest first."""
        return nlargest(count, self, key=lambda key: self[key].used)

    def _make_room(self) -> None:
        """Let an eighth go, so that it need not be looked for soon again."""
        for key in sorted(self, key=lambda key: self[key].used):
            if len(self) <= self._entries * 7 // 8 and self._used <= self._size * 7 // 8:
                return
            self._used -= _cost(key, self.pop(key))


def _cost(key: Key, answer: Answer) -> int:
    """Bytes, with a round kilobyte for the objects around them."""
    return 1024 + answer.size + sum([len(part) for part in key if part])

"""One answer, ready to be sent again and again."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from api.messages import start, whole
from api.negotiation import Coding, is_current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent

    from api.observing.traffic import Tallies, Tally

Head = tuple[str, bytes, bytes, tuple[tuple[bytes, bytes], ...]]
"""A request's method, its path as it was sent, its query string, and its header fields as they
came."""

REPLACED = {b"content-length", b"etag"}
"""Headers that depend on the coding."""

ABOUT_BODY = {b"content-type", b"content-length", b"content-encoding"}
"""Headers that a 304 leaves out (RFC 9110 §15.4.5)."""

EMPTY = whole(b"")


def coded(tag: bytes, coding: Coding) -> bytes:
    """Make the coding part of an entity tag.

    A strong one may stand for only one sequence of bytes (RFC 9110 §8.8.3.3).
    """
    return tag if coding == "identity" else tag[:-1] + b'-%b"' % coding.encode()


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
        heads: Of the requests for it that are known by them; see :class:`api.heads.Heads`.
        size: How many bytes it takes.
        used: When it was made or last looked up, on the clock of :func:`time.perf_counter`.
    """

    __slots__ = (
        *("_current", "_etag", "_tallies", "_whole"),
        *("heads", "permission", "route", "size", "used"),
    )

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
            headers: The headers of the response in no coding.
            body: The body in the coding.
            coding: The coding.
            tallies: Where it is counted how often it goes out.
            route: The template of its route.
            permission: The scopes without which nobody may have it, if so.
        """
        self.permission = permission
        self.route = route
        self.used = perf_counter()
        self.heads: set[Head] = set()
        said = dict(headers)
        self._etag = coded(said[b"etag"], coding)
        about_body = [(b"content-length", b"%d" % len(body))]
        if coding != "identity":
            about_body.append((b"content-encoding", coding.encode()))
        kept = [line for line in headers if line[0] not in REPLACED]
        lines = [*kept, *about_body, (b"etag", self._etag)]
        full = start(status, lines)
        current = start(304, [line for line in lines if line[0] not in ABOUT_BODY])
        self._whole = Reply(full, whole(body), tallies[route, "GET", status])
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
        status = reply.start["status"]
        return Reply(reply.start, EMPTY, self._tallies[self.route, "HEAD", status])

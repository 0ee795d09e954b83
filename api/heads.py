"""Requests that come exactly as one before: they need not be read again.

Most clients send the same head each time. To find one takes two thirds of what it takes to read it
and to look its answer up by what that depends on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent

    from api.answers import Answer
    from api.observing.traffic import Tally

Head = tuple[str, str, bytes, tuple[tuple[bytes, bytes], ...]]
"""The method, the path, the query string, and the header fields as they came."""

MOST = 1024
"""How many are known at most."""

LONGEST = 4096
"""Bytes of a head that is known at most."""

EACH_ITS_OWN = {b"x-request-id", b"traceparent"}
"""Header fields whose value is another one each time."""


class Hit(NamedTuple):
    """A request whose answer is kept, and how that goes out.

    Attributes:
        answer: The answer.
        headers: The request's, by name.
        name: Its id, if it has one, which then stands in the first message too; else empty.
        start: The first message.
        body: The second one.
        tally: Who counts it.
    """

    answer: Answer
    headers: Mapping[bytes, bytes]
    name: bytes
    start: HTTPResponseStartEvent
    body: HTTPResponseBodyEvent
    tally: Tally


class Heads(dict[Head, Hit]):
    """Heads of requests whose answers are kept. Only :meth:`keep` puts one in."""

    def keep(self, head: Head, hit: Hit) -> None:
        """Know a request again, unless it is long or says what only one can say.

        If there are too many, the one that is known the longest goes: should it come again, it is
        read again.
        """
        if not EACH_ITS_OWN.isdisjoint(hit.headers) or _size(head) > LONGEST:
            return
        if len(self) == MOST:
            del self[next(iter(self))]
        self[head] = hit
        hit.answer.known = True

    def forget(self, answer: Answer) -> None:
        """Let all go that were answered by an answer that is not kept any more."""
        if answer.known:
            for head in [head for head, hit in self.items() if hit.answer is answer]:
                del self[head]


def _size(head: Head) -> int:
    _, path, query, lines = head
    return len(path) + len(query) + sum(len(name) + len(value) for name, value in lines)

"""Requests that come exactly as one before: they need not be read again.

Most clients send the same head each time. To look that up takes less than to read it and to look
its answer up by what that depends on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from api.answers import Head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent

    from api.answers import Answer
    from api.observing.traffic import Tally

MOST = 1024
"""How many are known at most."""

LARGEST = 4096
"""Bytes that one may take, about; it is looked up under them and kept by them."""

A_LINE = 128
"""Bytes that a header field takes besides its name and its value, about."""

MOST_ONCE = 4096
"""Of how many it is remembered that they came once."""


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

    def __init__(self) -> None:
        """Know none yet."""
        super().__init__()
        self._once: set[int] = set()

    def keep(self, head: Head, hit: Hit) -> None:
        """Know a request from the second time on: what a proxy adds to each may never come again.

        If there are too many, the one that is known the longest goes: should it come again, it is
        read again.
        """
        if _is_private(hit) or _size(head) > LARGEST:
            return
        if (number := hash(head)) not in self._once:
            if len(self._once) == MOST_ONCE:
                self._once.clear()
            self._once.add(number)
            return
        if len(self) == MOST and head not in self:
            oldest = next(iter(self))
            self.pop(oldest).answer.heads.discard(oldest)
        self[head] = hit
        hit.answer.heads.add(head)

    def forget(self, answer: Answer) -> None:
        """Let all go that were answered by an answer that is not kept any more."""
        for head in answer.heads:
            del self[head]
        answer.heads.clear()


def _is_private(hit: Hit) -> bool:
    """Tell whether a head has what nobody looked at, and need not be remembered."""
    headers = hit.headers
    return b"cookie" in headers or (b"authorization" in headers and hit.answer.permission is None)


def _size(head: Head) -> int:
    _, path, query, lines = head
    fields = sum([A_LINE + len(name) + len(value) for name, value in lines])
    return len(path) + len(query) + fields

"""The bounded shelf that a publication keeps its answers on, and those that are being made."""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush, heapreplace, nlargest
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from api.answers import Answer
from api.heads import Heads

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYED = (b"accept-encoding", b"origin", b"accept", b"accept-profile", b"range", b"prefer", b"host")
"""The header fields that an answer's bytes may depend on. On the host it depends whether there is
an answer at all. Other caches hear of those that an answer does depend on by ``Vary``."""


class Key(NamedTuple):
    """What an answer's bytes may depend on besides the publication.

    Attributes:
        path: The path.
        query: The query string.
        values: Of each field of ``KEYED`` its value, if the request has it.
    """

    path: str
    query: bytes
    values: tuple[bytes | None, ...]

    @classmethod
    def of(cls, path: str, query: bytes, headers: Mapping[bytes, bytes]) -> Key:
        """Read it off a request."""
        return cls(path, query, tuple([headers.get(name) for name in KEYED]))

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The fields that the request has."""
        named = zip(KEYED, self.values, strict=True)
        return {name: value for name, value in named if value is not None}


AT_ONCE = 64
"""How many go in one round of the event loop when all have to, and how many are looked at to find
one that goes."""


class Coming(asyncio.Event):
    """An answer that is being made; set when it has been, or is found to be for nobody else.

    Attributes:
        answer: It, if it is for others too.
    """

    answer: Answer | None = None


class Shelf(dict[Key, Answer]):
    """The answers of one publication that were used lately. Only :meth:`keep` puts one in.

    Whoever gets one says when, in ``used``: that costs a hit less than to keep them in order. They
    are put in order where one has to go, and only some of them each time, so that now and then one
    goes that was used later than another that stays.

    Attributes:
        heads: The requests that were answered by them, as they came.
    """

    def __init__(
        self, entries: int = 4096, size: int = 64 * 1024 * 1024, largest: int = 2 * 1024 * 1024
    ) -> None:
        """Make room.

        Args:
            entries: How many it keeps at most.
            size: How many bytes it keeps at most.
            largest: How many bytes one answer has at most: others would push too much out.
        """
        super().__init__()
        self.heads = Heads()
        self._entries = entries
        self._size = size
        self._largest = largest
        self._used = 0
        self._oldest: list[tuple[float, int, Key]] = []  # a heap; since then they may be used again
        self._numbers = count()  # so that keys are never compared
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
        if _cost(key, answer) > self._largest:
            return
        if replaced := self.get(key):
            self._used -= _cost(key, replaced)
            self.heads.forget(replaced)
        else:
            heappush(self._oldest, (answer.used, next(self._numbers), key))
        self[key] = answer
        self._used += _cost(key, answer)
        while len(self) > self._entries or self._used > self._size:
            self._let_one_go()

    def recent(self, count: int) -> list[Key]:
        """The keys of the most recently used answers, the latest first."""
        return nlargest(count, self, key=lambda key: self[key].used)

    async def empty(self) -> None:
        """Let all go, some in each round of the event loop: thousands take several milliseconds."""
        while self:
            for _ in range(min(len(self), AT_ONCE)):
                _, _, key = self._oldest.pop()  # without its last one a heap is a heap
                self._drop(key)
            await asyncio.sleep(0)

    def _let_one_go(self) -> None:
        """Let the longest unused one go.

        None was used before the heap says, but perhaps since. Where all that are looked at were,
        the next one goes without a look.
        """
        for _ in range(AT_ONCE):
            known, number, key = self._oldest[0]
            if (used := self[key].used) == known:
                break
            heapreplace(self._oldest, (used, number, key))
        self._drop(heappop(self._oldest)[2])

    def _drop(self, key: Key) -> None:
        answer = self.pop(key)
        self._used -= _cost(key, answer)
        self.heads.forget(answer)


def _cost(key: Key, answer: Answer) -> int:
    """Bytes, with a round kilobyte for the objects around them."""
    parts = (key.path, key.query, *key.values)
    return 1024 + answer.size + sum([len(part) for part in parts if part])

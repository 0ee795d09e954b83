"""The bounded shelf that a publication keeps its answers on, and those that are being made."""

from __future__ import annotations

import asyncio
from heapq import nlargest

from api.answers import Answer

Value = bytes | None
Key = tuple[str, bytes, Value, Value, Value, Value, Value, Value, Value]
"""What an answer's bytes may depend on besides the publication: path, query string, and the
headers of ``KEYED``; on the host it depends whether there is an answer at all. Other caches hear of
those that an answer does depend on by ``Vary``."""

KEYED = (b"accept-encoding", b"origin", b"accept", b"accept-profile", b"range", b"prefer", b"host")


class Coming(asyncio.Event):
    """An answer that is being made; set when it has been, or is found to be for nobody else.

    Attributes:
        answer: It, if it is for others too.
    """

    answer: Answer | None = None


class Shelf(dict[Key, Answer]):
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

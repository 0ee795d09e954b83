"""Turns at the processes that ask DuckDB: who waits for one, who has one, and for how long."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from litestar.exceptions import ServiceUnavailableException

from api.observing.durations import Durations
from api.problems import RETRY
from telemetry import Span, Trace, current, record

if TYPE_CHECKING:
    from types import TracebackType

WAITING = 5.0
"""Seconds for a step to wait for its turn, unless steps before it were done for the same answer."""

BUSY = "Others are being answered, and it is taking long; ask again soon."


class Turns:
    """So many at once; the others wait, first come first served.

    Attributes:
        waiting: How many wait.
        running: How many have one.
        durations: How long each step took in its process, without any wait.
    """

    def __init__(self, most: int) -> None:
        """Give none yet.

        Args:
            most: How many may have one at once.
        """
        self._slots = asyncio.Semaphore(most)
        self.waiting = 0
        self.running = 0
        self.durations = Durations()

    def turn(self, *, patient: bool = False) -> Turn:
        """Wait for a turn and have it while the block lasts.

        Args:
            patient: Whether to wait however long it takes.

        Raises:
            ServiceUnavailableException: On entering: it takes too long.
        """
        return Turn(self, None if patient else WAITING)

    async def begin(self, seconds: float | None) -> None:
        """Wait for a turn, so many seconds; raises as :meth:`turn`."""
        if self._slots.locked():
            self.waiting += 1
            try:
                async with asyncio.timeout(seconds):
                    await self._slots.acquire()
            except TimeoutError:
                raise ServiceUnavailableException(detail=BUSY, headers=RETRY) from None
            finally:
                self.waiting -= 1
        else:
            await self._slots.acquire()
        self.running += 1

    def end(self) -> None:
        """Give a turn back."""
        self.running -= 1
        self._slots.release()


class Turn:
    """One turn: a span, if it is part of a trace that is recorded.

    Attributes:
        seconds: How long its step took, once that is known. One that has a turn may still wait for
            another in the same process, and that wait is none of its time.
    """

    __slots__ = ("_begun", "_patience", "_turns", "seconds")

    def __init__(self, turns: Turns, patience: float | None) -> None:
        """Wait for nothing yet; see :meth:`Turns.turn`."""
        self._turns = turns
        self._patience = patience
        self._begun = 0.0
        self.seconds: float | None = None

    async def __aenter__(self) -> Turn:
        """Wait for it."""
        await self._turns.begin(self._patience)
        self._begun = time.perf_counter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give it back, and count and trace its step."""
        seconds = self.seconds
        if seconds is None:  # it failed
            seconds = time.perf_counter() - self._begun
        self._turns.durations.add(seconds)
        self._turns.end()
        if (above := current()) is not None and above.recorded:
            now = time.time_ns()
            failed = type(error).__name__ if error is not None else None
            attributes: dict[str, str | int | float | bool] = {"db.system.name": "duckdb"}
            trace, begun = Trace.below(above), now - int(seconds * 1e9)
            record(Span("query", trace, above, begun, now, attributes, failed))

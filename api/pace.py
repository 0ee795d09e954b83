"""How work follows on work on the event loop, so that whatever else there is finds its way between.

A question costs the loop some tenths of a millisecond in the framework, some in its handler before
DuckDB is asked, and some after. Each of these waits for a turn. Were those of many questions done
in one round of the loop, kept answers and probes would wait for all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Pace:
    """Turns on one event loop, first come first served: at most one in each of its rounds."""

    def __init__(self) -> None:
        """Give none yet."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._given = False

    async def turn(self) -> None:
        """Wait for a turn; have it at once unless one was given and no round has begun since."""
        loop = asyncio.get_running_loop()
        if self._given:
            future = loop.create_future()
            self._waiting.append(future)
            await future
        else:
            self._given = True
            loop.call_soon(self._next, loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the turn of the next round, if anybody still waits for one."""
        while self._waiting:
            if not (future := self._waiting.popleft()).done():
                future.set_result(None)
                loop.call_soon(self._next, loop)
                return
        self._given = False

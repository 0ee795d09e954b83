"""The processes that ask DuckDB, as the event loop sees them."""

from __future__ import annotations

import asyncio
import itertools
import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from loguru import logger

from api.pace import Pace
from api.querying.client import Ended, Process
from api.querying.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from litestar import Litestar

PROCESSES = min(max((os.cpu_count() or 1) - 1, 1), 4)
"""How many there are, unless a setting says otherwise: one core is left to the event loop."""

READY = 2
"""How many steps each has at most: one, and one that is there when it ends."""

PAUSE = 0.2
"""Seconds before a process that ended is replaced, so that one that cannot start costs little."""

MEMORY = "512MB"
"""How much memory DuckDB takes in each for a publication, unless a setting says otherwise."""

HUNG_AFTER = 10.0
"""Seconds after which a process is ended that answers nothing, though all its time is over."""


class Processes:
    """All of them. Each has the same publications open; one that ends is replaced.

    Attributes:
        turns: How many steps they have at once.
        pace: How those whose step is done go on.
        replaced: How many have ended.
    """

    def __init__(
        self, count: int = PROCESSES, hung_after: float = HUNG_AFTER, memory: str = MEMORY
    ) -> None:
        """Start nothing yet.

        Args:
            count: How many there are to be.
            hung_after: After how many seconds without an answer one is ended: more than a step
                may take.
            memory: How much memory DuckDB may take in each, for each publication.
        """
        self._count = count
        self._hung_after = hung_after
        self._memory = memory
        self._all: list[Process] = []
        self._watching: set[asyncio.Task[None]] = set()
        self._keys = itertools.count(1)
        self._open: dict[int, tuple[Path, Sequence[str], str]] = {}
        self._some = asyncio.Event()
        self.turns = Turns(READY * count)
        self.pace = Pace()
        self.replaced = 0

    @asynccontextmanager
    async def lifespan(self, _app: Litestar | None = None) -> AsyncIterator[None]:
        """Start them, and end them when the server stops."""
        for _ in range(self._count):
            await self._start()
        try:
            yield
        finally:
            for watching in self._watching:
                watching.cancel()
            await asyncio.gather(*self._watching, return_exceptions=True)
            await asyncio.gather(*(process.stop() for process in self._all))

    async def open(self, path: Path, marts: Sequence[str]) -> int:
        """Open a publication's file in all of them.

        Args:
            path: The file, by its own name from the root on.
            marts: The names of its marts.

        Returns:
            The key that it has there.

        Raises:
            PublicationBroken: It cannot be opened or queried.
        """
        key = next(self._keys)
        self._open[key] = path, marts, self._memory
        try:
            while not await self._open_in_all(key):
                pass  # all of them ended meanwhile, and there are new ones
        except BaseException:
            self.close(key)
            raise
        return key

    async def _open_in_all(self, key: int) -> bool:
        """Open a publication in all processes; tell whether any of them has it open."""
        await self._some.wait()
        asked = [process.ask("open", key, *self._open[key]) for process in self._all]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        for outcome in outcomes:
            # What ended is replaced, and opens it then.
            if isinstance(outcome, Exception) and not isinstance(outcome, Ended):
                raise outcome
        return not all(isinstance(outcome, Ended) for outcome in outcomes)

    def close(self, key: int) -> None:
        """Close a publication's file in all of them, when what was asked before is done."""
        del self._open[key]
        for process in self._all:
            process.tell("close", key)

    @property
    def pids(self) -> list[int]:
        """The processes that there are."""
        return [process.pid for process in self._all]

    def choose(self) -> Process:
        """Choose the one that has the least to do.

        Raises:
            Ended: All of them have just done so.
        """
        if not self._all:
            raise Ended
        return min(self._all, key=lambda process: process.owed)

    async def _start(self) -> None:
        process = Process()
        await process.start()
        for key, opened in self._open.items():
            process.tell("open", key, *opened)
        self._all.append(process)
        self._some.set()
        watching = asyncio.create_task(self._replace(process))
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)

    async def _replace(self, process: Process) -> None:
        """Wait until a process ends, which it is made to if it hangs, and start another."""
        while not process.gone.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(process.gone.wait(), 1)
            if process.silent > self._hung_after:
                process.kill()
        logger.error("A process that asks DuckDB has ended; a new one takes its place.")
        self.replaced += 1
        self._all.remove(process)
        if not self._all:
            self._some.clear()
        await process.stop()
        while True:
            await asyncio.sleep(PAUSE)
            try:
                await self._start()
            except OSError as error:
                logger.error("No process that asks DuckDB can be started: {}.", error.strerror)
            else:
                return

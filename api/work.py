"""Queries in worker threads: on a cursor of their own, and within their time."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
from litestar.exceptions import ServiceUnavailableException

from api.problems import RETRY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

THREADS = max((os.cpu_count() or 1) - 1, 1)
"""How many queries of one publication run at once: one core is left to the event loop, so that
what is kept is answered as fast as ever. The other queries wait, which costs no time of theirs."""

READY = 2 * THREADS
"""How many are at most given to the threads: one for each has to be there when the last ends."""

SECONDS = 5.0
"""How long a query may take, unless a setting says otherwise."""

LONGEST_KEPT = 4096
"""Up to how many characters a query has that is kept as it was parsed: clients write part of it."""

Result = TypeVar("Result")


class Work:
    """What one request asks of DuckDB, step by step, all steps together within a time.

    Only the steps count: a client that reads slowly between two of them loses nothing.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        threads: Executor,
        slots: asyncio.Semaphore,
        seconds: float,
    ) -> None:
        """Do nothing yet.

        Args:
            cursor: Its own; closing it is the caller's business.
            threads: Where steps run.
            slots: How many steps may run at once.
            seconds: How long all steps together may take.
        """
        self._cursor = cursor
        self._threads = threads
        self._slots = slots
        self._seconds = seconds
        self._left = seconds

    async def rows(self, query: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Run a query and return its rows.

        Args:
            query: SQL, with ``$name`` for every value.
            values: The values by name; they are bound, never written into the text.

        Raises:
            duckdb.Error: The query cannot be run.
            ServiceUnavailableException: It takes too long.
        """
        return await self.do(lambda cursor: cursor.execute(parsed(query), dict(values)).fetchall())

    async def do(self, step: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        """Run one step in a worker thread.

        Args:
            step: What to do with the cursor.

        Raises:
            ServiceUnavailableException: The steps take too long.
        """
        begun: list[float] = []

        def stepping() -> Result:
            begun.append(time.monotonic())
            return step(self._cursor)

        async with self._slots:
            if not self._left:
                raise self._too_long()
            loop = asyncio.get_running_loop()
            late = asyncio.Event()

            def look() -> None:
                # Waiting for a thread costs no time of the query's.
                left = self._left - (time.monotonic() - begun[0] if begun else 0)
                if left > 0:
                    timers.append(loop.call_later(left, look))
                    return
                late.set()
                self._cursor.interrupt()

            timers = [loop.call_later(self._left, look)]
            running = loop.run_in_executor(self._threads, stepping)
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                self._cursor.interrupt()
                raise
            except Exception as error:
                if late.is_set():
                    raise self._too_long() from error
                raise
            finally:
                timers[-1].cancel()
                await _ended(running)
                if begun:
                    self._left = max(self._left - (time.monotonic() - begun[0]), 0.0)

    def _too_long(self) -> ServiceUnavailableException:
        return ServiceUnavailableException(
            detail=f"The query took more than {self._seconds:g} seconds; ask for less.",
            headers=RETRY,
        )


def parsed(query: str) -> duckdb.Statement:
    """Parse a query, or take it as it was parsed before: that takes longer than to answer a short one.

    Since values are bound, the questions that are asked are far more than their texts.
    """
    return _keep_parsed(query) if len(query) <= LONGEST_KEPT else _parse(query)


def _parse(query: str) -> duckdb.Statement:
    (statement,) = duckdb.extract_statements(query)
    return statement


_keep_parsed = lru_cache(512)(_parse)


async def _ended(running: asyncio.Future[Any]) -> None:
    """Wait until a thread has left the cursor alone, however often that is cancelled."""
    while not running.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({running})
    running.exception()  # whoever waited has seen it

"""One process that asks DuckDB, as the event loop sees it."""

from __future__ import annotations

import asyncio
import os
import pickle
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple, cast

from litestar.exceptions import ServiceUnavailableException

from api.problems import RETRY
from api.querying.process import LENGTH, frame

ENDED = "The process that asked DuckDB has ended in the middle; there is a new one: ask again."

PATIENCE = 2.0
"""Seconds for a process to end by itself when the server stops."""

ROOT = Path(__file__).parents[2]

INHERITED = re.compile(r"PATH|HOME|LANG|TZ|TMPDIR|VIRTUAL_ENV|(?:LC|LD|DYLD|PYTHON)_?\w*")
"""What the processes get of the environment: where programs are, and no secret."""

ALLOCATION = {
    "GLIBC_TUNABLES": ":".join(
        (
            "glibc.malloc.tcache_count=500",
            f"glibc.malloc.mmap_threshold={32 * 1024**2}",
            f"glibc.malloc.trim_threshold={64 * 1024**2}",
        )
    )
}
"""How the processes keep memory for what comes next. To plan a query DuckDB takes and gives back
thousands of small pieces, of which glibc keeps seven of each size at hand; with more of them a
short question takes about a tenth less time. What is larger than 128 kB it would give back to the
system each time, which has to clear it for the next answer; so a hundred kilobytes of JSON took a
tenth longer. Other libraries ignore all of it.
See https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html."""

BUFFER = 256 * 1024
"""Bytes that are read at most at once; more for an answer that is longer."""

LARGE = 4 * BUFFER
"""Bytes beyond which the buffer does not stay."""


class Done(NamedTuple):
    """What came of a step.

    Attributes:
        result: Its result.
        seconds: How long it took.
    """

    result: Any
    seconds: float


class Process(asyncio.BufferedProtocol):
    """One process, and the answers it owes.

    What it answers is read into one buffer, which stays unless an answer was very long: each copy
    of a long one would keep the event loop from others.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self._buffer = bytearray(BUFFER)
        self._filled = 0
        self._waiting: list[asyncio.Future[Done]] = []
        self._transport: asyncio.Transport | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._heard = 0.0
        self.gone = asyncio.Event()

    async def start(self) -> None:
        """Start it."""
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            command = [sys.executable, "-m", "api.querying", str(fd)]
            given = {k: v for k, v in os.environ.items() if INHERITED.fullmatch(k)}
            self._popen = subprocess.Popen(  # noqa: ASYNC220 -- it takes a millisecond
                command, cwd=ROOT, env=given | ALLOCATION, stdin=subprocess.DEVNULL, pass_fds=[fd]
            )
        ours.setblocking(False)
        await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)

    async def stop(self) -> None:
        """End it: by itself if it does so soon."""
        assert self._popen is not None  # noqa: S101 -- it was started
        if self._transport is not None:
            self._transport.close()
        try:
            await asyncio.to_thread(self._popen.wait, PATIENCE)
        except subprocess.TimeoutExpired:  # it is in the middle of a step
            self.kill()
            self._popen.wait()

    def kill(self) -> None:
        """End it at once, whatever it does."""
        assert self._popen is not None  # noqa: S101 -- it was started
        self._popen.kill()

    @property
    def pid(self) -> int:
        """Its number to the system."""
        assert self._popen is not None  # noqa: S101 -- it was started
        return self._popen.pid

    @property
    def silent(self) -> float:
        """For how many seconds it has owed an answer and given none."""
        return asyncio.get_running_loop().time() - self._heard if self._waiting else 0.0

    @property
    def owed(self) -> int:
        """How many answers it owes."""
        return len(self._waiting)

    def ask(self, *message: object) -> asyncio.Future[Done]:
        """Send a message.

        Returns:
            What will come of it; it raises what the process did, with the ``seconds`` that it took,
            or that it has ended.
        """
        future: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        if self._transport is None or self.gone.is_set():
            future.set_exception(Ended())
        else:
            self._transport.write(frame(message))
            if not self._waiting:
                self._heard = asyncio.get_running_loop().time()
            self._waiting.append(future)
        return future

    def tell(self, *message: object) -> None:
        """Send a message whose answer nobody waits for, be it an error."""
        self.ask(*message).add_done_callback(_pass_over)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; see :class:`asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where to read to; see :class:`asyncio.BufferedProtocol`."""
        del sizehint
        if self._filled >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._buffer)[0]
            self._buffer += bytes(max(end - len(self._buffer), 0))
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Give out the answers that are complete; see :class:`asyncio.BufferedProtocol`."""
        self._filled += nbytes
        begin = 0
        with memoryview(self._buffer) as view:
            while (body := begin + LENGTH.size) <= self._filled:
                end = body + LENGTH.unpack_from(view, begin)[0]
                if end > self._filled:
                    break
                self._give_out(*pickle.loads(view[body:end]))  # noqa: S301 -- of the same program
                begin = end
            if begin:
                left = self._filled - begin
                view[:left] = view[begin : self._filled]
                self._filled = left
        if not self._filled and len(self._buffer) > LARGE:
            self._buffer = bytearray(BUFFER)

    def _give_out(self, result: object, error: Exception | None, seconds: float) -> None:
        self._heard = asyncio.get_running_loop().time()
        future = self._waiting.pop(0)
        if future.done():
            return  # nobody waits any more
        if error is None:
            future.set_result(Done(result, seconds))
        else:
            error.seconds = seconds  # type: ignore[attr-defined]  # for whoever counts the time
            future.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everyone who waits that it has ended."""
        del exc
        self.gone.set()
        for future in self._waiting:
            if not future.done():
                future.set_exception(Ended())
        self._waiting.clear()


def _pass_over(future: asyncio.Future[Done]) -> None:
    """Take note of an error that nobody waits for."""
    if not future.cancelled():
        future.exception()


class Ended(ServiceUnavailableException):
    """A process has ended that owed an answer, or there is none at the moment."""

    def __init__(self) -> None:
        """Say that another one comes."""
        super().__init__(detail=ENDED, headers=RETRY)

"""The processes that ask DuckDB, as the event loop sees them."""

from __future__ import annotations

import asyncio
import itertools
import os
import pickle
import re
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from litestar.exceptions import ServiceUnavailableException
from loguru import logger

from api.problems import RETRY
from api.querying.process import LENGTH, frame
from api.querying.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from litestar import Litestar

PROCESSES = min(max((os.cpu_count() or 1) - 1, 1), 4)
"""How many there are, unless a setting says otherwise: one core is left to the event loop."""

READY = 2
"""How many steps each has at most: one, and one that is there when it ends."""

ENDED = "The process that asked DuckDB has ended in the middle; there is a new one: ask again."

PATIENCE = 2.0
"""Seconds for a process to end by itself when the server stops."""

PAUSE = 0.2
"""Seconds before a process that ended is replaced, so that one that cannot start costs little."""

MEMORY = "512MB"
"""How much memory DuckDB takes in each for a publication, unless a setting says otherwise."""

HUNG_AFTER = 10.0
"""Seconds after which a process is ended that answers nothing, though all its time is over."""

ROOT = Path(__file__).parents[2]

INHERITED = re.compile(r"PATH|HOME|LANG|TZ|TMPDIR|VIRTUAL_ENV|(?:LC|LD|DYLD|PYTHON)_?\w*")
"""What the processes get of the environment: where programs are, and no secret."""


ALLOCATION = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=500"}
"""How the processes keep memory for what comes next. To plan a query DuckDB takes and gives back
thousands of small pieces, of which glibc keeps seven of each size at hand; with more of them a
short question takes about a tenth less time. Other libraries ignore it.
See https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html."""


class Done(NamedTuple):
    """What came of a step.

    Attributes:
        result: Its result.
        seconds: How long it took.
    """

    result: Any
    seconds: float


class Process(asyncio.Protocol):
    """One process, and the answers it owes."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._received = bytearray()
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

    def data_received(self, data: bytes) -> None:
        """Give out the answers that are complete."""
        received = self._received
        received += data
        while len(received) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(received)[0]
            if len(received) < end:
                return
            with memoryview(received) as view:
                result, error, seconds = pickle.loads(view[LENGTH.size : end])  # noqa: S301 -- of the same program
            del received[:end]
            self._heard = asyncio.get_running_loop().time()
            future = self._waiting.pop(0)
            if future.done():
                continue  # nobody waits any more
            if error is None:
                future.set_result(Done(result, seconds))
            else:
                error.seconds = seconds
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


class Processes:
    """All of them. Each has the same publications open; one that ends is replaced."""

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

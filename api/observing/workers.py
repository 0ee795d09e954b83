"""The workers that answer at one address, as each of them knows the others.

Whoever asks for metrics reaches any one of them, so that one asks the others. They meet in a folder
that their parent makes: each has a number there, the lowest that is free, and a socket.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from loguru import logger

from telemetry import Family

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from litestar import Litestar

VARIABLE = "LEADMARTS_WORKERS_FOLDER"
"""Names the folder; without it there is one worker."""

PATIENCE = 2.0
"""Seconds for a worker to answer: one that is just ending, or stuck, must not hold up the others'
figures."""

FRESH = 1.0
"""Seconds for which what the others told is told again: who asks often, as anybody may, must not
make work for all of them each time."""

MOST = 1024
"""How many workers there can be; nobody has so many cores."""


class Workers:
    """All workers, seen from one of them."""

    def __init__(self, read: Callable[[], list[Family]], folder: Path | None = None) -> None:
        """Know nobody yet.

        Args:
            read: Gives this one's figures.
            folder: Where they meet, if there are several.
        """
        self._read = read
        self._folder = folder
        self._number = 0
        self._round: asyncio.Task[dict[str, list[Family]]] | None = None
        self._round_begun = 0.0

    @classmethod
    def from_environment(cls, read: Callable[[], list[Family]]) -> Workers:
        """Take the folder from the environment."""
        folder = os.environ.get(VARIABLE)
        return cls(read, Path(folder) if folder else None)

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Take a number and answer the others while the server runs."""
        try:
            lock = self._take_number() if self._folder else None
            server = await self._listen() if self._folder else None
        except OSError as error:
            logger.warning("The workers cannot meet in {}: {}.", self._folder, error.strerror)
            self._folder = lock = server = None
        try:
            yield
        finally:
            if server is not None:
                server.close()
            if lock is not None:
                os.close(lock)

    def _take_number(self) -> int:
        """Take the lowest number that no other worker has; it is held until this process ends."""
        assert self._folder is not None  # noqa: S101 -- asked by lifespan
        for number in range(MOST):
            lock = os.open(self._folder / f"{number}.lock", os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
            else:
                self._number = number
                return lock
        raise OSError(0, "there are too many")

    async def _listen(self) -> asyncio.Server:
        path = self._socket(self._number)
        path.unlink(missing_ok=True)  # of one that had this number and died
        return await asyncio.start_unix_server(self._answer, path)

    async def _answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(msgspec.msgpack.encode(self._read()))
            await writer.drain()
        writer.close()

    def _socket(self, number: int) -> Path:
        assert self._folder is not None  # noqa: S101 -- only where they meet
        return self._folder / f"{number}.socket"

    async def figures(self) -> dict[str, list[Family]]:
        """Ask all workers for their figures; return them by the worker's number.

        One that does not answer is left out: a gap is honest, a figure of long ago is not. The
        others are asked once a second at most, however many ask here.
        """
        others: dict[str, list[Family]] = {}
        if self._folder is not None:
            now = asyncio.get_running_loop().time()
            if self._round is None or (now - self._round_begun > FRESH and self._round.done()):
                asking = _ask_all(self._others(self._folder))
                self._round, self._round_begun = asyncio.create_task(asking), now
            others = await asyncio.shield(self._round)  # though one of those who wait may leave
        together = {**others, str(self._number): self._read()}
        return dict(sorted(together.items(), key=lambda item: int(item[0])))

    def _others(self, folder: Path) -> list[Path]:
        return [path for path in folder.glob("*.socket") if path.stem != str(self._number)]


async def _ask_all(sockets: list[Path]) -> dict[str, list[Family]]:
    """Ask some workers; return what they answer by their numbers."""
    answers = await asyncio.gather(*map(_ask, sockets))
    return {path.stem: answer for path, answer in zip(sockets, answers, strict=True) if answer}


async def _ask(path: Path) -> list[Family]:
    """Ask one worker; none if there is no such worker any more, or it does not answer."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return msgspec.msgpack.decode(await reader.read(), type=list[Family])
            finally:
                writer.close()
    except (OSError, TimeoutError, msgspec.MsgspecError):
        return []

"""The publications that links lead back to, while a newer one is served."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from litestar.exceptions import ClientException

from api.opened import OpenPublication, open_publication
from api.parameters import given_once, status_of_invalid
from api.quoting import shown
from api.work import SECONDS
from publication import PublicationError, PublicationNotYet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar import Litestar

    from api.querying.pool import Processes
    from api.requests import AnyRequest
    from publication import Manifest, Store

NUMBER = re.compile(r"[1-9]\d*", re.ASCII)

MOST_DIGITS = 30
"""No publication will have a number that is longer."""

OPEN = 4
"""How many are open at once, besides the one that is served."""

OPENING = 2
"""How many are opened at once. To read a file whole takes one of the few threads that all share."""


class Pinned:
    """Publications that are opened when a request names them, and the latest few kept open."""

    def __init__(self, store: Store, processes: Processes, seconds: float = SECONDS) -> None:
        """Open nothing yet.

        Args:
            store: Where the publications are.
            processes: What asks DuckDB.
            seconds: How long what one request asks of a publication may take.
        """
        self._store = store
        self._processes = processes
        self._seconds = seconds
        self._open: OrderedDict[int, OpenPublication] = OrderedDict()
        self._coming: dict[int, asyncio.Task[None]] = {}
        self._opening = asyncio.Semaphore(OPENING)
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Close what is open when the server stops."""
        try:
            yield
        finally:
            coming = list(self._coming.values())
            for opening in coming:
                opening.cancel()
            await asyncio.gather(*coming, return_exceptions=True)
            for number in list(self._open):
                self._let_go(number)
            await asyncio.gather(*self._closing)

    async def get(self, number: int, served: int) -> OpenPublication:
        """Open a publication, or take it if it is open. Lease it before anything is awaited.

        Args:
            number: The publication's.
            served: The number of the one that is served: that and all before it were published,
                whatever has become of the pointer since.

        Raises:
            PublicationError: It is gone, was never there, or is damaged.
        """
        # Asked each time: one that was removed since is gone for every worker alike.
        manifest = await self._look(number, served)
        while number not in self._open:  # others may have come in its place as soon as it was
            await self._opened(number, manifest, served)
        self._open.move_to_end(number)
        return self._open[number]

    async def _look(self, number: int, served: int) -> Manifest:
        """Read a publication's manifest; if that is gone, the publication is let go."""
        try:
            return await asyncio.to_thread(self._manifest, number, served)
        except PublicationError:
            self._let_go(number)
            raise

    async def _opened(self, number: int, manifest: Manifest, served: int) -> None:
        """Wait until a publication has been opened; all who wait for the same one do so together.

        Whoever was first may stop waiting: it is opened for the others all the same.
        """
        if (coming := self._coming.get(number)) is None:
            coming = asyncio.create_task(self._bring(number, manifest, served))
            self._coming[number] = coming
            coming.add_done_callback(lambda done: self._came(number, done))
        await asyncio.shield(coming)

    async def _bring(self, number: int, manifest: Manifest, served: int) -> None:
        """Open a publication, in place of the one that was asked for least lately."""
        async with self._opening:
            try:
                self._open[number] = await open_publication(
                    self._store, manifest, self._processes, self._seconds
                )
            except PublicationError:
                await self._look(number, served)  # which says so if it was removed meanwhile
                raise
        while len(self._open) > OPEN:
            self._let_go(next(iter(self._open)))
        await self._look(number, served)  # it may have been removed meanwhile

    def _came(self, number: int, done: asyncio.Task[None]) -> None:
        """Forget how the opening of a publication ended: whoever waited has been told."""
        del self._coming[number]
        if not done.cancelled():
            done.exception()  # maybe nobody waits any more

    def _manifest(self, number: int, served: int) -> Manifest:
        if number <= served:
            return self._store.manifest(number, served)
        return self._store.manifest(number)  # another worker may serve it already

    def _let_go(self, number: int) -> None:
        if publication := self._open.pop(number, None):
            closing = asyncio.create_task(publication.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


async def chosen(request: AnyRequest, served: OpenPublication) -> OpenPublication:
    """Choose the publication that a request names by its number, or the one that is served.

    Raises:
        ClientException: It names none as it should.
        PublicationError: The one it names is gone, was never there, or is damaged.
    """
    number = numbered(request, "publication")
    if number is None or number == served.manifest.number:
        return served
    return await opened_as(request, number, served)


async def opened_as(request: AnyRequest, number: int, served: OpenPublication) -> OpenPublication:
    """Open the publication with a number, or take it if it is open; raises as :func:`chosen`.

    The answer is not kept with what is served: this publication may be gone before that one is.
    """
    request.scope["state"]["elsewhere"] = True
    pinned: Pinned = request.app.state.pinned
    return await pinned.get(number, served.manifest.number)


def numbered(request: AnyRequest, name: str) -> int | None:
    """Read the number of a publication from the query, if it is there.

    Raises:
        ClientException: It is not one whole number.
        PublicationNotYet: It is far too high.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    given_once(request, name)
    if not NUMBER.fullmatch(text):
        raise ClientException(
            f"{name}={shown(text)} is not a whole number, 1 or more.",
            status_code=status_of_invalid(request),
        )
    if len(text) > MOST_DIGITS:
        raise PublicationNotYet(f"There is no publication {shown(text)}: numbers are shorter.")
    return int(text)

"""Which publication is served, and the watcher that swaps in the next one."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from loguru import logger

from api.kept import Kept
from api.opened import REMEDY, OpenPublication, check_served, open_publication, pointed_to
from api.sight import Sight, look
from api.work import SECONDS
from publication import PublicationError, PublicationHeld
from telemetry import follow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from litestar import Litestar

    from api.querying.pool import Processes
    from publication import Manifest, Store

LOOK_EVERY = 0.25
"""Seconds between two looks at the folder."""

SERVED_AFTER = 1.0
"""Seconds from when something is published until it is served. Workers look at different moments
but can agree on this one, so that a client that meets several of them sees no number go back."""

TRY_AGAIN = 15.0
"""Seconds until a refused publication is tried again though nothing about its files changed: the
reason may have been the machine's, such as too many open files."""

HELD_FOR = 3.0
"""Seconds for which a server that starts waits for a file that another program has open for writing
before it serves an older one: most hold it for a moment, and other workers serve it all the while.
"""


class Refusal(NamedTuple):
    """Why what the pointer names is not served.

    Attributes:
        reason: One sentence.
        sight: What was refused; none if the pointer is missing or cannot be read.
    """

    reason: str
    sight: Sight | None = None


class Serving:
    """The one reference to the publication that answers are made from.

    Attributes:
        store: Where the publications are.
        publication: The one that is served; none until there is a first.
        refusal: Why a newer one is not served, if that is so.
        warm: Called with a new publication before it is swapped in.
        swaps: How many were swapped in.
        failures: How many were refused, or one for how many reasons.
    """

    def __init__(
        self,
        store: Store,
        required: Mapping[str, set[str]],
        processes: Processes,
        seconds: float = SECONDS,
    ) -> None:
        """Serve nothing yet.

        Args:
            store: Where the publications are.
            required: The marts, each with the columns, without which none can be served.
            processes: What asks DuckDB.
            seconds: How long what one request asks of a publication may take.
        """
        self.store = store
        self._required = required
        self._processes = processes
        self._seconds = seconds
        self.publication: OpenPublication | None = None
        self.refusal: Refusal | None = None
        self.warm: Callable[[OpenPublication], Awaitable[None]] | None = None
        self.swaps = 0
        self.failures = 0
        self._served: Sight | None = None
        self._try_again = 0.0
        self._held_since: float | None = None
        self._kept = Kept(store)
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Open the current publication, and watch for the next one while the server runs."""
        await self._look()
        if self.publication is None and self.refusal is None:
            logger.warning(
                "There is no publication in {} yet; `dbt build` makes one, and so does `make run`.",
                self.store.folder,
            )
        watcher = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
            if self.publication is not None:
                await self.publication.close()
            logger.info("Lead Marts stops.")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self._look()

    async def _look(self) -> None:
        """Look; whatever goes wrong, what is served stays and the next look comes.

        A server that starts over what cannot be served falls back to the newest that can, and
        answers as one does that was running all the while.
        """
        sight = None
        try:
            sight = await asyncio.to_thread(look, self.store)
            if sight is None:
                await self._miss()
            elif sight.same_files(self._served):
                self.refusal = None
            elif not self._refused_lately(sight):
                await self._serve(sight)
        except PublicationError as error:
            self._refuse(Refusal(str(error), sight))
            now = asyncio.get_running_loop().time()
            if not isinstance(error, PublicationHeld):
                self._held_since = None
            else:  # perhaps for no longer than a look takes
                self._try_again = now + SERVED_AFTER
                self._held_since = self._held_since or now
        except Exception as error:  # noqa: BLE001 a watcher that dies would serve old numbers for ever
            self._refuse(Refusal(f"It cannot be opened: {error!r}.", sight), error)
        if self.publication is None and self.refusal is not None and not self._just_held():
            with suppress(OSError):  # the refusal says enough
                await self._fall_back(self.refusal)

    async def _miss(self) -> None:
        """There is no pointer: not yet, or not any more."""
        if self.publication is None and not await asyncio.to_thread(self._kept.lost_pointer):
            self.refusal = None
        else:
            pointer = self.store.folder / "current.json"
            self._refuse(Refusal(f"{pointer} is gone; {REMEDY}."))

    async def _fall_back(self, refusal: Refusal) -> None:
        """Serve the newest that can be served, where nothing is, and the current one cannot."""
        pointer = refusal.sight.pointer if refusal.sight else None
        if whole := await self._kept.newest_whole(pointer, self._open):
            self._swap_in(whole, None)
            self.refusal = refusal
            logger.warning(
                "Publication {} is the newest that is whole, and is served until the current one "
                "can be.",
                whole.manifest.number,
            )

    def _just_held(self) -> bool:
        """Tell whether the current one is held by another program, and not for long so far."""
        since = self._held_since
        return since is not None and asyncio.get_running_loop().time() < since + HELD_FOR

    def _refused_lately(self, sight: Sight) -> bool:
        refused = self.refusal is not None and self.refusal.sight == sight
        return refused and asyncio.get_running_loop().time() < self._try_again

    async def _serve(self, sight: Sight) -> None:
        """Open and warm what was seen, and swap it in at the moment when every worker does.

        Raises:
            PublicationError: It cannot be served, and is still what the folder shows.
        """
        loop = asyncio.get_running_loop()
        # Bounded, so that a clock that jumped costs a little patience and no more.
        wait = min(max(sight.since + SERVED_AFTER - time.time(), 0), SERVED_AFTER)
        moment = loop.time() + wait
        begun = time.time_ns()
        try:
            manifest = await asyncio.to_thread(pointed_to, self.store, sight.pointer)
            new = await self._open(manifest)
        except PublicationError:
            if await asyncio.to_thread(look, self.store) == sight:
                raise
            return  # a newer one came, and this one may be gone: the next look sees it
        try:
            await asyncio.sleep(moment - loop.time())
        except BaseException:
            await new.close()
            raise
        with follow("swap", manifest.traceparent, begun, publication=manifest.number):
            self._swap_in(new, sight)

    async def _open(self, manifest: Manifest) -> OpenPublication:
        """Open a publication and warm it.

        Raises:
            PublicationError: It cannot be served.
        """
        check_served(manifest, self._required)
        new = await open_publication(self.store, manifest, self._processes, self._seconds)
        try:
            if self.warm:
                await self.warm(new)
        except BaseException:
            await new.close()
            raise
        return new

    def _refuse(self, refusal: Refusal, unexpected: Exception | None = None) -> None:
        """Remember why; log it, unless that is what was logged last."""
        before, self.refusal = self.refusal, refusal
        self._try_again = asyncio.get_running_loop().time() + TRY_AGAIN
        if before is None or before.reason != refusal.reason:
            self.failures += 1
            logger.bind(
                publication=refusal.sight.pointer.number if refusal.sight else None,
                still_served=self.publication.manifest.number if self.publication else None,
            ).opt(exception=unexpected).error("Publication refused: {}", refusal.reason)

    def _swap_in(self, new: OpenPublication, sight: Sight | None) -> None:
        old, self.publication = self.publication, new
        self._served, self.refusal = sight, None
        self.swaps += 1
        logger.bind(
            publication=new.manifest.number,
            file=new.manifest.file,
            digest=new.manifest.digest,
            built_at=new.manifest.built_at.isoformat(timespec="seconds"),
            before=old.manifest.number if old else None,
        ).info("Publication {} is served now.", new.manifest.number)
        if old is not None:
            closing = asyncio.create_task(old.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

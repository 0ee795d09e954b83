"""Which publication is served, and the watcher that swaps in the next one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from loguru import logger

from api.opened import OpenPublication, open_publication
from publication import PublicationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from litestar import Litestar

    from publication import Pointer, Store

LOOK_EVERY = 1.0
"""Seconds between two looks at the pointer."""

Marks = tuple[tuple[int, int, int] | None, ...]


class Refusal(NamedTuple):
    """Why what the pointer names is not served.

    Attributes:
        reason: One sentence.
        pointer: What was refused; none if the pointer itself cannot be read.
        marks: How its files looked. It is tried again when they look different.
    """

    reason: str
    pointer: Pointer | None
    marks: Marks


class Serving:
    """The one reference to the publication that answers are made from.

    Attributes:
        store: Where the publications are.
        publication: The one that is served; none until there is a first.
        refusal: Why a newer one is not served, if that is so.
        warm: Called with a new publication before it is swapped in.
    """

    def __init__(self, store: Store, required: Mapping[str, set[str]]) -> None:
        """Serve nothing yet.

        Args:
            store: Where the publications are.
            required: The marts, each with the columns, without which none can be served.
        """
        self.store = store
        self._required = required
        self.publication: OpenPublication | None = None
        self.refusal: Refusal | None = None
        self.warm: Callable[[OpenPublication], Awaitable[None]] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Open the current publication, and watch for the next one while the server runs."""
        await self._look_safely()
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

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self._look_safely()

    async def _look_safely(self) -> None:
        """Look; whatever goes wrong, what is served stays and the next look comes."""
        try:
            await self._look()
        except Exception:  # noqa: BLE001 a watcher that dies would serve old numbers for ever
            logger.exception("The watcher failed to look at the publications; it goes on.")

    async def _look(self) -> None:
        try:
            pointer = await asyncio.to_thread(self.store.pointer)
        except PublicationError as error:
            self._refuse(Refusal(str(error), None, ()))
            return
        if pointer is None:
            if self.publication is not None:
                reason = f"{self.store.folder / 'current.json'} is gone."
                self._refuse(Refusal(reason, None, ()))
            return
        if self.publication is not None and self.publication.pointer == pointer:
            self.refusal = None
            return
        marks = await asyncio.to_thread(self._marks, pointer)
        if self.refusal and (self.refusal.pointer, self.refusal.marks) == (pointer, marks):
            return
        try:
            manifest, connection = await asyncio.to_thread(
                open_publication, self.store, pointer, self._required
            )
        except PublicationError as error:
            self._refuse(Refusal(str(error), pointer, marks))
            return
        new = OpenPublication(pointer, manifest, connection)
        try:
            if self.warm:
                await self.warm(new)
        finally:
            self._swap_in(new)

    def _marks(self, pointer: Pointer) -> Marks:
        """What tells whether a refused publication's files were touched since."""
        file = self.store.folder / pointer.file
        marks: list[tuple[int, int, int] | None] = []
        for path in (file, file.with_suffix(".json")):
            try:
                stat = path.stat()
                marks.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
            except OSError:
                marks.append(None)
        return tuple(marks)

    def _refuse(self, refusal: Refusal) -> None:
        if self.refusal != refusal:
            self.refusal = refusal
            served = self.publication.manifest.number if self.publication else None
            logger.bind(
                publication=refusal.pointer.number if refusal.pointer else None, still_served=served
            ).error("Publication refused: {}", refusal.reason)

    def _swap_in(self, new: OpenPublication) -> None:
        old, self.publication, self.refusal = self.publication, new, None
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

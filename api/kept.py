"""What is served when the current publication cannot be: the newest kept one that is whole."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from publication import shelf

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from api.opened import OpenPublication
    from publication import Manifest, Pointer, Store

LOST_AFTER = 1.0
"""Seconds after which a missing pointer is a lost one: the first publication has its manifest a
moment before it has its pointer."""

TRY_AGAIN = 15.0
"""Seconds until all that is kept is tried again; to try one is to read it whole."""


class Kept:
    """The publications that are kept, for a server that has none to serve."""

    def __init__(self, store: Store) -> None:
        """Look at nothing yet.

        Args:
            store: Where the publications are.
        """
        self._store = store
        self._missed_since: float | None = None
        self._try_from = 0.0

    def lost_pointer(self) -> bool:
        """Tell whether there was a pointer, now that there is none. Blocks."""
        now = time.monotonic()
        if not self._store.manifests(shelf.highest(self._store.folder)):
            self._missed_since = None
        elif self._missed_since is None:
            self._missed_since = now
        return self._missed_since is not None and now - self._missed_since >= LOST_AFTER

    async def newest_whole(
        self, refused: Pointer | None, opened: Callable[[Manifest], Awaitable[OpenPublication]]
    ) -> OpenPublication | None:
        """Open the newest that can be served, if there is one, unless that was tried just now.

        Args:
            refused: What is current and cannot be served; none if the pointer cannot be read.
            opened: Opens one, or raises why it cannot be served.
        """
        if time.monotonic() < self._try_from:
            return None
        self._try_from = time.monotonic() + TRY_AGAIN
        for manifest in await asyncio.to_thread(self._older, refused):
            with suppress(Exception):  # whatever it is, an older one may do
                return await opened(manifest)
        return None

    def _older(self, refused: Pointer | None) -> list[Manifest]:
        """Return what may be served instead, newest first.

        Who rolled back did not want what lies between: that is passed over.
        """
        upto = refused.number if refused else shelf.highest(self._store.folder)
        older = []
        for manifest in self._store.manifests(upto):
            if manifest.number > upto:
                continue
            if refused is None or manifest.number != refused.number:
                older.append(manifest)
            if manifest.rolled_back_to is not None:
                upto = manifest.rolled_back_to
        return older

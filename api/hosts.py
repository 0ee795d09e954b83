"""Which names the server answers to."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from litestar.enums import ScopeType

from api.quoting import shown
from api.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.types import ASGIApp, Receive, Scope, Send

HOST = re.compile(r"(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.IGNORECASE | re.ASCII)
"""A name or an address, and perhaps a port (RFC 9110 §7.2)."""

LONGEST = 300
"""Bytes of a host that is looked at: names have at most 253."""

PROBES = frozenset(
    path + slash for path in ("/health/live", "/health/ready", "/metrics") for slash in ("", "/")
)
"""What machines ask by whatever address they know, at any time; it tells nothing of any row."""


class Hosts:
    """An ASGI app that refuses requests for other hosts, and hands all others on.

    It stands behind the layer that answers from what was answered before, which keeps answers by
    the host that they were asked of: what this one refuses is never among them.

    A page whose name was made to lead to this server (DNS rebinding) would be of the same origin,
    and read what is meant for this network only.
    """

    def __init__(
        self, app: ASGIApp, names: Sequence[str], secure: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """Stand in front of an app.

        Args:
            app: The app.
            names: The hosts, in small letters; one without a port stands for all of its ports.
            secure: What a refusal carries as well.
        """
        self._app = app
        self._secure = secure
        self._names = frozenset(names)
        self._known = lru_cache(256)(self._is_known)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI has it."""
        if scope["type"] == ScopeType.HTTP:
            given = [value for name, value in scope["headers"] if name == b"host"]
            # HTTP/1.0 knows no such header, and neither do browsers of that age.
            ours = len(given) == 1 and len(given[0]) <= LONGEST and self._known(given[0])
            if not ours and scope["path"] not in PROBES:
                host = shown(b", ".join(given).decode("latin-1")) or "no host"
                detail = f"This server does not answer for {host}; ask it by its own name."
                for message in refusal(scope, 421, detail, *self._secure):
                    await send(message)
                return
        await self._app(scope, receive, send)

    def _is_known(self, given: bytes) -> bool:
        host = given.decode("latin-1").lower()
        if not HOST.fullmatch(host):
            return False
        return host in self._names or re.sub(r":\d+$", "", host) in self._names

"""The headers by which browsers guard answers: once for all, in each answer as it is made.

The layer in front keeps them with an answer, so that they cost nothing when it goes out again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from litestar.types import Message, Scope

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""What every answer carries, unless it says otherwise itself, as pages do of their policy.

Pages of other origins read answers by CORS, which ``Cross-Origin-Resource-Policy`` lets through;
what it stops is their use as a script, a style or a picture."""

PAGE = b"text/html"


def secure(hsts_seconds: int) -> tuple[tuple[bytes, bytes], ...]:
    """Say what every answer carries as well, refusals too, if clients come by TLS.

    Args:
        hsts_seconds: For how long browsers are to come back by TLS only (RFC 6797); 0 leaves it
            open.
    """
    if not hsts_seconds:
        return ()
    return ((b"strict-transport-security", b"max-age=%d" % hsts_seconds),)


class Protection:
    """Adds them."""

    def __init__(self, hsts_seconds: int) -> None:
        """Choose.

        Args:
            hsts_seconds: As in :func:`secure`.
        """
        self._secure = secure(hsts_seconds)
        # Browsers take it by TLS only, and complain of it otherwise.
        self._pages = [(b"cross-origin-opener-policy", b"same-origin")] if hsts_seconds else []

    async def __call__(self, message: Message, _scope: Scope) -> None:
        """Complete an answer before it is sent; a hook of Litestar's."""
        if message["type"] != "http.response.start":
            return
        headers = list(message["headers"])
        said = dict(headers)
        is_page = said.get(b"content-type", b"").startswith(PAGE)
        wanted = [*HEADERS, *self._secure, *(self._pages if is_page else [])]
        message["headers"] = [*headers, *(line for line in wanted if line[0] not in said)]

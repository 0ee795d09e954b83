"""Which pages of other origins may read answers: the CORS protocol of the Fetch standard."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from litestar.enums import ScopeType

from api.messages import start, whole
from api.protection import HEADERS
from api.quoting import shown
from api.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

    Lines = Sequence[tuple[bytes, bytes]]

EXPOSED: Final = (
    *("Publication", "Publication-Tests", "Last-Modified", "Source-Last-Modified"),
    *("ETag", "Link", "X-Total-Count", "Content-Range", "Preference-Applied"),
    *("Content-Disposition", "Allow", "Retry-After", "X-Request-ID", "WWW-Authenticate"),
    *("RateLimit", "RateLimit-Policy"),
)
"""Headers that pages of other origins may read."""

EXPOSING: Final = (b"access-control-expose-headers", ", ".join(EXPOSED).encode())

VARYING: Final = (b"vary", b"Origin")
"""What every answer varies by at least: whether a page may read it."""

METHODS: Final = b"GET, HEAD, POST, OPTIONS, PUT, PATCH, DELETE"
"""What a page may send: also what is not possible, so that it can read the sentence of the 405."""

REMEMBERED: Final = b"7200"
"""Seconds that a browser remembers a preflight; no browser remembers one for longer than a day."""


class Origins:
    """The origins whose pages may read answers."""

    def __init__(self, origins: Iterable[str]) -> None:
        """Take over the setting.

        Args:
            origins: The origins in small letters; ``*`` is any.
        """
        self._named = frozenset(origin.encode() for origin in origins)
        self._any = b"*" in self._named

    def allowed(self, headers: Mapping[bytes, bytes]) -> bytes | None:
        """What ``Access-Control-Allow-Origin`` says to a request; None if it says nothing.

        Args:
            headers: The request's headers, their names in lower case.
        """
        origin = headers.get(b"origin")
        if origin is None:
            return None
        if self._any:
            return b"*"
        return origin if origin in self._named else None

    def lines(self, scope: Scope) -> Lines:
        """The headers that let the page behind a request read the answer, if it may."""
        allowed = self.allowed(dict(scope["headers"]))
        return () if allowed is None else ((b"access-control-allow-origin", allowed), EXPOSING)

    async def let_read(self, message: Message, scope: Scope) -> None:
        """Add these headers to an answer before it is sent; a hook of Litestar's."""
        if message["type"] == "http.response.start" and (lines := self.lines(scope)):
            message["headers"] = [*message["headers"], *lines]


def is_preflight(scope: HTTPScope) -> bool:
    """Tell whether a browser asks with a request what a page may do."""
    if scope["method"] != "OPTIONS":
        return False
    names = {name for name, _ in scope["headers"]}
    return b"origin" in names and b"access-control-request-method" in names


class Preflights:
    """An ASGI app that answers preflights itself, and hands all other requests on.

    It answers for every path. The request that follows a preflight then gets the status and the
    sentence that it would get without a browser, such as that of a 404.
    """

    def __init__(self, app: ASGIApp, origins: Origins, secure: Lines = ()) -> None:
        """Stand in front of an app.

        Args:
            app: The app.
            origins: Whose pages may read answers.
            secure: What each answer carries as well.
        """
        self._app = app
        self._origins = origins
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI has it."""
        if scope["type"] == ScopeType.HTTP and is_preflight(scope):
            for message in self._answer(scope, dict(scope["headers"])):
                await send(message)
            return
        await self._app(scope, receive, send)

    def _answer(self, scope: HTTPScope, headers: Mapping[bytes, bytes]) -> tuple[Message, Message]:
        allowed = self._origins.allowed(headers)
        if allowed is None:
            origin = shown(headers[b"origin"].decode("latin-1"))
            detail = (
                f"Pages of {origin} may not read this API; the server's setting "
                "LEADMARTS_CORS_ORIGINS names the origins that may."
            )
            return refusal(scope, HTTPStatus.FORBIDDEN, detail, VARYING, *self._secure)
        lines = [
            (b"access-control-allow-origin", allowed),
            (b"access-control-allow-methods", METHODS),
            (b"access-control-max-age", REMEMBERED),
            (b"vary", b"Origin, Access-Control-Request-Headers"),
            *HEADERS,
            *self._secure,
        ]
        # `*` would leave out Authorization, so the headers are named.
        if wanted := headers.get(b"access-control-request-headers"):
            lines.append((b"access-control-allow-headers", wanted))
        return start(HTTPStatus.NO_CONTENT, lines), whole(b"")

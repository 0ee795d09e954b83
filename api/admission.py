"""How many requests are worked on, and what becomes of those beyond."""

from __future__ import annotations

import math
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from litestar.enums import ScopeType
from loguru import logger

from api.auth.routes import PATHS as SIGNING_IN
from api.cors import VARYING, is_preflight
from api.hosts import PROBES
from api.refusals import SOON, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.types import (
        ASGIApp,
        HTTPResponseStartEvent,
        HTTPScope,
        Message,
        Receive,
        Scope,
        Send,
    )

    from api.cors import Origins
    from api.observing.traffic import Traffic
    from api.pace import Pace

ELSEWHERE = PROBES | {path + slash for path in SIGNING_IN for slash in ("", "/")}
"""What takes no place. Signing in asks DuckDB nothing, takes long by intent, and has bounds of its
own: how often, and how many passwords are checked at once."""

PASSING = 32
"""How many long answers are sent beside the requests that are worked on: whoever reads slowly takes
no place from others. One more is refused, although its first part is made."""

LONG = {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}
"""The statuses of answers that may be long."""

NO_ROOM = 503
"""The status of what there is no room for."""

FULL = "The server has as much to do as it takes on; ask again in a second."

BURST = 32
"""How many more are let in for a moment: a page that asks for much at once is no overload."""

MOMENT = 0.25
"""Seconds that a burst may last."""

REST = 1.0
"""Seconds from one burst to the next."""

SAY_EVERY = 1.0
"""Seconds between two lines of the log about refusals: a line each would be work as well."""


class Admission:
    """An ASGI app that counts the requests that are in it, and says which others are refused.

    The layer that answers from what was answered before asks first whether a request is refused,
    so that kept answers need no admission, and a refusal costs next to nothing: an overloaded
    server works for those it let in.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- what it stands in front of, and beside
        self,
        app: ASGIApp,
        most: int,
        pace: Pace,
        traffic: Traffic,
        origins: Origins,
        secure: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """Stand in front of an app.

        Args:
            app: The app.
            most: How many requests may be in it at once, for longer than a moment.
            pace: How they follow on each other.
            traffic: Who counts the others.
            origins: Whose pages may read a refusal.
            secure: What a refusal carries as well.
        """
        self._app = app
        self._most = most
        self._pace = pace
        self._traffic = traffic
        self._crowded_since = -math.inf  # since when there are as many, but for short rests
        self._crowded_until = -math.inf
        self._origins = origins
        self._secure = secure
        self._inside = 0
        self._passing = 0
        self._said = 0
        self._say_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI has it."""
        if scope["type"] != ScopeType.HTTP or scope["path"] in ELSEWHERE or _own(scope):
            await self._app(scope, receive, send)
        else:
            await self._let_in(scope, receive, send)

    def refuse(self, scope: HTTPScope) -> tuple[Message, ...]:
        """Say whether there is room for a request.

        Returns:
            What it is answered if there is none; nothing if it may come in.
        """
        if not self._is_full() or scope["path"] in ELSEWHERE or is_preflight(scope):
            return ()  # a preflight takes no place; were it refused, a page could not read why
        self._traffic.turn_away(scope["method"], NO_ROOM)
        return self._refusal(scope, self._inside)

    def _refusal(self, scope: HTTPScope, answered: int) -> tuple[Message, ...]:
        self._traffic.refused += 1
        self._say(answered)
        lines = (SOON, VARYING, *self._secure, *self._origins.lines(scope))
        return refusal(scope, NO_ROOM, FULL, *lines)

    def _is_full(self) -> bool:
        if self._inside < self._most:
            return False
        return self._inside >= self._most + BURST or time.monotonic() - self._crowded_since > MOMENT

    def _enter(self) -> None:
        self._inside += 1
        if self._inside == self._most and time.monotonic() - self._crowded_until > REST:
            self._crowded_since = time.monotonic()

    def _leave(self) -> None:
        if self._inside == self._most:
            self._crowded_until = time.monotonic()
        self._inside -= 1

    async def _let_in(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        self._enter()
        passes = refused = False

        async def send_on(message: Message) -> None:
            nonlocal passes, refused
            if message["type"] == "http.response.start" and _is_long(scope, message):
                if self._passing < PASSING:
                    passes = True
                    self._leave()
                    self._passing += 1
                else:
                    refused = True
                    await scope["state"]["passing"].aclose()  # so that no more of it is made
                    for instead in self._refusal(scope, self._passing):
                        await send(instead)
            if not refused:
                await send(message)

        try:
            await self._pace.turn()
            await self._app(scope, receive, send_on)
        finally:
            if passes:
                self._passing -= 1
            else:
                self._leave()

    def _say(self, answered: int) -> None:
        """Log that requests are refused, and how many were since that was logged last."""
        if (now := time.monotonic()) >= self._say_at:
            refused = self._traffic.refused
            since, self._said = refused - self._said, refused
            self._say_at = now + SAY_EVERY
            logger.bind(refused=since).warning(
                "Requests are refused: {} are being answered, as many as may be.", answered
            )


def _is_long(scope: HTTPScope, start: HTTPResponseStartEvent) -> bool:
    """Tell whether the content that follows is sent while it is made."""
    state = scope["state"]
    return bool(state.get("passing")) and not state.get("head") and start["status"] in LONG


def _own(scope: HTTPScope) -> bool:
    """Tell whether the layer in front asks by itself, to have answers ready."""
    return bool(scope.get("state", {}).get("trusted"))

"""The framework, as the layer in front of it asks it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from api.answers import Answer
from api.negotiation import choose_coding, compress
from api.observing.traffic import NO_ROUTE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.types import ASGIApp, HTTPResponseStartEvent, HTTPScope, Message, Receive, Send

    from api.observing.traffic import Tallies
    from api.opened import OpenPublication
    from api.shelf import Key

COMPRESSING = 2
"""How many answers are compressed at once."""

KEPT = {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}
"""The statuses of answers that are kept, if they have an entity tag."""


class Framework:
    """What answers when no kept answer does.

    Its answer is kept if it is a 200 or a 206 with an entity tag that anyone may cache
    (``public``), or that a permission was needed for.

    The scope's state is how both talk. Handlers find the publication, or None, as ``publication``.
    A request comes once more with ``acceptable`` as False if its answer was found to have no coding
    that the client takes. Who asks for a permission says in ``permission`` which scopes that takes,
    and lets through what is asked without a client (``trusted``). What a handler read in another
    publication (``elsewhere``) is not kept. A handler whose answer is too long to be kept leaves
    what makes its parts in ``passing``, to be closed here, and says if it cannot go on
    (``broken``); it learns whether only its head is asked for (``head``): to the framework every
    such request is a GET. It is told to ``settle`` that others wait for an answer that is not for
    them. What is logged meanwhile belongs to the ``exchange``, and so does what is learnt of the
    ``route``.
    """

    def __init__(self, app: ASGIApp, tallies: Tallies) -> None:
        """Ask nothing yet.

        Args:
            app: The framework's app.
            tallies: Where it is counted how often each answer goes out.
        """
        self._app = app
        self._tallies = tallies
        # Of its own: what follows the publications must not wait behind answers.
        self._compressing = ThreadPoolExecutor(COMPRESSING, "compress")

    async def pass_on(
        self, scope: HTTPScope, said: Mapping[str, object], receive: Receive, send: Send
    ) -> None:
        """Let it answer a request whose answer is not kept.

        Args:
            scope: The request.
            said: What the state says of it.
            receive: Where its body comes from.
            send: Where the answer goes.
        """
        await self._ask(_with_state(scope, **said), scope["method"], receive, send)

    async def answer(
        self,
        scope: HTTPScope,
        said: Mapping[str, object],
        key: Key,
        receive: Receive,
        send: Send,
    ) -> Answer | None:
        """Let it answer a GET or a HEAD, and keep the answer if that may be.

        Args:
            scope: The request.
            said: What the state says of it.
            key: What its answer is kept under.
            receive: Where its body comes from.
            send: Where an answer goes that is not to be kept.

        Returns:
            What is to be sent; None if it was.
        """
        asked = _with_state(scope, **said)
        state = asked["state"]
        publication: OpenPublication | None = state["publication"]
        reply = _Reply(send, asked)
        try:
            await self._ask(asked, "GET", receive, reply)
        except Exception:
            if not state["broken"]:
                raise
            if exchange := state["exchange"]:
                exchange.broken = True
            return None  # without its end the client sees that the answer broke off
        finally:
            if passing := state["passing"]:
                await passing.aclose()  # though the client may have left in the middle
        if reply.start is None:
            return None
        accepted = key.headers.get(b"accept-encoding")
        coding = choose_coding(
            None if accepted is None else accepted.decode("latin-1"), len(reply.body)
        )
        if coding is None:
            needed = state["permission"]
            refused = _with_state(scope, **said, acceptable=False, permission=needed)
            await self._ask(refused, "GET", receive, _Reply(send, refused))
            return None
        body = reply.body
        if coding != "identity":
            loop = asyncio.get_running_loop()
            body = await loop.run_in_executor(self._compressing, compress, body, coding)
        status, lines = reply.start["status"], list(reply.start["headers"])
        answer = Answer(
            status,
            lines,
            body,
            coding,
            self._tallies,
            state["route"],
            state["permission"],
        )
        if publication is not None and not state["elsewhere"]:
            publication.answers.keep(key, answer)
        return answer

    async def _ask(self, scope: HTTPScope, method: str, receive: Receive, send: Send) -> None:
        publication: OpenPublication | None = scope["state"]["publication"]
        asked = cast("HTTPScope", {**scope, "method": method})
        try:
            with publication.leases if publication else nullcontext():
                await self._app(asked, receive, send)
        finally:
            state = scope["state"]
            state["route"] = asked.get("path_template") or NO_ROUTE
            if exchange := state["exchange"]:
                exchange.route = state["route"]


class _Reply:
    """What the framework sends to: holds back an answer to be kept, lets all others through."""

    def __init__(self, send: Send, asked: HTTPScope) -> None:
        self.start: HTTPResponseStartEvent | None = None
        self.body = b""
        self._send = send
        self._asked = asked

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._may_be_kept(message):
            self.start = message
        elif message["type"] != "http.response.body":
            if settle := self._asked["state"]["settle"]:
                settle()  # whoever asks the same must not wait until this client has taken all
            await self._send(message)
        elif self.start is not None:
            self.body += message["body"]
        elif self._asked["method"] == "HEAD":
            await self._send({**message, "body": b""})
        else:
            await self._send(message)

    def _may_be_kept(self, start: HTTPResponseStartEvent) -> bool:
        headers = dict(start["headers"])
        if start["status"] not in KEPT or b"etag" not in headers:
            return False
        if self._asked["state"]["passing"] is not None:
            return False
        guarded = self._asked["state"]["permission"] is not None
        return guarded or headers.get(b"cache-control", b"").startswith(b"public")


def _with_state(scope: HTTPScope, **state: object) -> HTTPScope:
    """Copy a scope, and say more in its state."""
    said = {
        "permission": None,
        "passing": None,
        "elsewhere": False,
        "broken": False,
        "head": False,
        "exchange": None,
        "settle": None,
        "route": NO_ROUTE,
        **scope.get("state", {}),
        **state,
    }
    return cast("HTTPScope", {**scope, "state": said})

"""The layer in front of the framework: a small HTTP cache whose entries die with a publication.

Handlers say what an answer is; this layer knows how answers travel. Here, once for all routes,
are content coding, conditional requests and HEAD. What was answered before goes out again as
ready-made messages, without the framework.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Final, cast

from litestar.enums import ScopeType

from api.admission import ELSEWHERE
from api.answers import KEYED, Answer, Answers
from api.negotiation import choose_coding, compress, merge_repeated
from api.observing.traffic import NO_ROUTE, Answered, Exchange, tell_of_hit
from api.request_ids import request_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from litestar.types import (
        ASGIApp,
        HTTPDisconnectEvent,
        HTTPResponseStartEvent,
        HTTPScope,
        Message,
        Receive,
        Scope,
        Send,
    )

    from api.answers import Key
    from api.auth.bearer import Bearer
    from api.observing.traffic import Traffic
    from api.opened import OpenPublication
    from api.serving import Serving

    Refuse = Callable[[HTTPScope], Iterable[Message]]

HTTP: Final = ScopeType.HTTP
"""Here once: to find an enumeration's member takes as long as to find a kept answer."""

WARMED = 32
"""How many of the latest answers a new publication has ready before it is swapped in."""

WARMING = 5.0
"""Seconds after which it is swapped in although some of them are not ready."""

COMPRESSING = 2
"""How many answers are compressed at once."""

KEPT = {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}
"""The statuses of answers that are kept, if they have an entity tag."""


class HotPath:
    """An ASGI app that answers from what was answered before, and asks the framework for the rest.

    An answer is kept if it is a 200 or a 206 with an entity tag that anyone may cache (``public``),
    or that a guard let through for some scopes: then it goes out again only with a token that has
    them and was verified before. It is kept with the publication that was served when it was asked
    for, even if a newer one was swapped in meanwhile; what a handler read in another one
    (``elsewhere``) is not kept. Whoever asks for it while it is made waits for it.

    The scope's state is how this layer and the framework talk. Handlers find the publication, or
    None, as ``publication``. A request comes once more with ``acceptable`` as False if its answer
    was found to have no coding that the client takes. A guard says in ``permission`` which scopes
    it asked for, and lets through what this layer asks by itself (``trusted``). A handler whose
    answer is too long to be kept leaves what makes its parts in ``passing``, to be closed here,
    and says if it cannot go on (``broken``); it learns whether only its head is asked for
    (``head``): to the framework every request is a GET. What is logged meanwhile belongs to the
    ``exchange``, and so does what this layer learns of the ``route``.
    """

    def __init__(
        self,
        app: ASGIApp,
        serving: Serving,
        bearer: Bearer,
        traffic: Traffic,
        refuse: Refuse = lambda _scope: (),
    ) -> None:
        """Stand in front of the framework.

        Args:
            app: The framework's app.
            serving: What is served. It gets its warm-up from here.
            bearer: Who remembers which tokens are good.
            traffic: Who counts the requests.
            refuse: What a request is answered at once that there is no room for.
        """
        self._refuse = refuse
        self._app = app
        self._serving = serving
        self._permits = bearer.permits
        self._traffic = traffic
        # Of its own: what follows the publications must not wait behind answers.
        self._compressing = ThreadPoolExecutor(COMPRESSING, "compress")
        serving.warm = self._warm

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI has it."""
        if scope["type"] != HTTP:
            await self._app(scope, receive, send)
            return
        begun = perf_counter()
        publication = self._serving.publication
        method = scope["method"]
        lines: list[tuple[bytes, bytes]] = scope["headers"]  # type: ignore[assignment]  # it is one
        if method != "GET":
            if method != "HEAD":
                await self._answer_anew(scope, dict(lines), None, begun, receive, send)
                return
            # It asks about the whole, whatever its range (RFC 9110 §14.2).
            lines = [line for line in lines if line[0] != b"range"]
            scope = cast("HTTPScope", {**scope, "headers": lines})
        headers = dict(lines)
        if len(headers) != len(lines):
            headers = merge_repeated(lines)
        key = (
            scope["path"],
            scope["query_string"],
            headers.get(b"accept-encoding"),
            headers.get(b"origin"),
            headers.get(b"accept"),
            headers.get(b"accept-profile"),
            headers.get(b"range"),
            headers.get(b"prefer"),
            headers.get(b"host"),
        )
        answer = publication.answers.get(key) if publication else None
        if answer is not None:
            answer.used = begun
        else:
            answer = await self._awaited(scope["path"], headers, key)
        if answer is None or (
            (needed := answer.permission) is not None and not self._permits(headers, needed)
        ):
            await self._answer_anew(scope, headers, key, begun, receive, send)
            return
        start, body, tally = answer.reply(method, headers.get(b"if-none-match"))
        traffic = self._traffic
        given, chosen = headers.get(b"x-request-id"), traffic.chosen()
        if chosen or given is not None:  # else the id would be found in no log
            name = request_id(given)
            start = {**start, "headers": [*start["headers"], (b"x-request-id", name)]}
        await send(start)
        await send(body)
        seconds = perf_counter() - begun
        tally.add(seconds)
        traffic.hits += 1
        if chosen:
            answered = Answered(method, answer.route, start["status"], seconds, kept=True)
            tell_of_hit(scope["path"], headers, answered, name)

    async def _awaited(self, path: str, headers: Mapping[bytes, bytes], key: Key) -> Answer | None:
        """Wait for the answer to another request that asks the same, if there is one.

        Nobody waits with a token that is not known to be good, nor for what is asked of the server
        itself: what comes of that is for nobody else.
        """
        publication = self._serving.publication
        coming = publication.answers.coming(key) if publication else None
        if coming is None or path in ELSEWHERE:
            return None
        if b"authorization" in headers and not self._permits(headers, frozenset()):
            return None
        await coming.wait()
        if coming.answer is not None:
            return coming.answer
        # Meanwhile another may have had more luck, or a new publication have it ready.
        publication = self._serving.publication
        return publication.answers.get(key) if publication else None

    async def _answer_anew(  # noqa: PLR0913, PLR0917 -- what is known of a request
        self,
        scope: HTTPScope,
        headers: Mapping[bytes, bytes],
        key: Key | None,
        begun: float,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer what no kept answer is for; without a key the new one cannot be kept either."""
        method, publication = scope["method"], self._serving.publication
        if refused := self._refuse(scope):
            for message in refused:
                await send(message)
            return  # it is one of very many, so there is nothing more to be said of it
        with Exchange(self._traffic, scope, headers, send, publication, begun) as exchange:
            said = {"publication": publication, "exchange": exchange, "head": method == "HEAD"}
            if key is None:
                await self._ask(_with_state(scope, **said), method, receive, exchange.send)
                return
            self._traffic.misses += 1
            # Without a publication nobody finds it there to wait for.
            answers, answer = publication.answers if publication else Answers(), None
            settle = partial(answers.settle, key, answers.announce(key))
            try:
                made = {**said, "settle": settle}
                answer = await self._compute(scope, made, key, receive, exchange.send)
            finally:
                settle(answer)
            if answer is not None:
                start, body, _ = answer.reply(method, headers.get(b"if-none-match"))
                await exchange.send(start)
                await exchange.send(body)

    async def _compute(
        self,
        scope: HTTPScope,
        said: Mapping[str, object],
        key: Key,
        receive: Receive,
        send: Send,
    ) -> Answer | None:
        """Ask the framework; return what it answers, or None if that is not to be kept and sent."""
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
        accepted = key[2].decode("latin-1") if key[2] is not None else None
        coding = choose_coding(accepted, len(reply.body))
        if coding is None:
            refused = _with_state(scope, **said, acceptable=False)
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
            self._traffic.tallies,
            state["route"],
            state["permission"],
        )
        if publication is not None and not state["elsewhere"]:
            publication.answers.keep(key, answer)
        return answer

    async def _ask(
        self,
        scope: HTTPScope,
        method: str,
        receive: Receive,
        send: Send,
    ) -> None:
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

    async def _warm(self, new: OpenPublication) -> None:
        """Answer from a new publication what was lately asked of the one that is served."""
        if (served := self._serving.publication) is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(WARMING):
                for key in reversed(served.answers.recent(WARMED)):
                    # What is asked of one publication by its number is not asked of the next.
                    if b"publication=" not in key[1]:
                        said = {"publication": new, "head": True}
                        await self._compute(_request(key), said, key, _nothing, _nowhere)


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


def _request(key: Key) -> HTTPScope:
    """The scope of a request that would be answered by what is kept under a key.

    Only for the head: an answer that became too long to be kept need not be made to its end.
    """
    path, query, *values = key
    named = zip(KEYED, values, strict=True)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "HEAD",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": [(name, value) for name, value in named if value is not None],
        "client": None,
        "server": None,
        "extensions": None,
        "state": {"trusted": True},
    }
    return cast("HTTPScope", scope)


async def _nothing() -> HTTPDisconnectEvent:
    return {"type": "http.disconnect"}


async def _nowhere(message: Message) -> None:
    """Drop an answer that is not kept: nobody waits for it."""

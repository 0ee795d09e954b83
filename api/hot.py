"""The layer in front of the framework: a small HTTP cache whose entries die with a publication.

Handlers say what an answer is; this layer knows how answers travel. Here, in `api/framework.py` and
in `api/answers.py`, once for all routes, are content coding, conditional requests and HEAD. What
was answered before goes out again as ready-made messages, without the framework.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final, cast

from litestar.enums import ScopeType

from api.admission import ELSEWHERE
from api.framework import Framework
from api.heads import Hit
from api.messages import named
from api.negotiation import merge_repeated
from api.observing.traffic import Answered, Exchange, tell_of_hit
from api.request_ids import request_id
from api.shelf import Key, Shelf
from api.warming import warm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

    from api.answers import Answer, Head
    from api.auth.bearer import Bearer
    from api.observing.traffic import Traffic
    from api.serving import Serving

    Refuse = Callable[[HTTPScope], Iterable[Message]]

HTTP: Final = ScopeType.HTTP
"""Here once: to find an enumeration's member takes as long as to find a kept answer."""


class HotPath:
    """An ASGI app that answers from what was answered before, and asks the framework for the rest.

    What was let through for some scopes goes out again only with a token that has them and was
    verified before. An answer is kept with the publication that was served when it was asked for,
    even if a newer one was swapped in meanwhile. Whoever asks for it while it is made waits for it.
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
        self._framework = Framework(app, traffic.tallies)
        self._serving = serving
        self._permits = bearer.permits
        self._traffic = traffic
        serving.warm = partial(warm, self._framework, serving)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI has it."""
        if scope["type"] != HTTP:
            await self._app(scope, receive, send)
            return
        begun = perf_counter()
        publication = self._serving.publication
        lines: list[tuple[bytes, bytes]] = scope["headers"]  # type: ignore[assignment]  # it is one
        head = (scope["method"], scope["raw_path"], scope["query_string"], tuple(lines))
        hit = publication.answers.heads.get(head) if publication else None
        if hit is None or (
            (needed := hit.answer.permission) is not None and not self._permits(hit.headers, needed)
        ):
            hit = await self._read(scope, head, begun, receive, send)
            if hit is None:
                return  # it has its answer
        answer, headers, name, start, body, tally = hit
        if begun > answer.used:  # noqa: PLR1730 -- max() takes longer; not if it waited for it
            answer.used = begun
        traffic = self._traffic
        chosen = traffic.chosen()
        if chosen and not name:
            name = request_id()
            start = named(start, name)
        await send(start)
        await send(body)
        seconds = perf_counter() - begun
        tally.add(seconds)
        traffic.hits += 1
        if chosen:
            answered = Answered(scope["method"], answer.route, start["status"], seconds, kept=True)
            tell_of_hit(scope["path"], headers, answered, name)

    async def _read(
        self, scope: HTTPScope, head: Head, begun: float, receive: Receive, send: Send
    ) -> Hit | None:
        """Read a request that did not come before as it is, and find its answer or have it made.

        Returns:
            How it is answered; nothing if it has been.
        """
        method, raw_path, query, lines = head
        # A path with %2F is another path, though it decodes to the same text as one with a slash.
        slashed = b"%2" in raw_path and b"%2F" in raw_path.upper()
        if slashed or method not in {"GET", "HEAD"}:
            await self._answer_anew(scope, dict(lines), None, begun, receive, send)
            return None
        if method == "HEAD":
            # It asks about the whole, whatever its range (RFC 9110 §14.2).
            lines = tuple([line for line in lines if line[0] != b"range"])
            scope = cast("HTTPScope", {**scope, "headers": list(lines)})
        headers = dict(lines)
        if len(headers) != len(lines):
            headers = merge_repeated(lines)
        key = Key.of(scope["path"], query, headers)
        publication = self._serving.publication
        kept = publication.answers.get(key) if publication else None
        answer = kept or await self._awaited(key, headers)
        if answer is None or (
            (needed := answer.permission) is not None and not self._permits(headers, needed)
        ):
            await self._answer_anew(scope, headers, key, begun, receive, send)
            return None
        start, body, tally = answer.reply(method, headers.get(b"if-none-match"))
        name = b""
        if (given := headers.get(b"x-request-id")) is not None:
            name = request_id(given)
            start = named(start, name)
        hit = Hit(answer, headers, name, start, body, tally)
        if publication and kept:
            publication.answers.heads.keep(head, hit)
        return hit

    async def _awaited(self, key: Key, headers: Mapping[bytes, bytes]) -> Answer | None:
        """Wait for the answer to another request that asks the same, if there is one.

        Nobody waits with a token that is not known to be good, nor for what is asked of the server
        itself: what comes of that is for nobody else.
        """
        publication = self._serving.publication
        coming = publication.answers.coming(key) if publication else None
        if coming is None or key.path in ELSEWHERE:
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
        number = publication.manifest.number if publication else None
        with Exchange(self._traffic, scope, headers, send, number, begun) as exchange:
            said = {"publication": publication, "exchange": exchange, "head": method == "HEAD"}
            if key is None:
                await self._framework.pass_on(scope, said, receive, exchange.send)
                return
            self._traffic.misses += 1
            # Without a publication nobody finds it there to wait for.
            answers, answer = publication.answers if publication else Shelf(), None
            settle = partial(answers.settle, key, answers.announce(key))
            try:
                made = {**said, "settle": settle}
                answer = await self._framework.answer(scope, made, key, receive, exchange.send)
            finally:
                settle(answer)
            if answer is not None:
                start, body, _ = answer.reply(method, headers.get(b"if-none-match"))
                await exchange.send(start)
                await exchange.send(body)

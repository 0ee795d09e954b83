"""The check of a request's head: text that is no UTF-8, paths of two meanings, too much of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from litestar.enums import ScopeType

from api.cors import VARYING
from api.hosts import PROBES
from api.negotiation import LONGEST_FIELD, merge_repeated
from api.quoting import shown
from api.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

    from api.cors import Origins

READ = frozenset(
    {
        *(b"accept", b"accept-encoding", b"accept-profile", b"content-type"),
        *(b"access-control-request-headers", b"access-control-request-method"),
        *(b"host", b"if-none-match", b"origin", b"prefer", b"range", b"traceparent"),
    }
)
"""The header fields that something reads, but for tokens, which have a bound where they are read.
What else clients and proxies send is passed over."""

MOST_ELEMENTS = 100
"""How many elements a list in one of them has."""

MOST_PARAMETERS = 1_000
"""How many parameters a query has: 500 conditions, or all filters that a link can repeat."""

LONGEST_PATH = 1_000
"""Bytes of a path, as it was sent: a mart's name has at most 200."""


class Wrong(NamedTuple):
    """What is wrong with a request: the status that says so, and one sentence."""

    status: int
    sentence: str


class Gate:
    """An ASGI app that refuses requests whose head is wrong, and hands all others on.

    It stands behind the layer that answers from what was answered before, so a kept answer costs
    nothing here. What this one refuses by path or query is never answered there: it is not kept,
    and paths are looked up as they were sent. Long header fields are different: a request with
    them gets an answer that is kept, and is refused only if the answer has to be made.
    """

    def __init__(
        self,
        app: ASGIApp,
        origins: Origins,
        secure: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        """Stand in front of an app.

        Args:
            app: The app.
            origins: Whose pages may read a refusal.
            secure: What a refusal carries as well.
        """
        self._app = app
        self._origins = origins
        self._secure = tuple(secure)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI has it."""
        if scope["type"] == ScopeType.HTTP and (wrong := wrong_with(scope)):
            more = (VARYING, *self._secure, *self._origins.lines(scope))
            for message in refusal(scope, wrong.status, wrong.sentence, *more):
                await send(message)
            return
        await self._app(scope, receive, send)


def wrong_with(scope: HTTPScope) -> Wrong | None:
    """Say what is wrong with a request's head, if something is."""
    raw: bytes | None = scope.get("raw_path")
    path = quote(scope["path"]).encode() if raw is None else raw
    fields = {} if scope["path"] in PROBES else merge_repeated(scope["headers"])
    return (
        _wrong_with_fields(fields)
        or _wrong_with_path(path)
        or _wrong_with_query(scope["query_string"])
    )


def _wrong_with_fields(fields: dict[bytes, bytes]) -> Wrong | None:
    for name in READ & fields.keys():
        value = fields[name]
        called = name.decode().title()
        if len(value) > LONGEST_FIELD:
            return Wrong(
                431,
                f"The header field {called} has {len(value):,} bytes and may have "
                f"{LONGEST_FIELD:,}; send a shorter one.",
            )
        if len(value) > MOST_ELEMENTS and value.count(b",") >= MOST_ELEMENTS:
            return Wrong(
                431,
                f"The header field {called} has {value.count(b',') + 1:,} elements and may have "
                f"{MOST_ELEMENTS}; send fewer.",
            )
    return None


def _wrong_with_path(path: bytes) -> Wrong | None:
    if not _is_text(path):
        return Wrong(400, _no_text("path", path))
    if len(path) > LONGEST_PATH:
        return Wrong(404, "There is nothing at a path that is so long; /docs lists what there is.")
    if b"//" in path or b"%2f" in path.lower():
        return Wrong(
            404,
            f"There is nothing at {shown(path.decode())}: write one slash between the parts of a "
            "path, and none as %2F; /docs lists what there is.",
        )
    return None


def _wrong_with_query(query: bytes) -> Wrong | None:
    if (count := query.count(b"&") + 1) > MOST_PARAMETERS:
        return Wrong(
            400, f"The query has {count:,} parameters and may have {MOST_PARAMETERS:,}; send fewer."
        )
    if not _is_text(query):
        first = next(part for part in query.split(b"&") if not _is_text(part))
        return Wrong(400, _no_text("query", first))
    return None


def _is_text(sent: bytes) -> bool:
    """Tell whether what was sent is ASCII, and what it means UTF-8."""
    if b"%" not in sent:
        return sent.isascii()
    try:
        unquote_to_bytes(sent).decode()
    except UnicodeDecodeError:
        return False
    return sent.isascii()


def _no_text(what: str, sent: bytes) -> str:
    return (
        f"The {what} has bytes that are not UTF-8, in {shown(quote(sent, safe='/%=+'))}; write é "
        "as %C3%A9."
    )

"""What caches are told of an answer: ``Vary`` and ``Cache-Control``, once for all routes."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from litestar.types import Message, Scope

NO_STORE = {"Cache-Control": "no-store"}
"""What an answer says that nobody may keep."""

GUARDED = b"private, no-cache"
"""``Cache-Control`` of answers that needed a permission. Only the client itself may keep one, and
asks before each use: a permission may have been withdrawn."""


async def tell_caches(message: Message, scope: Scope) -> None:
    """Complete ``Vary`` and ``Cache-Control`` of an answer before it is sent, whatever it is.

    A hook of Litestar's, and the last one. A route names in its ``opt`` as ``vary`` what its
    answers depend on besides the coding, the origin and the token. Handlers write
    ``Cache-Control`` as if everybody might read the answer; no handler has to know whether a
    permission was needed.
    """
    if message["type"] != "http.response.start":
        return
    said = dict(message["headers"])
    handler = scope.get("route_handler")
    guarded = scope["state"].get("permission") is not None
    coded = b"etag" in said or message["status"] == HTTPStatus.NOT_ACCEPTABLE
    own = (said.get(b"vary", b"").decode("latin-1"), handler.opt.get("vary", "") if handler else "")
    said[b"vary"] = varying(own, coded=coded, guarded=guarded)
    if guarded and said.get(b"cache-control", b"").startswith(b"public"):
        said[b"cache-control"] = GUARDED
    kept = [line for line in message["headers"] if line[0] not in {b"vary", b"cache-control"}]
    told = [(name, said[name]) for name in (b"cache-control", b"vary") if name in said]
    message["headers"] = [*kept, *told]


@lru_cache(64)
def varying(own: tuple[str, ...], *, coded: bool, guarded: bool) -> bytes:
    """The value of ``Vary``. Names are only ever added.

    Args:
        own: What the handler, the framework and the route say.
        coded: Whether the answer depends on the codings that the client takes.
        guarded: Whether it depends on the token.
    """
    names = {name.strip() for part in own for name in part.split(",")} - {""}
    names |= {"Origin"}
    names |= {"Accept-Encoding"} if coded else set()
    names |= {"Authorization"} if guarded else set()
    return ", ".join(sorted(names)).encode("latin-1")

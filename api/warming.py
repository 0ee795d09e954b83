"""Answers of a new publication, made ready before it is swapped in."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from litestar.types import HTTPDisconnectEvent, HTTPScope, Message

    from api.framework import Framework
    from api.opened import OpenPublication
    from api.serving import Serving
    from api.shelf import Key

WARMED = 32
"""How many of the latest answers a new publication has ready before it is swapped in."""

WARMING = 5.0
"""Seconds after which it is swapped in although some of them are not ready."""


async def warm(framework: Framework, serving: Serving, new: OpenPublication) -> None:
    """Answer from a new publication what was lately asked of the one that is served.

    Args:
        framework: What answers.
        serving: What is served.
        new: What is to be.
    """
    if (served := serving.publication) is None:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(WARMING):
            for key in reversed(served.answers.recent(WARMED)):
                # What is asked of one publication by its number is not asked of the next.
                if b"publication=" not in key.query:
                    said = {"publication": new, "head": True}
                    await framework.answer(_request(key), said, key, _nothing, _nowhere)


def _request(key: Key) -> HTTPScope:
    """The scope of a request that would be answered by what is kept under a key.

    Only for the head: an answer that became too long to be kept need not be made to its end.
    """
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "HEAD",
        "scheme": "http",
        "path": key.path,
        "raw_path": key.path.encode(),
        "query_string": key.query,
        "root_path": "",
        "headers": list(key.headers.items()),
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

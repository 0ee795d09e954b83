"""Answers that are sent while they are made, because they are too long to be kept."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from litestar import Response
from litestar.exceptions import HTTPException
from litestar.response import Stream
from loguru import logger

from api.answers import coded
from api.negotiation import Compressor, choose_coding, is_current
from api.problems import no_coding

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

    from api.requests import AnyRequest


def streamed(
    request: AnyRequest,
    described: Response[bytes],
    held: Iterable[bytes],
    parts: AsyncGenerator[bytes, None],
) -> Response[bytes] | Stream:
    """Send an answer part by part, past the layer that keeps answers.

    What that layer does for others is done here: coding, conditional requests and HEAD.

    Args:
        request: The request.
        described: The answer without its content: status, media type and headers.
        held: The first parts of the content.
        parts: What makes the others.

    Raises:
        HTTPException: 406: the client takes none of the codings there are.
    """
    state = request.scope["state"]
    state["passing"] = parts
    coding = choose_coding(request.headers.get("accept-encoding"), sys.maxsize)
    if coding is None:
        raise no_coding()
    tag = coded(described.headers["ETag"].encode(), coding)
    headers = {**described.headers, "ETag": tag.decode()}
    known = ", ".join(request.headers.getall("if-none-match", []))
    if known and is_current(known.encode("latin-1"), tag):
        return Response(b"", status_code=304, headers=headers)
    content = _unbroken(request, held, parts)
    if coding != "identity":
        headers["Content-Encoding"] = coding
        content = _compressed(content, Compressor(coding))
    return Stream(
        _nothing() if state["head"] else content,
        status_code=described.status_code,
        media_type=described.media_type,
        headers=headers,
    )


async def _unbroken(
    request: AnyRequest, held: Iterable[bytes], parts: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """Pass parts on; if they break off, log why."""
    for part in held:
        yield part
    try:
        async for part in parts:
            yield part
    except Exception as error:
        request.scope["state"]["broken"] = True
        bound = logger.bind(path=request.scope["path"])
        if isinstance(error, HTTPException):
            bound.warning("An answer broke off: {}", error.detail)
        else:
            bound.opt(exception=error).error("An answer broke off.")
        raise


async def _compressed(parts: AsyncIterator[bytes], compressor: Compressor) -> AsyncIterator[bytes]:
    async for part in parts:
        if piece := await asyncio.to_thread(compressor.compress, part):
            yield piece
    yield compressor.flush()


async def _nothing() -> AsyncIterator[bytes]:
    nothing: bytes
    for nothing in ():
        yield nothing

"""Responses that may be kept, here and by others, as handlers make them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TypeVar

from litestar import Response
from litestar.datastructures import ResponseHeader
from litestar.response.base import ASGIResponse
from litestar.serialization import get_serializer

from api.messages import start, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar import Litestar
    from litestar.types import Receive, Scope, Send

    from api.requests import AnyRequest

Content = TypeVar("Content")

CACHE_CONTROL = "public, max-age=0, stale-while-revalidate=10, stale-if-error=86400"
"""Anyone may keep an answer and asks whether it still holds; a 304 costs less than any other
answer. A cache that can (RFC 5861) shows the old one for ten more seconds while it asks, and for a
day if this server fails: each answer says which publication it is from."""

NUMBERED = "public, max-age=3600, must-revalidate"
"""For an answer from a publication that the request names. Its rows never change, but who may read
them and how they are written may: so it is used for an hour at most, then a cache asks."""


def keeping(request: AnyRequest) -> str:
    """How long an answer from a publication may be kept: the value of ``Cache-Control``.

    It says `public`; where a permission was needed, :func:`api.caching.tell_caches` makes that
    `private`.

    Args:
        request: The request, which may name the publication.
    """
    return NUMBERED if "publication" in request.query_params else CACHE_CONTROL


HEADERS = (
    ResponseHeader(
        name="ETag",
        value="",
        description="Strong entity tag: send it back in `If-None-Match` and get 304 while the "
        "answer is the same.",
        documentation_only=True,
    ),
    ResponseHeader(
        name="Cache-Control",
        value="",
        description="Any cache may keep what everybody may read (`public`), and asks whether it "
        "still holds (RFC 5861); what is asked of one publication by its number holds for an hour. "
        "What needs a token only the client itself may keep (`private`), and asks before each use.",
        documentation_only=True,
    ),
    ResponseHeader(
        name="Vary",
        value="",
        description="The request's headers that the answer depends on.",
        documentation_only=True,
    ),
)
"""What every answer that may be kept carries, for the OpenAPI document."""

PUBLISHED = (
    *HEADERS,
    ResponseHeader(
        name="Publication",
        value="",
        description="The number of the publication that the whole answer comes from.",
        documentation_only=True,
    ),
    ResponseHeader(
        name="Publication-Tests",
        value="",
        description="How the tests of the run that made the content ended: `passed`, `warned` or "
        "`not-run`.",
        documentation_only=True,
    ),
    ResponseHeader(
        name="Last-Modified",
        value="",
        description="When the content was built. To ask whether it changed, use the entity tag: "
        "a rollback brings an older content back.",
        documentation_only=True,
    ),
    ResponseHeader(
        name="Source-Last-Modified",
        value="",
        description="When the newest of the Delta versions that it was built from was committed.",
        documentation_only=True,
    ),
)
"""What every answer about a publication's content carries."""


def etag(*parts: str | bytes) -> str:
    """Make a strong entity tag out of everything that a representation's bytes depend on."""
    encoded = [part.encode() if isinstance(part, str) else part for part in parts]
    # Each part with its length: ("ab", "c") and ("a", "bc") must not be one.
    framed = b"".join([b"%d:%b" % (len(part), part) for part in encoded])
    return f'"{hashlib.sha256(framed).hexdigest()[:32]}"'


class Reusable(Response[Content]):
    """A response that is sent as it says itself: without cookies, and with its own headers alone.

    Litestar's own way costs a tenth of a whole answer: it looks each header up among the others.
    """

    def to_asgi_response(
        self,
        app: Litestar | None,
        request: AnyRequest,
        **of_route: Any,  # noqa: ANN401 -- as Litestar has it
    ) -> ASGIResponse:
        """Make what is sent; see :meth:`litestar.Response.to_asgi_response`."""
        del app, request
        return _Sent(self, self.status_code or of_route["status_code"])


class _Sent(ASGIResponse):
    """The two messages of a response."""

    __slots__ = ("_body", "_start")

    def __init__(self, response: Response[Any], status: int) -> None:
        media_type = str(response.media_type)
        content = response.content
        if not isinstance(content, bytes):
            content = response.render(content, media_type, get_serializer(None))
        kind = f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
        said = {**response.headers, "content-type": kind, "content-length": str(len(content))}
        lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in said.items()]
        self._start = start(status, lines)
        self._body = whole(content)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        del scope, receive
        await send(self._start)
        await send(self._body)


def reusable(
    content: Content,
    tag: str,
    *,
    media_type: str = "application/json",
    cache_control: str = CACHE_CONTROL,
    headers: Mapping[str, str] | None = None,
) -> Response[Content]:
    """Make a response that may be kept, here and by others, until its entity tag changes.

    Args:
        content: The content in no coding; the hot path codes it as each client likes.
        tag: Its strong entity tag.
        media_type: Its media type.
        cache_control: How long it may be kept, as if everybody might read it.
        headers: Further headers.
    """
    validators = {"ETag": tag, "Cache-Control": cache_control}
    return Reusable(content, media_type=media_type, headers={**validators, **(headers or {})})

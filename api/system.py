"""What the server says of itself."""

from datetime import datetime
from typing import Literal

import msgspec
from litestar import Response, get

from api import __version__
from api.caching import NO_STORE
from api.opened import OpenPublication
from api.problems import documented
from api.quoting import public
from api.reusable import HEADERS, etag, reusable
from api.serving import Serving


class Root(msgspec.Struct):
    """What this is, and where to read on."""

    message: str = "Lead Analytics API"
    version: str = __version__
    docs: str = "/docs"


class Live(msgspec.Struct):
    """The server runs."""

    status: Literal["live"] = "live"


class Ready(msgspec.Struct, kw_only=True):
    """The server answers from a publication.

    Attributes:
        publication: The number of the one that is served.
        built_at: When its content was built.
        refused: Why a newer one is not served, if that is so.
    """

    status: Literal["ready"] = "ready"
    publication: int
    built_at: datetime
    refused: str | None


@get(
    "/",
    operation_id="getRoot",
    summary="What this is",
    tags=["System"],
    response_headers=HEADERS,
    responses=documented(406),
)
async def root() -> Response[Root]:
    """Say what this is, which version, and where its documentation is."""
    return reusable(Root(), etag("root", __version__))


@get(
    "/health/live",
    operation_id="getLiveness",
    summary="Whether the server runs",
    tags=["System"],
    responses=documented(),
)
async def live() -> Response[Live]:
    """Answer 200 as long as the server runs, with a publication or without."""
    return Response(Live(), headers=NO_STORE)


@get(
    "/health/ready",
    operation_id="getReadiness",
    summary="Whether the server has something to serve",
    tags=["System"],
    responses=documented(503),
)
async def ready(publication: OpenPublication, serving: Serving) -> Response[Ready]:
    """Answer 200 while a publication is served, and say why a newer one is not, if that is so."""
    readiness = Ready(
        publication=publication.manifest.number,
        built_at=publication.manifest.built_at,
        refused=public(serving.refusal.reason) if serving.refusal else None,
    )
    return Response(readiness, headers=NO_STORE)


ROUTES = [root, live, ready]

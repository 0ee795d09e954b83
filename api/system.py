"""What the server says of itself and of its publications."""

import asyncio
from datetime import datetime
from typing import Literal

import msgspec
from litestar import Response, get
from litestar.exceptions import NotFoundException

from api import __version__
from api.opened import OpenPublication
from api.problems import documented
from api.quoting import public
from api.requests import AnyRequest
from api.reusable import HEADERS, PUBLISHED, etag, reusable
from api.serving import Serving
from publication import Manifest

NO_STORE = {"Cache-Control": "no-store"}


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


@get(
    "/api/v1/publications",
    operation_id="listPublications",
    summary="The publications that are kept",
    tags=["Publications"],
    responses=documented(503),
)
async def list_publications(
    serving: Serving, served: OpenPublication | None
) -> Response[list[Manifest]]:
    """List the publications that are kept, newest first, each with what it says of itself.

    The first is the one that is served. One whose manifest is damaged is left out.
    """
    older = None if served is None else served.manifest.number - 1
    kept = await asyncio.to_thread(serving.store.manifests, older)
    return Response([*([served.manifest] if served else []), *kept], headers=NO_STORE)


@get(
    "/api/v1/publications/current",
    operation_id="getCurrentPublication",
    summary="The publication that is served",
    tags=["Publications"],
    response_headers=PUBLISHED,
    responses=documented(406, 503),
)
async def current_publication(publication: OpenPublication) -> Response[Manifest]:
    """Say what is served: since when, from which Delta versions and with which tests."""
    manifest = publication.manifest
    # Equal content may come with another manifest, so the content's digest is not enough.
    return publication.answer(manifest, msgspec.json.encode(manifest).decode())


@get(
    "/api/v1/publications/{number:int}",
    operation_id="getPublication",
    summary="One publication",
    tags=["Publications"],
    responses=documented(404, 410, 503),
)
async def one_publication(
    request: AnyRequest, number: int, serving: Serving, served: OpenPublication | None
) -> Response[Manifest]:
    """Say what one publication says of itself, current or not."""
    return Response(await find_manifest(request, number, serving, served), headers=NO_STORE)


async def find_manifest(
    request: AnyRequest, number: int, serving: Serving, served: OpenPublication | None
) -> Manifest:
    """Read what a publication says of itself.

    Raises:
        NotFoundException: The path does not write the number as we do.
        PublicationError: It is gone, was never there, or is damaged.
    """
    if not request.scope["path"].rstrip("/").endswith(f"/{number}"):
        raise NotFoundException  # to Python "+1", "01" and other digits are numbers too
    if served is None:
        return await asyncio.to_thread(serving.store.manifest, number)
    if number == served.manifest.number:
        return served.manifest
    return await asyncio.to_thread(serving.store.manifest, number, served.manifest.number)


ROUTES = [root, live, ready, list_publications, current_publication, one_publication]

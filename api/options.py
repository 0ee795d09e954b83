"""The answers to OPTIONS on paths that name a thing: its methods, or 404 where it is not there.

Of all other paths the framework answers by itself. What browsers ask before they let a page do
something comes to neither: pages are to read the 404 themselves.
"""

from typing import Any

from litestar import HttpMethod, Response, route
from litestar.exceptions import NotFoundException

from api.docs import ASSETS
from api.finding import find_mart
from api.opened import OpenPublication
from api.publications import find_manifest
from api.requests import AnyRequest
from api.serving import Serving

ALLOW = {"Allow": "GET, OPTIONS"}
"""The methods of each of these things."""

OPTIONS: dict[str, Any] = {
    "http_method": [HttpMethod.OPTIONS],
    "status_code": 204,
    "include_in_schema": False,
}
"""What all routes for OPTIONS have in common."""


@route("/api/v1/marts/{mart:str}", **OPTIONS)
async def mart_options(mart: str, publication: OpenPublication) -> Response[None]:
    """Say which methods a mart has."""
    find_mart(publication, mart)
    return Response(None, headers=ALLOW)


@route("/api/v1/marts/{mart:str}/changes", **OPTIONS)
async def changes_options(mart: str, publication: OpenPublication) -> Response[None]:
    """Say which methods the changes of a mart have."""
    find_mart(publication, mart)
    return Response(None, headers=ALLOW)


@route("/api/v1/publications/{number:int}", **OPTIONS)
async def publication_options(
    request: AnyRequest, number: int, serving: Serving, served: OpenPublication | None
) -> Response[None]:
    """Say which methods a publication has."""
    await find_manifest(request, number, serving, served)
    return Response(None, headers=ALLOW)


@route("/docs/assets/{name:str}", **OPTIONS)
async def asset_options(name: str) -> Response[None]:
    """Say which methods a file of the page has."""
    if name not in ASSETS:
        raise NotFoundException
    return Response(None, headers=ALLOW)


ROUTES = [mart_options, changes_options, publication_options, asset_options]

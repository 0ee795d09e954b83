"""The publications that are retained, as everybody may see them.

Names and columns of marts are public, their rows are not, and neither is how many there are. Where
the lake's tables lie is the operator's business: a source is named, and has no URI here.
"""

import asyncio
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.datastructures import ResponseHeader
from litestar.exceptions import NotFoundException
from litestar.params import QueryParameter
from msgspec import Meta

from api.caching import NO_STORE
from api.opened import OpenPublication
from api.pages import LARGEST, USUAL, Page, link
from api.parameters import only_known_parameters
from api.problems import documented
from api.requests import AnyRequest
from api.reusable import PUBLISHED
from api.serving import Serving
from publication import Build, Column, Manifest
from publication.manifest import Test, TestStatus

PATH = "/api/v1/publications"

Rows = Annotated[
    Annotated[int, Meta(ge=0)] | None,
    Meta(description="How many rows it has; null where not everybody may read them."),
]


class SourceVersion(msgspec.Struct, kw_only=True):
    """The one version of a lake table that the run read."""

    name: str
    table_id: str
    version: int
    committed_at: datetime


class PublicationEntry(msgspec.Struct, kw_only=True):
    """A publication in a list; its own route says the rest."""

    number: int
    digest: Annotated[str, Meta(description="Of the content: equal content, equal digest.")]
    built_at: datetime
    published_at: datetime
    rolled_back_to: int | None
    tests: TestStatus
    sources: tuple[SourceVersion, ...]


class PublishedMart(msgspec.Struct, kw_only=True):
    """A mart of a publication, as its contract describes it."""

    name: str
    description: str
    grain: tuple[str, ...]
    scope: str | None
    columns: tuple[Column, ...]
    tests: tuple[Test, ...]
    rows: Rows


class Publication(msgspec.Struct, kw_only=True):
    """What a publication says of itself."""

    number: int
    file: str
    digest: str
    sha256: str
    built_at: datetime
    published_at: datetime
    rolled_back_to: int | None
    build: Build
    sources: tuple[SourceVersion, ...]
    marts: tuple[PublishedMart, ...]


def public_rows(name: str, *manifests: Manifest) -> int | None:
    """How many rows a mart has in the first of some publications, if everybody may know.

    As with the rows themselves, what the mart was once is no way around what it is now: it must be
    open in each of them that has it.
    """
    marts = [mart for one in manifests for mart in one.marts if mart.name == name]
    return marts[0].rows if all(mart.is_open for mart in marts) else None


def _sources(manifest: Manifest) -> tuple[SourceVersion, ...]:
    return tuple(
        SourceVersion(
            name=source.name,
            table_id=source.table_id,
            version=source.version,
            committed_at=source.committed_at,
        )
        for source in manifest.sources
    )


def _entry(manifest: Manifest) -> PublicationEntry:
    return PublicationEntry(
        number=manifest.number,
        digest=manifest.digest,
        built_at=manifest.built_at,
        published_at=manifest.published_at,
        rolled_back_to=manifest.rolled_back_to,
        tests=manifest.build.tests,
        sources=_sources(manifest),
    )


def _whole(manifest: Manifest, served: Manifest | None) -> Publication:
    """Say of a publication what everybody may know.

    Args:
        manifest: What it says of itself.
        served: The same of the one that is served, if anything is.
    """
    others = () if served is None else (served,)
    return Publication(
        number=manifest.number,
        file=manifest.file,
        digest=manifest.digest,
        sha256=manifest.sha256,
        built_at=manifest.built_at,
        published_at=manifest.published_at,
        rolled_back_to=manifest.rolled_back_to,
        build=manifest.build,
        sources=_sources(manifest),
        marts=tuple(
            PublishedMart(
                name=mart.name,
                description=mart.description,
                grain=mart.grain,
                scope=mart.scope,
                columns=mart.columns,
                tests=mart.tests,
                rows=public_rows(mart.name, manifest, *others),
            )
            for mart in manifest.marts
        ),
    )


@get(
    PATH,
    operation_id="listPublications",
    summary="The publications that are retained",
    tags=["Publications"],
    response_headers=(
        ResponseHeader(
            name="Link",
            value="",
            description="The first, previous, next and last page (RFC 8288); the references are "
            "relative to this URL.",
            documentation_only=True,
        ),
        ResponseHeader(
            name="X-Total-Count",
            value="",
            description="How many publications all pages have together.",
            documentation_only=True,
        ),
        ResponseHeader(
            name="Cache-Control",
            value="",
            description="Nobody may keep the answer.",
            documentation_only=True,
        ),
    ),
    responses=documented(400, 503),
)
async def list_publications(
    request: AnyRequest,
    serving: Serving,
    served: OpenPublication | None,
    offset: Annotated[
        int, QueryParameter(ge=0, description="How many publications to pass over.")
    ] = 0,
    page_size: Annotated[
        int, QueryParameter(ge=1, le=LARGEST, description="How many publications at most.")
    ] = USUAL,
) -> Response[list[PublicationEntry]]:
    """List the publications that are retained, newest first.

    The first is the one that is served. One whose manifest is damaged is left out of its page. If
    one is published in between, the next page begins with the last of this one again.
    """
    only_known_parameters(request, ("offset", "page_size"), set())
    page = Page(offset=offset, page_size=page_size)
    newest = [] if served is None else [served.manifest]
    listed = newest[offset : offset + page_size]
    older, count = await asyncio.to_thread(
        serving.store.page,
        max(offset - len(newest), 0),
        page_size - len(listed),
        None if served is None else served.manifest.number - 1,
    )
    total = len(newest) + count
    links = (
        link(name, PATH, [("page_size", str(page_size)), ("offset", str(place))])
        for name, place in page.others(total).items()
    )
    return Response(
        [_entry(manifest) for manifest in (*listed, *older)],
        headers={**NO_STORE, "Link": ", ".join(links), "X-Total-Count": str(total)},
    )


@get(
    f"{PATH}/current",
    operation_id="getCurrentPublication",
    summary="The publication that is served",
    tags=["Publications"],
    response_headers=PUBLISHED,
    responses=documented(406, 503),
)
async def current_publication(publication: OpenPublication) -> Response[Publication]:
    """Say what is served: since when, from which Delta versions and with which tests."""
    shown = _whole(publication.manifest, None)
    # Equal content may come with another manifest, so the content's digest is not enough.
    return publication.answer(shown, msgspec.json.encode(shown).decode())


@get(
    f"{PATH}/{{number:int}}",
    operation_id="getPublication",
    summary="One publication",
    tags=["Publications"],
    responses=documented(404, 410, 503),
)
async def one_publication(
    request: AnyRequest, number: int, serving: Serving, served: OpenPublication | None
) -> Response[Publication]:
    """Say what one publication says of itself, current or not."""
    manifest = await find_manifest(request, number, serving, served)
    shown = _whole(manifest, served.manifest if served else None)
    return Response(shown, headers=NO_STORE)


async def find_manifest(
    request: AnyRequest, number: int, serving: Serving, served: OpenPublication | None
) -> Manifest:
    """Read the manifest of one publication.

    Raises:
        NotFoundException: The path does not write the number as we do.
        PublicationError: The publication is gone, was never there, or is damaged.
    """
    if not request.scope["path"].rstrip("/").endswith(f"/{number}"):
        raise NotFoundException  # to Python "+1", "01" and other digits are numbers too
    if served is None:
        return await asyncio.to_thread(serving.store.manifest, number)
    if number == served.manifest.number:
        return served.manifest
    return await asyncio.to_thread(serving.store.manifest, number, served.manifest.number)


ROUTES = [list_publications, current_publication, one_publication]

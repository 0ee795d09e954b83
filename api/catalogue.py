"""The catalogue: what marts there are, as the manifest has them."""

from typing import Annotated

import msgspec
from litestar import Response, get
from msgspec import Meta

from api.opened import OpenPublication
from api.problems import documented
from api.publications import Rows, public_rows
from api.reusable import PUBLISHED
from publication import Column
from publication.manifest import Test


class MartLinks(msgspec.Struct):
    """Where more is about a mart."""

    rows: str
    csv: str
    arrow: str
    parquet: str
    changes: str
    publication: str
    documentation: str


class MartEntry(msgspec.Struct, kw_only=True):
    """A mart, as its contract and its manifest describe it."""

    name: str
    description: str
    grain: Annotated[
        tuple[str, ...], Meta(description="The columns whose values name a row; the usual order.")
    ]
    scope: Annotated[
        str | None,
        Meta(description="Who may read its rows: `open`, a scope, or null for any good token."),
    ]
    rows: Rows
    columns: tuple[Column, ...]
    tests: tuple[Test, ...]
    links: MartLinks


@get(
    "/api/v1/marts",
    operation_id="listMarts",
    summary="The marts that are published",
    tags=["Marts"],
    response_headers=PUBLISHED,
    responses=documented(406, 503),
)
async def list_marts(publication: OpenPublication) -> Response[list[MartEntry]]:
    """List all marts of the publication: columns, grain, tests, and who may read them.

    Names and columns of marts are public; their rows need not be.
    """
    number = publication.manifest.number
    entries = [
        MartEntry(
            name=mart.name,
            description=mart.description,
            grain=mart.grain,
            scope=mart.scope,
            rows=public_rows(mart.name, publication.manifest),
            columns=mart.columns,
            tests=mart.tests,
            links=_links(mart.name, number),
        )
        for mart in publication.manifest.marts
    ]
    return publication.answer(entries, msgspec.json.encode(entries).decode())


def _links(mart: str, number: int) -> MartLinks:
    rows = f"/api/v1/marts/{mart}"
    return MartLinks(
        rows=rows,
        csv=f"{rows}.csv",
        arrow=f"{rows}.arrow",
        parquet=f"{rows}.parquet",
        changes=f"{rows}/changes?since={number}",
        publication=f"/api/v1/publications/{number}",
        documentation="/docs",
    )


ROUTES = [list_marts]

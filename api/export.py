"""``python -m api openapi``: the OpenAPI document as files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from api import counts, transformation
from api.app import INJECTED, ROUTES
from api.docs import standalone
from api.openapi import Document, as_yaml, document_of, skeleton
from api.opened import check_served, open_publication, pointed_to
from api.querying.pool import Processes
from publication import PublicationError, Store


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, exists=True, path_type=Path))
def openapi(folder: Path) -> None:
    """Write openapi.yaml and a page, openapi.html, that needs no server, into FOLDER.

    They say what the server says while it serves the current publication.
    """
    try:
        document = asyncio.run(_document(Store.from_environment()))
    except PublicationError as error:
        raise click.ClickException(str(error)) from None
    (folder / "openapi.yaml").write_text(as_yaml(document), encoding="utf-8")
    (folder / "openapi.html").write_text(standalone(document), encoding="utf-8")
    click.echo(f"Wrote openapi.yaml and openapi.html into {folder}.")


async def _document(store: Store) -> Document:
    pointer = store.pointer()
    if pointer is None:
        raise click.ClickException(
            f"There is no publication in {store.folder} yet; `dbt build` makes one."
        )
    manifest = pointed_to(store, pointer)
    check_served(manifest, counts.REQUIRED)
    processes = Processes(1)
    async with processes.lifespan():
        publication = await open_publication(store, manifest, processes)
        return await document_of(publication, skeleton(ROUTES, INJECTED), transformation.EXAMPLES)

"""One open publication, and everything that was computed from it."""

from __future__ import annotations

import asyncio
from datetime import UTC
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from api import __version__
from api.dialect.sql import Table
from api.leases import Leases
from api.reusable import CACHE_CONTROL, etag, reusable
from api.shelf import Shelf
from api.work import SECONDS, Work
from publication import PublicationBroken
from publication.inspection import sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from litestar import Response

    from api.querying.pool import Processes
    from api.reusable import Content
    from publication import Manifest, Pointer, Store


REMEDY = "run `dbt build`, or `python -m publication rollback N`"
"""What puts right that the current publication cannot be served."""


class OpenPublication:
    """A publication that is being served. It lives on one event loop.

    Its answers live and die with it, so none of them can ever be stale.

    Attributes:
        manifest: What it says of itself.
        answers: What was answered from it.
        documents: The OpenAPI document of it, as far as it was asked for, by media type.
        marts: Its marts by name.
        tables: The same as SQL sees them.
        key: What its file is called where DuckDB is asked.
        leases: Who works on it: that keeps the file open though a newer one may be current.
    """

    def __init__(self, manifest: Manifest, processes: Processes, key: int, seconds: float) -> None:
        """Take over what :func:`open_publication` opened.

        Args:
            manifest: Its manifest.
            processes: What asks DuckDB.
            key: What its file is called there. To close it is this object's business from now on.
            seconds: How long what one request asks of it may take.
        """
        self.manifest = manifest
        self.answers = Shelf()
        self.documents: dict[str, bytes] = {}
        self.marts = {mart.name: mart for mart in manifest.marts}
        self.tables = {mart.name: Table(mart) for mart in manifest.marts}
        self._provenance = _provenance(manifest)
        self._processes = processes
        self.key = key
        self._seconds = seconds
        self.leases = Leases()

    async def close(self) -> None:
        """Close the file as soon as the last lease has ended. Nobody takes a new one now."""
        await self.leases.none()
        self._processes.close(self.key)
        await self.answers.empty()

    def work(self, *others: OpenPublication, before: Work | None = None) -> Work:
        """Lease it, for steps that together have a time.

        Args:
            others: Publications that the steps read too: they get a cursor for each of all.
            before: What the same request asked before: its time is not given twice.
        """
        leased = [(one.key, one.leases) for one in (self, *others)]
        return Work(self._processes, leased, self._seconds, before)

    async def rows(self, query: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Run one query; see :meth:`api.work.Work.rows`."""
        with self.work() as work:
            return await work.rows(query, values)

    def answer(
        self,
        content: Content,
        canonical: str,
        cache_control: str = CACHE_CONTROL,
        media_type: str = "application/json",
    ) -> Response[Content]:
        """Make the response to a question about this publication's content.

        Args:
            content: What JSON is made of, or bytes.
            canonical: The question, written the same way whichever way it was asked.
            cache_control: How long the response may be kept, as if everybody might read it.
            media_type: The format.
        """
        return reusable(
            content,
            etag(self.manifest.digest, __version__, canonical, media_type),
            media_type=media_type,
            cache_control=cache_control,
            headers=self._provenance,
        )


def _provenance(manifest: Manifest) -> dict[str, str]:
    """The headers that say where an answer comes from."""
    headers = {
        "Publication": str(manifest.number),
        "Publication-Tests": manifest.build.tests,
        "Last-Modified": _http_date(manifest.built_at),
    }
    if manifest.sources:
        newest = max(source.committed_at for source in manifest.sources)
        headers["Source-Last-Modified"] = _http_date(newest)
    return headers


def _http_date(moment: datetime) -> str:
    """Write a moment as HTTP does (RFC 9110 §5.6.7)."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def pointed_to(store: Store, pointer: Pointer) -> Manifest:
    """Read the manifest of what the pointer names. Blocks.

    Args:
        store: Where the publications are.
        pointer: Which one is current.

    Raises:
        PublicationError: Its manifest is missing, damaged or not the one pointed to.
    """
    manifest = store.manifest(pointer.number)
    if (manifest.file, manifest.digest) != (pointer.file, pointer.digest):
        raise PublicationBroken(
            f"current.json points to {pointer.file}, but the manifest of publication "
            f"{pointer.number} is about {manifest.file} or about other content; {REMEDY}."
        )
    return manifest


def check_served(manifest: Manifest, required: Mapping[str, set[str]]) -> None:
    """Check that a publication has what is served.

    Args:
        manifest: What it says of itself.
        required: The marts, each with the columns, without which it cannot be served.

    Raises:
        PublicationBroken: It lacks some of that.
    """
    for name, columns in required.items():
        there = {
            column.name for mart in manifest.marts if mart.name == name for column in mart.columns
        }
        if missing := columns - there:
            raise PublicationBroken(
                f"Publication {manifest.number} lacks what this API serves: {name} with "
                f"{', '.join(sorted(missing))}."
            )


async def open_publication(
    store: Store, manifest: Manifest, processes: Processes, seconds: float = SECONDS
) -> OpenPublication:
    """Open a publication's file by its own name, and check that it is what its manifest says.

    Args:
        store: Where the publications are.
        manifest: What it says of itself.
        processes: What asks DuckDB.
        seconds: How long what one request asks of it may take.

    Raises:
        PublicationBroken: It is missing, damaged or cannot be queried.
    """
    path = store.path(manifest).absolute()
    await asyncio.to_thread(_verify, path, manifest)
    key = await processes.open(path, [mart.name for mart in manifest.marts])
    return OpenPublication(manifest, processes, key, seconds)


def _verify(path: Path, manifest: Manifest) -> None:
    try:
        digest = sha256(path)
    except OSError as error:
        raise PublicationBroken(f"{path} cannot be read ({error.strerror}); {REMEDY}.") from error
    if digest != manifest.sha256:
        raise PublicationBroken(
            f"{path} is damaged: its SHA-256 is {digest}, its manifest says {manifest.sha256}; "
            f"{REMEDY}."
        )

"""Brings a Notion data source into the leads: every page a row, every page that is gone deleted.

Reading is incremental: pages edited since the last time are read whole, and of all others only
which there are and when they were edited. What that list shows otherwise than the table is read
by itself, and no lead is marked as deleted before Notion has said of its page that it is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lake import places, tables
from lake.contracts import LEADS
from lake.load import TOLERATED, bring
from lake.notion import data_source
from lake.notion.known import commit, known
from lake.notion.names import columns_of
from lake.notion.pages import PAGE_SIZE, id_of, is_trashed, read_all, read_one
from lake.notion.rows import NotionRows
from lake.notion.service import Service
from lake.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lake.load import Loaded
    from lake.notion.data_source import DataSource
    from lake.notion.known import Known
    from lake.notion.settings import Settings

TITLE = "title"
"""The id of the property that every page has; asking for it alone is the shortest answer."""


@dataclass(frozen=True)
class Ingested:
    """What became of a data source's pages.

    Attributes:
        loaded: What the upsert did; leads that were marked as deleted are updated ones to it.
        deleted: How many leads were marked as deleted.
        full: Whether every page was read whole.
        pages: How many pages the data source has, read whole or not.
        warnings: A sentence each, for what was left out.
    """

    loaded: Loaded
    deleted: int
    full: bool
    pages: int
    warnings: Sequence[str]

    @property
    def failed(self) -> bool:
        """Whether so many pages cannot be taken that something is wrong with the data source.

        A page that cannot be taken is read each time, others only when they were edited: so the
        share is that of all pages.
        """
        return self.loaded.rejected > TOLERATED * self.pages


def ingest(
    settings: Settings, wanted: str, *, full: bool = False, allow_missing: bool = False
) -> Ingested:
    """Bring a data source's pages into the leads, in one commit.

    Nothing is written before everything has been read.

    Args:
        settings: Which database, as whom.
        wanted: The data source's name or id.
        full: Read every page whole, whenever it was edited.
        allow_missing: Go on without a property for each event date.

    Raises:
        SourceRefused: Notion does not give what is needed, or lacks a property that is.
        SourceUnreachable: Notion does not answer.
        LakeError: What :func:`lake.load.bring` raises.
    """
    place = places.table_place(LEADS)
    table = tables.open_table(place)
    places.time_zone()
    with Service(settings) as service:
        source = data_source.find(service, settings.database_id, wanted)
        columns = columns_of(source, allow_missing=allow_missing)
        there = known(place, table, source.id)
        since = None if full else there.since
        rows = NotionRows(source, columns)
        pages = _read(service, rows, there, since)
    loaded = bring(LEADS, rows, commit(source.id, service.opened_at))
    lost = [
        f"The column {name} has values of pages, but {source.name} has no property for it any "
        "more: they stay; see whether it was renamed."
        for name in sorted(there.filled.difference(columns.types))
    ]
    return Ingested(loaded, len(rows.gone), since is None, pages, [*columns.warnings, *lost])


def _read(service: Service, rows: NotionRows, there: Known, since: datetime | None) -> int:
    """Read what may differ from the table, find out what is gone, and count the pages."""
    source = rows.source
    for page in _watched(read_all(service, source, since), "pages read"):
        rows.take(page)
    listed = _listed(service, source)
    different = [
        key
        for key, edited in listed.items()
        if key not in rows and (key not in there.live or there.live[key] != edited)
    ]
    if len(different) > PAGE_SIZE:  # one answer has that many pages
        for page in _watched(read_all(service, source), "pages read"):
            rows.take(page)
        different = []
    absent = {*there.live, *rows.taken, *rows.malformed} - listed.keys()
    for key in [*different, *sorted(absent)]:
        _read_one(service, rows, there, key)
    return len(listed)


def _listed(service: Service, source: DataSource) -> dict[str, datetime | None]:
    """Return the ids of all pages, and when each was last edited."""
    return {
        key: _edited(page)
        for page in _watched(read_all(service, source, properties=[TITLE]), "pages listed")
        if (key := id_of(page)) is not None and not is_trashed(page)
    }


def _watched(pages: Iterable[Any], what: str) -> Iterator[Any]:
    """Hand on pages, and show how many there were."""
    with Progress(f"notion: {what}") as progress:
        for number, page in enumerate(pages, start=1):
            progress.counted(number)
            yield page


def _edited(page: dict[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(str(page.get("last_edited_time")))
    except ValueError:
        return None


def _read_one(service: Service, rows: NotionRows, there: Known, key: str) -> None:
    """Read a page by itself; if it is gone, so is its lead."""
    page = read_one(service, rows.source, key)
    if page is not None:
        rows.take(page)
        return
    rows.drop(key)
    if key in there.live:
        rows.gone.add(key)

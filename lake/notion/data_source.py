"""Which data source of a Notion database is read."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from lake.errors import SourceRefused
from lake.notion.service import NotFoundError

if TYPE_CHECKING:
    from lake.notion.service import Service


class Property(msgspec.Struct):
    """A property that all pages of a data source have; its id stays when it is renamed."""

    id: str
    type: str


class Entry(msgspec.Struct):
    """A data source as its database lists it."""

    id: str
    name: str


class Database(msgspec.Struct):
    """What https://developers.notion.com/reference/database says of a database."""

    data_sources: list[Entry]
    in_trash: bool = False


class Description(msgspec.Struct):
    """What https://developers.notion.com/reference/data-source says of a data source."""

    properties: dict[str, Property]


@dataclass(frozen=True)
class DataSource:
    """A table of pages, all with the same properties.

    Attributes:
        id: Notion's own id.
        name: What people call it.
        properties: Its properties by name.
    """

    id: str
    name: str
    properties: dict[str, Property]


def find(service: Service, database_id: str, wanted: str) -> DataSource:
    """Find a data source of a database.

    Args:
        service: The connection.
        database_id: The database.
        wanted: The data source's name, or its id.

    Raises:
        SourceRefused: The database cannot be seen, or has no data source, or several, of that
            name.
        SourceUnreachable: Notion does not answer.
    """
    try:
        database = service.ask(Database, service.client.databases.retrieve, database_id=database_id)
    except NotFoundError:
        raise SourceRefused(
            f"Notion shows no database {database_id} to this integration: see whether "
            "NOTION_DATABASE_ID is right, and share the database with the integration."
        ) from None
    if database.in_trash:
        raise SourceRefused(f"The database {database_id} is in Notion's trash: restore it first.")
    there = {entry.id: entry.name for entry in database.data_sources}
    names = ", ".join(sorted(there.values())) or "none"
    found = [key for key, name in there.items() if _same(name, wanted)] or [
        key for key in there if key.replace("-", "") == wanted.replace("-", "").lower()
    ]
    if not found:
        raise SourceRefused(
            f"The database has no data source called {wanted}: there is {names}; choose one with "
            "--data-source."
        )
    if len(found) > 1:
        raise SourceRefused(
            f"The database has {len(found)} data sources called {wanted}: choose one by its id "
            f"with --data-source ({', '.join(sorted(found))})."
        )
    try:
        described = service.ask(
            Description, service.client.data_sources.retrieve, data_source_id=found[0]
        )
    except NotFoundError:
        raise not_shown(there[found[0]]) from None
    return DataSource(found[0], there[found[0]], described.properties)


def _same(name: str, wanted: str) -> bool:
    folded = (unicodedata.normalize("NFKC", text).strip() for text in (name, wanted))
    return len(set(folded)) == 1


def not_shown(name: str) -> SourceRefused:
    """Return what to raise when a data source that was there is not any more."""
    return SourceRefused(
        f"Notion no longer shows the data source {name} to this integration: share the database "
        "with it again."
    )

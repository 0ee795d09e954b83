"""Notion's pages as rows of the leads, each made of one page alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from lake.load.cells import json_of
from lake.load.chunks import ROWS, Chunk, Rejected
from lake.notion import values
from lake.notion.names import EDITED, SOURCE
from lake.notion.pages import id_of
from lake.notion.values import DATES, INSTANT, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from lake.notion.data_source import DataSource
    from lake.notion.names import Columns


class MalformedError(Exception):
    """Says what a page lacks."""


class NotionRows:
    """The rows that are brought into the leads; a :class:`lake.load.chunks.Source`.

    Attributes:
        source: The data source that the pages are of.
        taken: The rows by the ids of their pages. A page that is taken again replaces its row.
        malformed: The pages that cannot be taken apart, by their ids.
        nameless: What has no id, by its content.
        gone: The ids of leads whose pages are no more.
    """

    def __init__(self, source: DataSource, columns: Columns) -> None:
        """Start without any rows.

        Args:
            source: The data source that the pages are of.
            columns: What its properties become.
        """
        self.source = source
        self.place = f"Notion's data source {source.name}"
        self.name = f"notion: {source.name}"
        self.header: Sequence[str] | None = None
        self.taken: dict[str, dict[str, object]] = {}
        self.malformed: dict[str, Rejected] = {}
        self.nameless: dict[str, Rejected] = {}
        self.gone: set[str] = set()
        self._columns = columns

    def take(self, page: object) -> None:
        """Make a row of a page, or reject it."""
        key = id_of(page)
        if not isinstance(page, dict) or key is None:
            self.nameless[json_of(page)] = Rejected(0, "no page: it has no id", page)
            return
        self.drop(key)
        try:
            self.taken[key] = self._row(key, page)
        except MalformedError as error:
            self.malformed[key] = Rejected(0, str(error), page)

    def drop(self, page_id: str) -> None:
        """Forget a page that is no more."""
        self.taken.pop(page_id, None)
        self.malformed.pop(page_id, None)

    def __contains__(self, page_id: str) -> bool:
        """Tell whether a page has been read, well or not."""
        return page_id in self.taken or page_id in self.malformed

    def type_of(self, column: str) -> pa.DataType | None:
        """Return the type of a new column by the type of its property."""
        if column == EDITED:
            return INSTANT
        kind = self._columns.types.get(column, "title")  # text, as an id is
        return KINDS[kind].column

    def digest(self) -> None:
        """Leave it to each row: no two readings of Notion are the same as a whole."""

    def chunks(self) -> Iterator[Chunk]:
        """Hand on what has been read."""
        gone: list[dict[str, object]] = [{"id": key, "deleted": True} for key in sorted(self.gone)]
        rows = [*self.taken.values(), *gone]
        broken = [*self.malformed.values(), *self.nameless.values()]
        for start in range(0, max(len(rows), 1), ROWS):
            some = rows[start : start + ROWS]
            lines = range(start + 1, start + 1 + len(some))
            names = dict.fromkeys(name for row in some for name in row)
            cells: dict[str, Sequence[object]] = {
                name: [row.get(name) for row in some] for name in names
            }
            share = (start + len(some)) / max(len(rows), 1)
            yield Chunk(lines, cells, share, [list(row) for row in some], broken)
            broken = []

    def _row(self, key: str, page: dict[str, Any]) -> dict[str, object]:
        """Return the cells of a page; a property that it does not have is none of them."""
        properties = page.get("properties")
        if not isinstance(properties, dict):
            raise MalformedError("no properties: the integration may not see the page whole")
        row: dict[str, object] = {
            "id": key,
            "deleted": False,
            SOURCE: self.source.id,
            EDITED: page.get("last_edited_time"),
        }
        for name, value in properties.items():
            if not isinstance(value, dict) or "id" not in value:
                raise MalformedError(f"the property {name!r} is none")
            column = self._columns.by_id.get(str(value["id"]))
            if column is not None and value.get("type") in KINDS:
                row[column] = self._cell(name, column, value)
        return row

    def _cell(self, name: str, column: str, value: dict[str, Any]) -> object:
        if self._columns.types[column] in DATES and value["type"] not in DATES:
            raise MalformedError(f"the property {name!r} is of the type {value['type']}, no date")
        try:
            return values.cell(value)
        except msgspec.ValidationError as error:
            raise MalformedError(f"the property {name!r} is none ({error})") from None

"""What a property of a page is as a cell.

One entry per type of https://developers.notion.com/reference/page-property-values that a column
can be made of. Dates stay text: the loader reads them, in the configured time zone, and says of
one that is none what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

INSTANT = pa.timestamp("us", "UTC")


class Text(msgspec.Struct):
    """A piece of rich text, or a mention in it."""

    plain_text: str


class Option(msgspec.Struct):
    """What was selected."""

    name: str


class Person(msgspec.Struct):
    """A person or a bot; without the capability to read users only the id is there."""

    id: str
    name: str | None = None


class Day(msgspec.Struct):
    """A date, a moment or a range of either; ``start`` has no offset if there is a zone."""

    start: str
    time_zone: str | None = None


class Unique(msgspec.Struct):
    """A number that Notion gave the page."""

    number: int | None
    prefix: str | None = None


class Formula(msgspec.Struct):
    """A computed value: it lies under the name of its type."""

    type: str
    string: str | None = None
    number: int | float | None = None
    boolean: bool | None = None
    date: Day | None = None


@dataclass(frozen=True)
class Kind:
    """A type of property.

    Attributes:
        shape: What its value must look like.
        cell: Turns a value of that shape into a cell.
        column: The type of a column made of it; ``None`` if its values decide.
    """

    shape: Any
    cell: Callable[[Any], object]
    column: pa.DataType | None


def _texts(value: list[Text]) -> str | None:
    return "".join(text.plain_text for text in value) or None


def _option(value: Option | None) -> str | None:
    return None if value is None else value.name


def _person(value: Person) -> str:
    return value.name or value.id


def _day(value: Day | None) -> str | None:
    """Return where a date or range starts, with its offset if a zone is named beside it."""
    if value is None:
        return None
    if value.time_zone is None:
        return value.start
    try:
        start = datetime.fromisoformat(value.start)
        zone = ZoneInfo(value.time_zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return f"{value.start} {value.time_zone}"  # no date, which the loader says
    return value.start if start.tzinfo else start.replace(tzinfo=zone).isoformat()


def _formula(value: Formula) -> object:
    return _day(value.date) if value.type == "date" else getattr(value, value.type, None)


def _unique(value: Unique) -> str | None:
    parts = [value.prefix, None if value.number is None else str(value.number)]
    return "-".join(part for part in parts if part) or None


def _as_it_is(value: object) -> object:
    return value or None if isinstance(value, str) else value


KINDS: dict[str, Kind] = {
    "title": Kind(list[Text], _texts, pa.string()),
    "rich_text": Kind(list[Text], _texts, pa.string()),
    "select": Kind(Option | None, _option, pa.string()),
    "status": Kind(Option | None, _option, pa.string()),
    "multi_select": Kind(
        list[Option], lambda value: ", ".join(each.name for each in value) or None, pa.string()
    ),
    "people": Kind(list[Person], lambda value: ", ".join(map(_person, value)) or None, pa.string()),
    "created_by": Kind(Person, _person, pa.string()),
    "last_edited_by": Kind(Person, _person, pa.string()),
    "email": Kind(str | None, _as_it_is, pa.string()),
    "phone_number": Kind(str | None, _as_it_is, pa.string()),
    "url": Kind(str | None, _as_it_is, pa.string()),
    "unique_id": Kind(Unique, _unique, pa.string()),
    "number": Kind(int | float | None, _as_it_is, pa.float64()),
    "checkbox": Kind(bool, _as_it_is, pa.bool_()),
    "formula": Kind(Formula, _formula, None),
    "date": Kind(Day | None, _day, pa.date32()),
    "created_time": Kind(str, _as_it_is, INSTANT),
    "last_edited_time": Kind(str, _as_it_is, INSTANT),
}
"""The types of properties that become cells, by Notion's names."""

DATES = frozenset({"date", "formula", "created_time", "last_edited_time"})
"""The types of properties that can say on which day something happened."""


def cell(value: dict[str, Any]) -> object:
    """Return a property of a page as a cell.

    Args:
        value: The property as the page has it; its type is one of :data:`KINDS`.

    Raises:
        msgspec.ValidationError: It does not look as a property of its type does.
    """
    kind = KINDS[value["type"]]
    return kind.cell(msgspec.convert(value.get(value["type"]), kind.shape))

"""Which column of the leads each property of a data source becomes.

Names are compared without accents, case, and signs between words: "Date d'appel booké" is the
same with a typographic apostrophe, and with its accent as a character of its own.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lake.contracts import LEADS
from lake.errors import SourceRefused
from lake.load.columns import RESERVED
from lake.notion.values import DATES, KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lake.notion.data_source import DataSource

EVENTS = {
    "Date de prise de contact": "date_prise_contact",
    "Date de réponse du prospect": "date_reponse_prospect",
    "Date d'appel proposé": "date_appel_propose",
    "Date d'appel booké": "date_appel_booke",
    "Date de relance": "date_relance",
}
"""The property of each event date; a property that is called like the column is taken too."""

SOURCE, EDITED = "notion_data_source_id", "notion_last_edited_time"
"""The columns that say which leads are Notion's, and when Notion says they were last edited."""

OWN = frozenset({*LEADS.key, "deleted", SOURCE, EDITED})
"""Columns that no property may become."""

LETTERS = str.maketrans(
    {"œ": "oe", "æ": "ae", "ø": "o", "đ": "d", "ł": "l", "\N{MODIFIER LETTER APOSTROPHE}": "'"}
)
"""What Unicode takes for letters of their own, and people do not."""


@dataclass(frozen=True)
class Columns:
    """What becomes of a data source's properties.

    Attributes:
        by_id: The column of each property by the property's id, which renaming does not change.
        types: The type of property that each column is made of.
        warnings: A sentence for each property that is left out.
    """

    by_id: Mapping[str, str]
    types: Mapping[str, str]
    warnings: Sequence[str]


def column_name(name: str) -> str:
    """Return a name in snake case, without accents: "Téléphone (pro)" is ``telephone_pro``."""
    folded = unicodedata.normalize("NFKD", name.casefold().translate(LETTERS))
    letters = (sign for sign in folded if not unicodedata.combining(sign))
    return "_".join("".join(c if c.isalnum() else " " for c in letters).split())


EVENT_NAMES = {column_name(name): column for name, column in EVENTS.items()} | {
    column: column for column in EVENTS.values()
}
"""The event column of each name in snake case that stands for one."""


def columns_of(source: DataSource, *, allow_missing: bool) -> Columns:
    """Decide what each property of a data source becomes.

    Args:
        source: The data source.
        allow_missing: Whether it may lack event dates, which then keep the values they have.

    Raises:
        SourceRefused: It lacks a property for an event date, has two, or one that is no date.
    """
    by_id: dict[str, str] = {}
    types: dict[str, str] = {}
    named: dict[str, str] = {}
    warnings: list[str] = []
    for name, described in sorted(source.properties.items()):
        kind = described.type
        snake = column_name(name)
        column = EVENT_NAMES.get(snake, snake)
        is_event = column in EVENTS.values()
        if is_event and column in named:
            raise SourceRefused(
                f"Both {named[column]!r} and {name!r} of {source.name} are {column}: rename the "
                "one that is not."
            )
        if is_event and kind not in DATES and not allow_missing:
            raise SourceRefused(
                f"The property {name!r} of {source.name} is of the type {kind}, which is no date: "
                f"make it one, or leave {column} as it is with --allow-missing."
            )
        if problem := _problem(column, kind, named, is_event=is_event):
            warnings.append(f"The property {name!r} of {source.name} is left out: {problem}.")
            continue
        named[column] = name
        by_id[described.id] = column
        types[column] = kind
    if missing := [name for name, column in EVENTS.items() if column not in named]:
        quoted = ", ".join(map(repr, missing))
        if not allow_missing:
            raise SourceRefused(
                f"The data source {source.name} has no property {quoted}: see whether it was "
                "renamed, or leave its dates as they are with --allow-missing."
            )
        warnings.append(f"The data source {source.name} has no property {quoted}: left as it is.")
    return Columns(by_id, types, warnings)


def _problem(column: str, kind: str, named: Mapping[str, str], *, is_event: bool) -> str | None:
    """Say why a property becomes no column, if it does not."""
    if kind not in (DATES if is_event else KINDS):
        return f"nothing is made of the type {kind}"
    if not column or column in RESERVED:
        return "its name makes no name of a column"
    if column in OWN:
        return f"the column {column} is there for something else"
    if column in named:
        return f"{named[column]!r} is the column {column} already"
    return None

"""What the leads must be after a reading of Notion, in plain Python.

The values of dates and what day each of them is in Paris, were worked out by hand.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from deltalake import DeltaTable

from tests.lake.notion.workspace import LEADS, Page, Workspace, minute, text

if TYPE_CHECKING:
    import random

    from tests.lake.conftest import Lake

Leads = dict[str, dict[str, Any]]

DATES: list[tuple[Any, date | None]] = [
    (None, None),
    ({"start": "2026-03-01", "end": None, "time_zone": None}, date(2026, 3, 1)),
    ({"start": "2026-03-01T22:59:00.000+00:00", "end": None}, date(2026, 3, 1)),
    ({"start": "2026-03-01T23:30:00.000Z", "end": "2026-03-09T10:00:00.000Z"}, date(2026, 3, 2)),
    ({"start": "2026-03-01T20:00:00.000-05:00", "end": None}, date(2026, 3, 2)),
    ({"start": "2026-03-01T20:00:00.000", "time_zone": "America/New_York"}, date(2026, 3, 2)),
    ({"start": "0001-01-01"}, date(1, 1, 1)),
    ({"start": "2024-02-29", "end": "2024-03-10"}, date(2024, 2, 29)),
]
IMPOSSIBLE: list[Any] = [
    {"start": "2026-02-30"},
    {"start": "2026-03-01T25:00:00.000Z"},
    {"start": "tomorrow"},
    {"start": "2026-03-01T20:00:00.000", "time_zone": "Mars/Olympus"},
    {"start": 20260301},
    "2026-03-01",
]

COLUMNS = {
    "Date de prise de contact": "date_prise_contact",
    "Date de relance": "date_relance",
    "Nom": "nom",
    "Statut": "statut",
    "Score": "score",
}


def drawn(dice: random.Random, *, broken: bool = False) -> dict[str, Any]:
    """The properties of a page; a broken one cannot be taken."""
    contact = dice.choice(IMPOSSIBLE if broken else DATES)
    return {
        "Nom": dice.choice([[], text("Ada"), text("avec ", "@Bob", "!")]),
        "Date de prise de contact": contact if broken else contact[0],
        "Date de relance": dice.choice(DATES)[0],
        "Statut": dice.choice([None, {"name": "Nouveau"}, {"name": "Gagné"}]),
        "Score": dice.choice([None, 0, 3, 2.5, -1]),
    }


def is_broken(page: Page) -> bool:
    return page.values.get("Date de prise de contact") in IMPOSSIBLE


def lead(page: Page) -> dict[str, Any]:
    """The cells of a page that are not null."""
    days = {str(value): day for value, day in DATES}
    cells = {
        "date_prise_contact": days[str(page.values.get("Date de prise de contact"))],
        "date_relance": days[str(page.values.get("Date de relance"))],
        "nom": "".join(piece["plain_text"] for piece in page.values.get("Nom", ())) or None,
        "statut": (page.values.get("Statut") or {}).get("name"),
        "score": page.values.get("Score"),
        "deleted": False,
        "notion_data_source_id": LEADS,
        "notion_last_edited_time": datetime.fromisoformat(minute(page.edited)),
    }
    return {name: value for name, value in cells.items() if value is not None}


def expected(before: Leads, there: Workspace) -> Leads:
    """The leads after a reading during which nothing happened in the workspace."""
    live = {page.id: page for page in there.live()}
    after = {key: dict(row) for key, row in before.items()}
    for key, row in after.items():
        if row.get("notion_data_source_id") == LEADS and key not in live:
            row["deleted"] = True
    return after | {key: lead(page) for key, page in live.items() if not is_broken(page)}


def leads_of(lake: Lake) -> Leads:
    """The leads there are; a command that was killed may have left a folder without a table."""
    return lake.by_id() if DeltaTable.is_deltatable(str(lake.folder("leads"))) else {}


def disturb(there: Workspace, dice: random.Random) -> None:
    """Do something that people do in a workspace."""
    pages = list(there.pages.values())
    deed = dice.choice(["create", "create", "edit", "edit", "trash", "restore", "remove", "move"])
    there.tick(dice.choice([0, 0, 5, 31, 61, 600]))
    if deed == "create" or not pages:
        if sum(minute(page.created) == minute(there.clock) for page in pages) > 4:
            there.tick(61)  # a minute must not have more pages than a query shows
        for _ in range(dice.choice([1, 1, 4])):
            key = f"{dice.getrandbits(128):032x}"
            key = "-".join((key[:8], key[8:12], key[12:16], key[16:20], key[20:]))
            there.create(drawn(dice, broken=dice.random() < 0.15), key)
        return
    page = dice.choice(pages)
    if deed == "edit":
        page.values = drawn(dice, broken=dice.random() < 0.15)
        page.edited = there.clock
    elif deed in {"trash", "restore"}:  # neither is an edit to Notion
        page.trashed = deed == "trash"
    elif deed == "move":
        page.parent = dice.choice([LEADS, "99999999-2222-4333-8444-555555555555"])
    else:
        del there.pages[page.id]

"""How long files are kept that the newest version no longer needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lake.errors import RetentionTooShort

if TYPE_CHECKING:
    from lake.upkeep.found import Found

LEAST = 7 * 24
"""Hours. A build that runs, or an analyst who reads an older version, needs its files."""

OWN = "delta.deletedFileRetentionDuration"
"""A table's property that asks for another time, such as ``interval 30 days``."""

HOURS = {"h": 1, "hour": 1, "hours": 1, "d": 24, "day": 24, "days": 24, "week": 168, "weeks": 168}


def hours(text: str) -> int | None:
    """Read a time such as ``30d``, ``36h`` or ``2 weeks``; ``None`` if it is none."""
    found = re.fullmatch(r"(\d{1,6})\s*([a-z]+)", text.strip())
    return int(found[1]) * HOURS[found[2]] if found and found[2] in HOURS else None


def words(hours: int) -> str:
    """Write a number of hours as people say it."""
    count, unit = (hours, "hour") if hours % 24 else (hours // 24, "day")
    return f"{count} {unit}{'' if count == 1 else 's'}"


def retention(found: Found, asked: int | None, *, force: bool) -> int:
    """Return for how many hours a table's files are to be kept.

    Args:
        found: The table. A longer time that its own property asks for is its least.
        asked: Hours; the least without it.
        force: Whether less than the least may be asked for.

    Raises:
        RetentionTooShort: Less is asked for.
    """
    own = str(found.table.metadata().configuration.get(OWN, ""))
    least = max(LEAST, hours(own.removeprefix("interval ")) or 0)
    if asked is None:
        return least
    if asked < least and not force:
        raise RetentionTooShort(
            f"Files of {found.name} are kept for {words(least)}, not {words(asked)}: a build that "
            "is running may be reading what would be removed. Ask for more, or see to it that "
            "nobody reads or writes the table and add --force."
        )
    return asked

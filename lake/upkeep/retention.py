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
SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}

INTERVAL = r"(\d{1,9})\s+(second|minute|hour|day|week)s?"


def hours(text: str) -> int | None:
    """Read a time such as ``30d``, ``36h`` or ``2 weeks``; ``None`` if it is none."""
    found = re.fullmatch(r"(\d{1,6})\s*([a-z]+)", text.strip())
    return int(found[1]) * HOURS[found[2]] if found and found[2] in HOURS else None


def _interval(text: str) -> int | None:
    """Read a table's property such as ``interval 1 day 12 hours``, in hours and rounded up.

    Spark takes it in any case, and with or without its first word.
    """
    said = text.strip().lower().removeprefix("interval").strip()
    if not re.fullmatch(rf"{INTERVAL}(\s+{INTERVAL})*", said):
        return None
    seconds = sum(int(count) * SECONDS[unit] for count, unit in re.findall(INTERVAL, said))
    return -(-seconds // 3_600)


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
    own = found.table.metadata().configuration.get(OWN)
    kept = _interval(own) if own else 0
    if kept is None and not force:
        raise RetentionTooShort(
            f"{found.name} asks with {OWN} for '{own}', which is no time that is known here: write "
            "it as 'interval 30 days', or add --older-than and --force."
        )
    least = max(LEAST, kept or 0)
    if asked is None:
        return least
    if asked < least and not force:
        raise RetentionTooShort(
            f"Files of {found.name} are kept for {words(least)}, not {words(asked)}: a build that "
            "is running may be reading what would be removed. Ask for more, or see to it that "
            "nobody reads or writes the table and add --force."
        )
    return asked

"""Where the lake's tables are, and the time zone their dates are taken in."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lake.contracts import LEADS, MARKETING_CONVERSIONS
from lake.errors import PlaceInvalid

if TYPE_CHECKING:
    from datetime import date

    from lake.contracts import TableContract

URI_VARIABLES = {
    LEADS.name: "LEADMARTS_LEADS_URI",
    MARKETING_CONVERSIONS.name: "LEADMARTS_MARKETING_URI",
}
"""The environment variable that moves each table on its own."""


def data_folder() -> Path:
    """Return ``LEADMARTS_DATA``, below which everything made at run time lies (``data``)."""
    return Path(os.environ.get("LEADMARTS_DATA") or "data")


def table_uri(contract: TableContract) -> str:
    """Return where a table is: its own variable, or ``<data>/lake/<name>``."""
    own = os.environ.get(URI_VARIABLES[contract.name])
    return own or str(data_folder() / "lake" / contract.name)


def local_folder(uri: str) -> Path:
    """Return the folder that a table's place names.

    Args:
        uri: A path, or a ``file://`` URI (RFC 8089) without a host.

    Raises:
        PlaceInvalid: The place is not on this machine, or has a percent sign in its path.
    """
    if "://" not in uri:
        return _without_percent(uri)
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
        raise PlaceInvalid(
            f"{parts.scheme}://{parts.hostname or ''}{parts.path} is not on this machine, and the "
            "lake is written to local folders only: give a path."
        )
    return _without_percent(unquote(parts.path))


def _without_percent(path: str) -> Path:
    """Refuse what delta-rs would decode, and then look for elsewhere."""
    if "%" in str(Path(path).absolute()):
        raise PlaceInvalid(
            f"{Path(path).absolute()} has a percent sign in it, and a Delta table cannot lie "
            "there: choose another place with LEADMARTS_DATA."
        )
    return Path(path)


def rejects_folder(folder: Path) -> Path:
    """Return where the rows lie that a table could not take: ``<table>_rejects`` beside it."""
    return folder.with_name(f"{folder.name}_rejects")


def time_zone() -> ZoneInfo:
    """Return ``LEADMARTS_TIMEZONE`` (``Europe/Paris``), in which a timestamp gets its date.

    Raises:
        PlaceInvalid: There is no time zone of that name.
    """
    name = os.environ.get("LEADMARTS_TIMEZONE") or "Europe/Paris"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PlaceInvalid(
            f"LEADMARTS_TIMEZONE is {name!r}, which is no time zone: "
            "give an IANA name such as Europe/Paris."
        ) from None


def today() -> date:
    """Return today's date in the configured time zone."""
    return datetime.now(UTC).astimezone(time_zone()).date()

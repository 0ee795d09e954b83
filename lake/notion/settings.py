"""What is needed to reach Notion, from the environment."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from notion_client.helpers import extract_database_id

from lake.errors import SettingInvalid

NOTION = "https://api.notion.com"


@dataclass(frozen=True)
class Settings:
    """Which database of Notion is read, and as whom.

    Attributes:
        token: The secret of an integration. No message may show it.
        database_id: The database, as a UUID.
        base_url: Where Notion's API is, without the version.
    """

    token: str = field(repr=False)
    database_id: str
    base_url: str


def from_environment() -> Settings:
    """Read ``NOTION_TOKEN``, ``NOTION_DATABASE_ID`` and ``NOTION_BASE_URL``.

    Raises:
        SettingInvalid: One is missing, or cannot be what it should be.
    """
    return Settings(_token(), _database_id(), _base_url())


def _token() -> str:
    token = os.environ.get("NOTION_TOKEN", "").strip()
    if not token:
        raise SettingInvalid(
            "NOTION_TOKEN is not set: make an internal integration in Notion's settings, share the "
            "database with it, and set NOTION_TOKEN to its secret."
        )
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise SettingInvalid(
            "NOTION_TOKEN has characters that no token has: copy the integration's secret anew."
        )
    return token


def _database_id() -> str:
    given = os.environ.get("NOTION_DATABASE_ID", "").strip()
    if not given:
        raise SettingInvalid(
            "NOTION_DATABASE_ID is not set: open the database in Notion as a page of its own, copy "
            "its link, and set NOTION_DATABASE_ID to that."
        )
    if (database_id := extract_database_id(given)) is None:
        raise SettingInvalid(
            f"NOTION_DATABASE_ID is {given!r}, which has no database's id in it: set it to the "
            "database's link, or to the 32 hexadecimal digits there."
        )
    return database_id


def _base_url() -> str:
    """Return where the API is; a token travels in the clear to this machine only."""
    given = os.environ.get("NOTION_BASE_URL", "").strip() or NOTION
    try:
        parts = urlsplit(given)
        acceptable = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts))
        acceptable = acceptable and bool(parts.hostname) and parts.port != 0
    except ValueError:
        acceptable = False
    if not acceptable:
        raise SettingInvalid(
            "NOTION_BASE_URL must be an https:// address, or http:// on this machine, since the "
            f"token is sent there: leave it out to use {NOTION}."
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingInvalid(
            "NOTION_BASE_URL may have no user, password, query or fragment: give an address such "
            f"as {NOTION}."
        )
    return given.rstrip("/")


def _is_loopback(parts: SplitResult) -> bool:
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False

"""Where the lake's tables are, and the time zone their dates are taken in."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler

from lake import store_failures, stores
from lake.contracts import LEADS, MARKETING_CONVERSIONS
from lake.errors import PlaceInvalid, StoreFailed, reason

if TYPE_CHECKING:
    from collections.abc import Mapping
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


@dataclass(frozen=True)
class Place:
    """Where a Delta table lies: in a folder of this machine, or in an object store.

    Attributes:
        uri: As delta-rs takes it. There are no credentials in it.
        folder: The folder, if it is one of this machine.
        options: What the store's client needs beside the environment; may hold secrets.
    """

    uri: str
    folder: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        """Return the place as it stands in a sentence."""
        return self.uri

    @property
    def _store(self) -> stores.Store:
        return stores.STORES[urlsplit(self.uri).scheme]

    def reach(self) -> None:
        """See that the store is there and will have us, without waiting long.

        Raises:
            StoreFailed: It is not, or will not.
        """
        if self.folder is not None:
            return
        try:
            files = DeltaStorageHandler(self.uri, {**self.options, **stores.FIRST_WAITS})
            files.get_file_info(["_delta_log/_last_checkpoint"])
        except (DeltaError, OSError) as error:
            raise self.failure(error) or StoreFailed(self.reason(error)) from None

    def failure(self, error: Exception) -> StoreFailed | None:
        """Return what is wrong with the store, or ``None`` if an error is about the table."""
        if self.folder is not None:
            return None
        return store_failures.failed(self._store, self.uri, error, self.options)

    def reason(self, error: Exception) -> str:
        """Return what an error about the place says as part of a sentence, without secrets."""
        return (
            reason(error) if self.folder is not None else store_failures.told(error, self.options)
        )


def at(uri: str, options: Mapping[str, str] | None = None) -> Place:
    """Return the place that a path or URI names.

    Args:
        uri: A path, a ``file://`` URI (RFC 8089) without a host, or ``gs://``, ``s3://`` or
            ``az://``, the bucket or container, and a folder in it.
        options: Options of an object store that go before the environment's.

    Raises:
        PlaceInvalid: It is no place for a table, or one without credentials.
    """
    scheme = uri.partition("://")[0]
    if "://" not in uri or scheme not in stores.STORES:
        folder = local_folder(uri)
        return Place(str(folder), folder)
    store = stores.STORES[scheme]
    parts = urlsplit(uri)
    container = parts.netloc.rpartition("@")[2]
    plain = f"{scheme}://{container}{parts.path}".rstrip("/")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise PlaceInvalid(
            f"{plain} is given with more than a place (what stands before an @, or after a ? or "
            f"#): take that out, and set {store.prefix}… if it is credentials."
        )
    if not container or not parts.path.strip("/"):
        raise PlaceInvalid(
            f"{plain} names no place in {store.name}: give {scheme}://{store.container}/folder."
        )
    _refuse_percent(plain)
    return Place(plain, options=stores.options(store, options or {}))


def table_place(contract: TableContract) -> Place:
    """Return where a table is; see :func:`table_uri` and :func:`at`."""
    return at(table_uri(contract))


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
            f"{parts.scheme}://{parts.hostname or ''}{parts.path} is not on this machine, nor in "
            "an object store that is known: give a path, or gs://, s3:// or az://."
        )
    return _without_percent(unquote(parts.path))


def _without_percent(path: str) -> Path:
    _refuse_percent(str(Path(path).absolute()))
    return Path(path)


def _refuse_percent(place: str) -> None:
    """Refuse what delta-rs would decode, and then look for elsewhere."""
    if "%" in place:
        raise PlaceInvalid(
            f"{place} has a percent sign in it, and a Delta table cannot lie there: choose another "
            "place with LEADMARTS_DATA."
        )


def rejects_place(place: Place) -> Place:
    """Return where the rows lie that a table could not take: ``<table>_rejects`` beside it."""
    folder = place.folder
    beside = folder and folder.with_name(f"{folder.name}_rejects")
    return replace(place, uri=str(beside or f"{place.uri}_rejects"), folder=beside)


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

"""Immutable, numbered publications of marts: published once checked, read by everyone."""

from publication.connection import connect
from publication.errors import (
    DraftRejected,
    PlaceUnusable,
    PointerBroken,
    PublicationBroken,
    PublicationError,
    PublicationGone,
    PublicationHeld,
    PublicationNotYet,
    RollbackPointless,
    SettingInvalid,
    WarehouseBusy,
)
from publication.manifest import Build, Column, Draft, Manifest, Mart, MartDraft, Pointer, Source
from publication.store import Store

__all__ = [
    "Build",
    "Column",
    "Draft",
    "DraftRejected",
    "Manifest",
    "Mart",
    "MartDraft",
    "PlaceUnusable",
    "Pointer",
    "PointerBroken",
    "PublicationBroken",
    "PublicationError",
    "PublicationGone",
    "PublicationHeld",
    "PublicationNotYet",
    "RollbackPointless",
    "SettingInvalid",
    "Source",
    "Store",
    "WarehouseBusy",
    "connect",
]

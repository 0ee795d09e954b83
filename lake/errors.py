"""The errors of the lake room.

LakeError
├── PlaceInvalid      a setting names no place or time zone that the lake can use
├── StoreFailed       an object store refuses us, lacks the bucket or does not work
│   └── StoreUnreachable  nobody knows what has become of the last request
├── SettingInvalid    another setting is missing, or cannot be what it should be
├── TableMissing      there is no Delta table at the place
├── TableExists       there is one where none may be
├── TableBroken       there is one, but it cannot be read whole
├── TableBusy         others keep writing to it
├── RetentionTooShort files would be removed that somebody may be reading
├── ContractBroken    it can be read, but lacks a key or has a column of another type
├── InputRejected     a file to load that cannot be read as a whole, or has no row to take
├── OutOfRoom         memory or disk is too small for what is to be sorted out
├── SourceRefused     a service such as Notion does not give what it was asked for
└── SourceUnreachable it does not answer, or not properly
"""

import re


class LakeError(Exception):
    """Something a person can put right; its text is one sentence that says what and how."""


class PlaceInvalid(LakeError):
    """A setting names a place or a time zone that the lake cannot use."""


class SettingInvalid(LakeError):
    """A setting that is needed is missing, or cannot be what it should be."""


class StoreFailed(LakeError):
    """An object store does not do what it is asked; what is in it cannot be known."""


class StoreUnreachable(StoreFailed):
    """An object store does not answer, or says that it cannot now."""


class TableMissing(LakeError):
    """There is no Delta table at the place, or not in the version asked for."""


class TableExists(LakeError):
    """There is a table already at a place where one was to be made."""


class TableBroken(LakeError):
    """The table's log can be read but its data cannot."""


class TableBusy(LakeError):
    """Every attempt to commit met another writer's commit."""


class RetentionTooShort(LakeError):
    """Files of a table are to be removed that a running build may be reading."""


class ContractBroken(LakeError):
    """The table lacks a key column, or a contracted column has a type it cannot have."""


class InputRejected(LakeError):
    """A file handed to the lake that is not what it claims to be, or of which no row is."""


class OutOfRoom(LakeError):
    """DuckDB may not take as much memory, or find as much disk, as it needs."""


class SourceRefused(LakeError):
    """A service that leads come from understood what it was asked for, and does not give it."""


class SourceUnreachable(LakeError):
    """A service that leads come from did not answer, or not properly, in any attempt."""


def causes(error: Exception) -> str:
    """Return what an error says and why, each cause after a colon, without colours.

    delta-rs tells each cause on a line of its own after an arrow, which is coloured.
    """
    return re.sub(r"\s*(\x1b\[[\d;]*m)*↳(\x1b\[[\d;]*m)*\s*", ": ", str(error).strip())


def reason(error: Exception) -> str:
    """Return what an error says as part of a sentence: one line without colours."""
    said = causes(error)
    return said.splitlines()[0].rstrip(".") if said else type(error).__name__


class VariableUnknown(LakeError):
    """A dbt command has a variable that nothing reads."""

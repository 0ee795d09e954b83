"""What an error about a Delta table means, as one sentence with a way out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lake.errors import LakeError, TableBroken, causes

if TYPE_CHECKING:
    from lake.places import Place

WAYS_OUT = (
    (r"(?i)unsupported|not supported", "have its writer turn that feature off"),
    (r"non-nullable", "have its writer let that column be null"),
    (r"Permission denied|No space left|Too many open files", "see to that and try again"),
)
"""What helps where the table is whole, by what the error says."""

REJECTS = "_rejects"
"""The end of the place of a table of rejected rows."""


def way_out(error: Exception) -> str | None:
    """Say what helps where a table is whole; ``None`` where it may be damaged."""
    said = causes(error)
    return next((way for pattern, way in WAYS_OUT if re.search(pattern, said)), None)


def failed(what: str, place: Place, error: Exception, deed: str = "read") -> LakeError:
    """Return what an error means: the object store has failed, or the table is broken.

    Args:
        what: The table, as a sentence begins with it.
        place: Where the table is.
        error: What delta-rs, PyArrow or DuckDB raised.
        deed: What cannot be done with the table.
    """
    if failure := place.failure(error):
        return failure
    if place.uri.endswith(REJECTS):
        anew = "restore it from a backup, or remove it: a load that rejects rows makes another"
    else:
        anew = "restore it from a backup, or remove it and load it anew"
    way = way_out(error) or anew
    return TableBroken(f"{what} cannot be {deed} ({place.reason(error)}): {way}.")


def through_arrow(sentence: object) -> OSError:
    """Return an error of which DuckDB gets the sentence alone.

    Arrow appends a traceback and hands the whole to DuckDB as a C string, which NUL ends.
    """
    return OSError(f"{sentence}\0")

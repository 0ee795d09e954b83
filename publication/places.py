"""Places that cannot be written: what the system says of them, and what to do about it."""

from __future__ import annotations

import errno
import os

import duckdb

from publication.connection import first_line
from publication.errors import PlaceUnusable

REMEDIES = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there, or have the quota raised",
    errno.EFBIG: "allow larger files there",
    errno.EROFS: "mount it so that it can be written",
    errno.EACCES: "let this user write there",
    errno.EPERM: "let this user write there",
}
"""By what the system says, in the words of both Python and DuckDB."""


def remedy(error: Exception) -> str | None:
    """What to do about a lack of room, memory or rights; none if it is another error."""
    if isinstance(error, duckdb.OutOfMemoryException):
        disk = "max_temp_directory_size" in str(error)
        return "make room for temporary files" if disk else "raise LEADMARTS_MEMORY"
    if isinstance(error, OSError) and error.errno in REMEDIES:
        return REMEDIES[error.errno]
    said = str(error)  # DuckDB's errors have no number
    return next((to_do for code, to_do in REMEDIES.items() if os.strerror(code) in said), None)


def unusable(what: str, error: Exception) -> PlaceUnusable:
    """Make the error for a place that cannot be written.

    Args:
        what: Which place, as the beginning of the sentence.
        error: What the file system or DuckDB said.
    """
    to_do = remedy(error) or "look what is there"
    return PlaceUnusable(
        f"{what} cannot be written: {first_line(error).rstrip(' .')}; {to_do}, then publish again."
    )

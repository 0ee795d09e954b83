"""The check of who could change a file, besides root and the user who runs this."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

OTHERS = stat.S_IWGRP | stat.S_IWOTH


def writable_by_others(file: Path) -> Path | None:
    """Find what lets other users change a file, or put another in its place.

    That is the file itself or a folder on the way to it, as it is named and as links lead to it:
    one that belongs to another user, who may give himself any right, or that others may write.
    In a folder with the sticky bit, such as ``/tmp``, others may not replace what root or this
    user owns. A file that is not there yet may be made by all who can write its folder.

    Args:
        file: The file, which need not exist.

    Returns:
        What others own, or its group or everybody may write; or nothing.

    Raises:
        OSError: A folder cannot be looked at.
    """
    if file.exists() and (is_foreign(file) or file.stat().st_mode & OTHERS):
        return file
    for way in (file.absolute(), file.resolve()):
        for below, folder in zip((way, *way.parents), way.parents, strict=False):
            if folder.exists() and is_foreign(folder):
                return folder
            if _lets_replace(folder, below):
                return folder
    return None


def is_foreign(path: Path) -> bool:
    """Tell whether a file, a folder or a link to one belongs to neither root nor this user."""
    ours = {0, os.geteuid()}
    return path.stat().st_uid not in ours or path.lstat().st_uid not in ours


def _lets_replace(folder: Path, entry: Path) -> bool:
    """Whether others may replace an entry of a folder, which need not be there."""
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        return False  # the folder above decides who makes it
    if not mode & OTHERS:
        return False
    try:
        owner = entry.lstat().st_uid
    except FileNotFoundError:
        return True
    return not mode & stat.S_ISVTX or owner not in {0, os.geteuid()}

"""The numbered files in the publications' folder: their names, which are kept, which go."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from publication import durable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from pathlib import Path

    from publication.manifest import Pointer

_NAME = re.compile(r"(?P<number>\d{6,})-[0-9a-f]{8}\.duckdb")

_MANIFEST = re.compile(r"(\d{6,})-[0-9a-f]{8}\.json", re.ASCII)

TICK = 2.0
"""Seconds: no file system writes times more coarsely."""


class Entry(NamedTuple):
    """One publication's place on the shelf; its file or its manifest may be missing."""

    number: int
    file: Path

    @property
    def manifest(self) -> Path:
        """The manifest's path, beside the file."""
        return self.file.with_suffix(".json")

    def remove(self) -> None:
        """Remove both. The manifest goes first: what has none is on no list."""
        self.manifest.unlink(missing_ok=True)
        self.file.unlink(missing_ok=True)


def name(number: int, digest: str) -> str:
    """The file name of a publication: its number and the first of its content digest."""
    return f"{number:06d}-{digest.removeprefix('sha256:')[:8]}.duckdb"


def number(file: str) -> int | None:
    """The number in the file name of a publication; none if it is not named as one."""
    match = _NAME.fullmatch(file)
    return int(match["number"]) if match else None


def entries(folder: Path) -> list[Entry]:
    """Everything numbered in the folder, newest first, whole or not."""
    found = set()
    for suffix in (".duckdb", ".json"):
        for path in folder.glob(f"*{suffix}"):
            file = path.with_suffix(".duckdb")
            if (its := number(file.name)) is not None:
                found.add(Entry(its, file))
    return sorted(found, reverse=True)


class Listing:
    """The names of the manifests in a folder, which are listed anew only when it has changed.

    Clients of the API ask for them, and a folder may have very many.
    """

    def __init__(self) -> None:
        """List nothing yet."""
        self._modified = -1
        self._seen = 0.0
        self._final = False
        self._names: dict[int, str] = {}

    def names(self, folder: Path) -> dict[int, str]:
        """Return the manifests' names by number, newest first; none of an unreadable folder."""
        try:
            modified = folder.stat().st_mtime_ns
            now = time.monotonic()
            if modified != self._modified:
                self._modified, self._seen, self._final = modified, now, False
            if not self._final:
                found = filter(None, map(_MANIFEST.fullmatch, os.listdir(folder)))  # noqa: PTH208
                self._names = dict(sorted(((int(one[1]), one[0]) for one in found), reverse=True))
                # Until then a second change might have left the folder's time as it is.
                self._final = now - self._seen > TICK
        except OSError:
            return {}
        return self._names


def highest(folder: Path) -> int:
    """The highest number in the folder, of a file or a manifest; 0 if there is none."""
    return max((entry.number for entry in entries(folder)), default=0)


def remove_halves(folder: Path, pointer: Pointer | None) -> list[str]:
    """Remove what crashed publishers left: files without manifest, and manifests half written.

    What the pointer names stays: no publisher left it half, somebody lost its manifest, who may
    have a copy. What is whole stays, too, though its number is higher than the pointer's: an older
    pointer may have been put back, and numbers that somebody saw must not come again.

    Args:
        folder: The publications' folder; the caller holds its lock.
        pointer: Which publication is current, if that is known.

    Returns:
        The names of what was removed.
    """
    removed = []
    half = folder / durable.WRITING
    if half.exists():
        half.unlink()
        removed.append(half.name)
    for entry in entries(folder):
        if pointer is not None and entry.file.name == pointer.file:
            continue
        if not entry.manifest.exists():
            entry.remove()
            removed.append(entry.file.name)
    return removed


def remove_old(
    folder: Path, current: int, keep: int, keep_for: timedelta, moved: Mapping[str, float]
) -> list[OSError]:
    """Remove all but the newest publications, the young ones and the current one.

    Args:
        folder: The publications' folder; the caller holds its lock.
        current: The current number.
        keep: How many of the newest are kept, whatever their age.
        keep_for: What was published less than this ago is kept, however many there are.
        moved: By how many seconds the clock was moved since, by the name of the file.

    Returns:
        Why some could not be removed; the next publication tries again.
    """
    failures = []
    oldest = time.time() - keep_for.total_seconds()
    for entry in entries(folder)[keep:]:
        try:
            if entry.number == current:
                continue
            published = entry.manifest.stat().st_mtime + moved.get(entry.file.name, 0.0)
            if published <= oldest:
                entry.remove()
        except OSError as error:
            failures.append(error)
    return failures

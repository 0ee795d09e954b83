"""Whether somebody moved the machine's clock between two publications.

How old a publication is, its manifest's modification time says, and with it the clock. A clock
that is put forward would make all of them old at once. So each publication notes by how much the
clock is ahead of the machine's uptime, which nobody can move: where that has changed since the
last one, the clock was moved by the difference, and that is noted for all that were published
before. No file's time is changed. The note is replaced as a whole: where it cannot be, the next
publication finds what this one found, and comes to the same.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from publication import durable, shelf

NAME = ".clock"
"""The name of the note in the publications' folder."""

BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Tells one start of the machine from the next. Only Linux has it; elsewhere, and from one start
to the next, the clock is trusted."""

DRIFT = 60.0
"""Seconds between two publications that are no move: clocks are also set right bit by bit."""


class Note(msgspec.Struct, frozen=True):
    """What a publication notes.

    Attributes:
        boot: Which start of the machine it belongs to.
        ahead: By how many seconds the clock is ahead of the uptime.
        number: The publication's.
        moved: By how many seconds the clock was moved since a file was published, by its name;
            less than 0 if it was put back. Those that are not named were published with the clock
            as it is.
    """

    boot: str
    ahead: float
    number: int = 0
    moved: dict[str, float] = {}


def follow(folder: Path, current: int) -> Note | None:
    """Find out by how much the clock was moved since each publication.

    Where notes could not be written, nobody knows which of the publications since the last one were
    made before the clock was moved: they are taken for the younger they can be.

    Args:
        folder: The publications' folder; the caller holds its lock.
        current: The number that was published just now, with the clock as it is.

    Returns:
        What is to be noted; none where the machine does not tell.

    Raises:
        OSError: The last note cannot be read.
    """
    now = _read(current)
    try:
        before = msgspec.json.decode((folder / NAME).read_bytes(), type=Note)
    except (FileNotFoundError, msgspec.MsgspecError):
        return now  # the first note, or a damaged one
    if now is None:
        return None
    by = now.ahead - before.ahead
    if now.boot != before.boot or abs(by) <= DRIFT:
        by = 0.0
    moved = {}
    for entry in shelf.entries(folder):
        if entry.number != current:
            known = entry.number <= before.number
            its = before.moved.get(entry.file.name, 0.0) + (by if known else max(by, 0.0))
            if its:
                moved[entry.file.name] = its
    return msgspec.structs.replace(now, moved=moved)


def write(folder: Path, note: Note) -> None:
    """Note how the clock is, for the next publication.

    Raises:
        OSError: The note cannot be written, and the last one is as it was.
    """
    durable.write(folder / NAME, msgspec.json.encode(note), 0o644)


def _read(number: int) -> Note | None:
    """Read clock and uptime; none where the machine does not tell."""
    try:
        boot = BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return Note(boot, time.time() - time.clock_gettime(time.CLOCK_BOOTTIME), number)

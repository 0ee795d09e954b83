"""Whether somebody moved the machine's clock between two publications.

How old a publication is, its manifest's modification time says, and with it the clock. A clock
that is put forward would make all of them old at once. So each publication notes by how much the
clock is ahead of the machine's uptime, which nobody can move: where that has changed since the
last one, the clock was moved by the difference.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from publication import shelf

NAME = ".clock"
"""The name of the note in the publications' folder."""

BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Tells one start of the machine from the next. Only Linux has it; elsewhere, and from one start
to the next, the clock is trusted."""

DRIFT = 60.0
"""Seconds between two publications that are no move: clocks are also set right bit by bit."""


class Reading(msgspec.Struct, frozen=True):
    """What a publication notes.

    Attributes:
        boot: Which start of the machine it belongs to.
        ahead: By how many seconds the clock is ahead of the uptime.
    """

    boot: str
    ahead: float


def read() -> Reading | None:
    """Read clock and uptime; none where the machine does not tell."""
    try:
        boot = BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return Reading(boot, time.time() - time.clock_gettime(time.CLOCK_BOOTTIME))


def follow(folder: Path, current: int) -> Reading | None:
    """Let the times of what was published move with the clock.

    Args:
        folder: The publications' folder; the caller holds its lock.
        current: The number that was published just now, with the clock as it is.

    Returns:
        What is to be noted.
    """
    now = read()
    try:
        before = msgspec.json.decode((folder / NAME).read_bytes(), type=Reading)
    except (FileNotFoundError, msgspec.MsgspecError):
        return now  # the first note, or a half one
    if now is not None and now.boot == before.boot and abs(by := now.ahead - before.ahead) > DRIFT:
        shelf.shift(folder, current, by)
    return now


def note(folder: Path, reading: Reading | None) -> None:
    """Note how the clock is, for the next publication."""
    if reading is not None:
        (folder / NAME).write_bytes(msgspec.json.encode(reading))

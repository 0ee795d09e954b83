"""Changes to a folder that survive a crash whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import contextmanager, suppress
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRITING = ".writing"
"""The name, or its end, of what is being written and will take another's place."""

POLL = 0.05
"""Seconds between two tries to take a lock."""

PATIENCE = 1.0
"""Seconds of waiting for a lock that need no word."""


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, data: bytes, mode: int) -> None:
    """Replace a file in one step: whoever opens it reads the old bytes or the new, never a mix.

    Args:
        path: The file; it need not exist.
        data: All its new bytes.
        mode: Its permissions, such as ``0o444``.
    """
    with prepared(path, data, mode) as new:
        new.replace(path)
        sync(path.parent)


@contextmanager
def prepared(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """Write what is to replace a file, so that only ``replace`` can still fail.

    One writer at a time per folder: the bytes go to ``.writing``, which is gone in the end, and
    which the next writer replaces if this one crashes.

    Args:
        path: The file; it need not exist.
        data: All its new bytes, which are on the disk when this yields.
        mode: Its permissions, such as ``0o444``.
    """
    with _temporary(path.with_name(WRITING)) as temporary:
        temporary.write_bytes(data)
        temporary.chmod(mode)
        sync(temporary)
        yield temporary


@contextmanager
def prepared_link(path: Path, target: Path) -> Iterator[Path]:
    """Make the symbolic link that is to replace another, so that only ``replace`` can still fail.

    Args:
        path: The link; it need not exist.
        target: What it leads to. The link is relative, so that the folder of both can be moved
            or mounted elsewhere.
    """
    half = _half_link(path)
    with _temporary(half) as temporary:
        temporary.symlink_to(os.path.relpath(target.resolve(), half.parent))
        yield temporary


def remove_half_link(path: Path) -> list[str]:
    """Remove what a writer left that was killed before it replaced a symbolic link.

    Args:
        path: The link; it need not exist.

    Returns:
        The name of what was removed, if there was something.
    """
    half = _half_link(path)
    if not os.path.lexists(half):
        return []
    half.unlink()
    return [half.name]


def _half_link(path: Path) -> Path:
    return path.parent.resolve() / f".{path.name}{WRITING}"


def relink(path: Path, target: Path) -> bool:
    """Lead a symbolic link to where it should lead.

    Args:
        path: The link; it need not exist.
        target: What it should lead to.

    Returns:
        Whether it led elsewhere, or was not there.
    """
    if os.path.realpath(path) == os.path.realpath(target):
        return False
    with prepared_link(path, target) as new:
        new.replace(path)
        sync(path.parent)
    return True


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    path.unlink(missing_ok=True)
    try:
        yield path
    finally:
        with suppress(OSError):  # the error that brought us here says more
            path.unlink(missing_ok=True)


def repeat(old: Path, new: Path) -> None:
    """Give a file that never changes a second name: a hard link, or a copy where there are none."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)
        sync(new)


def open_lock(path: Path) -> int:
    """Open the file of a lock, for nobody but its owner: who can open it could hold it.

    Args:
        path: The file; it is made if it is not there, and never removed.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    found = os.fstat(descriptor)
    if found.st_uid == os.geteuid() and found.st_mode & 0o077:  # an older version made it
        os.fchmod(descriptor, 0o600)
    return descriptor


def take(
    descriptor: int, waiting: Callable[[str], None], deadline: float | None = None
) -> str | None:
    """Take a lock that one process has at a time; the system lets it go when the process dies.

    Args:
        descriptor: The file of the lock, which says which process holds it.
        waiting: Hears once who holds it, if that lasts a second.
        deadline: Until when to wait, by the monotonic clock; for ever if not given.

    Returns:
        Which process holds it, if it was not let go in time.
    """
    patience = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            now = time.monotonic()
            holder = f"process {os.pread(descriptor, 20, 0).decode('ascii', 'replace') or '?'}"
            if deadline is not None and now >= deadline:
                return holder
            if now >= patience:
                waiting(holder)
                patience = inf
            time.sleep(POLL)
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return None


@contextmanager
def exclusive(path: Path, waiting: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Hold a lock that one process has at a time; the system lets it go when the process dies.

    Args:
        path: The lock's file; it is made if it is not there, and never removed.
        waiting: Hears which process holds it, if that lasts a second.
    """
    descriptor = open_lock(path)
    try:
        take(descriptor, waiting)
        yield
    finally:
        os.close(descriptor)

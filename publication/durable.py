"""Changes to a folder that survive a crash whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITING = ".writing"
"""The name, or its end, of what is being written and will take another's place."""


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


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock that one process has at a time; the system lets it go when the process dies.

    Args:
        path: The lock's file; it is made if it is not there, and never removed.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

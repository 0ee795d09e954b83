"""Changes to a folder that survive a crash whole or not at all."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, data: bytes, mode: int) -> None:
    """Replace a file in one step: whoever opens it reads the old bytes or the new, never a mix.

    One writer at a time per folder: the bytes go to ``.writing`` first, which the next writer
    replaces if this one crashes.

    Args:
        path: The file; it need not exist.
        data: All its new bytes.
        mode: Its permissions, such as ``0o444``.
    """
    temporary = path.with_name(".writing")
    temporary.unlink(missing_ok=True)
    temporary.write_bytes(data)
    temporary.chmod(mode)
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)


def link(path: Path, target: Path) -> None:
    """Point a relative symbolic link at a target, in one step.

    Args:
        path: The link; it need not exist.
        target: What it leads to. The link is relative, so that the folder of both can be moved
            or mounted elsewhere.
    """
    folder = path.parent.resolve()
    temporary = folder / f".{path.name}.writing"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(target.resolve(), folder))
    temporary.replace(folder / path.name)
    sync(folder)


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

"""Files being built: each in a folder of its own, which nobody but its builder looks at.

The builder holds a lock on its folder for as long as it lives, so that another one can tell a
build that goes on from the left-overs of one that crashed.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING

import duckdb

from publication import durable
from publication.checks import STORAGE_VERSION
from publication.sql import literal

if TYPE_CHECKING:
    from pathlib import Path

_held: dict[Path, int] = {}
"""The locks of this process: the staged file and the descriptor that holds its folder's lock."""


def create(folder: Path, invocation_id: str) -> Path:
    """Make an empty DuckDB file, of the storage version that older tools can open.

    Args:
        folder: Where the staging folders are. The caller holds the publications' lock, so that
            :func:`sweep` never sees a folder whose lock is not taken yet.
        invocation_id: Part of the name, for people who look.
    """
    own = folder / f"{re.sub(r'[^A-Za-z0-9-]', '_', invocation_id)}-{uuid.uuid4().hex[:8]}"
    staged = own / "marts.duckdb"
    with ExitStack() as undo:
        own.mkdir(parents=True)
        undo.callback(shutil.rmtree, own, ignore_errors=True)
        descriptor = durable.open_lock(own / "lock")
        undo.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        make_empty(staged)
        undo.pop_all()
    _held[staged] = descriptor
    return staged


def make_empty(staged: Path) -> None:
    """Make an empty file in place of what may be there."""
    staged.unlink(missing_ok=True)
    staged.with_name(f"{staged.name}.wal").unlink(missing_ok=True)
    with duckdb.connect() as connection:
        connection.execute(
            f"attach {literal(str(staged))} as staged (storage_version '{STORAGE_VERSION}')"
        )


def release(staged: Path) -> None:
    """Remove a staged file's folder and let its lock go, whether it was published or not."""
    descriptor = _held.pop(staged, None)
    if descriptor is not None:
        shutil.rmtree(staged.parent, ignore_errors=True)  # if that fails, a sweep comes after us
        os.close(descriptor)


def sweep(folder: Path) -> list[str]:
    """Remove the folders whose builders are dead. The caller holds the publications' lock.

    A living builder may remove its own at any moment, without that lock.

    Returns:
        The names of what was removed.
    """
    removed = []
    for own in folder.glob("*/"):
        try:
            descriptor = durable.open_lock(own / "lock")
        except OSError:
            continue  # gone meanwhile, or somebody else's to remove
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if own.exists():
                shutil.rmtree(own, ignore_errors=True)
                if not own.exists():
                    removed.append(own.name)
        except BlockingIOError:
            pass  # its builder lives
        finally:
            os.close(descriptor)
    return removed

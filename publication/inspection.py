"""What a finished file holds, read in a fresh read-only connection of its own."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import duckdb
import msgspec

from publication.checks import (
    check_columns,
    check_grain,
    check_objects,
    check_values,
    counted,
)
from publication.connection import connect, first_line
from publication.digest import content_digest
from publication.errors import DraftRejected, PublicationBroken, PublicationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from publication.manifest import Manifest, Mart, MartDraft


def inspect(path: Path, drafts: Iterable[MartDraft]) -> tuple[tuple[Mart, ...], str]:
    """Check a file that was finished, and count and digest what it holds.

    Returns:
        The marts by name, complete, and the content digest.

    Raises:
        DraftRejected: The file is not what a publication has to be.
        PublicationBroken: It cannot be opened.
    """
    drafts = sorted(drafts, key=lambda mart: mart.name)
    log = path.with_name(f"{path.name}.wal")
    if log.exists():
        raise DraftRejected(f"{path} has a write-ahead log beside it; somebody still writes it.")
    with connect(path) as connection:
        try:
            check_objects(connection, drafts)
            for mart in drafts:
                check_columns(connection, mart)
                check_values(connection, mart)
                check_grain(connection, mart)
            marts = tuple(counted(connection, mart) for mart in drafts)
            return marts, content_digest(connection, marts)
        except duckdb.Error as error:
            raise DraftRejected(f"{path} cannot be read whole: {first_line(error)}") from error


def sha256(path: Path) -> str:
    """The hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path, manifest: Manifest) -> None:
    """Compare a publication's file with what its manifest says: bytes, mode, tables, content.

    Raises:
        PublicationBroken: They differ, or the file is missing.
    """

    def broken(what: str) -> PublicationBroken:
        return PublicationBroken(f"Publication {manifest.number} is broken: {what}.")

    try:
        mode = path.stat().st_mode & 0o777
        digest = sha256(path)
    except OSError as error:
        raise broken(f"{path} cannot be read ({error.strerror})") from error
    if mode & 0o222:
        raise broken(f"{path} has mode {mode:04o} and should be read-only (0444)")
    if digest != manifest.sha256:
        raise broken(f"the bytes of {path} have changed since it was published")
    try:
        marts, content = inspect(path, manifest.marts)
    except PublicationError as error:
        raise broken(str(error).removesuffix(".")) from error
    for found, published in zip(marts, manifest.marts, strict=True):
        # A manifest may say less of a mart's order than there is to say.
        known = msgspec.structs.replace(found, sorted=found.sorted and published.sorted)
        if known != published:
            raise broken(
                f'mart "{found.name}" has {found.rows} rows, and not {published.rows}'
                if found.rows != published.rows
                else f'mart "{found.name}" has other columns than were published'
            )
    if content != manifest.digest:
        raise broken(f"its content digest is {content}, and not {manifest.digest}")

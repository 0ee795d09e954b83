"""What a finished file holds, read in a fresh read-only connection of its own."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec

from publication.checks import check_columns, check_grain, check_objects, check_rows
from publication.connection import MartFile, connect, first_line
from publication.digest import RULE, content_digest, mart_digest
from publication.errors import DraftRejected, PublicationBroken, PublicationError
from publication.manifest import Mart, MartDraft
from publication.properties import type_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from publication.manifest import Manifest


def inspect(
    file: MartFile, drafts: Iterable[MartDraft], reused: Mapping[str, Mart] | None = None
) -> tuple[Mart, ...]:
    """Check a file that was finished, and count and digest what it holds.

    Args:
        file: The file, open read-only.
        drafts: The marts that it should hold.
        reused: By name, those whose rows were checked when they were published before.

    Returns:
        The marts by name, complete.

    Raises:
        DraftRejected: The file is not what a publication has to be.
    """
    drafts = sorted(drafts, key=lambda mart: mart.name)
    try:
        check_objects(file, drafts)
        for draft in drafts:
            check_columns(file, draft)
        return tuple(
            _repeated(file, draft, reused[draft.name])
            if reused and draft.name in reused
            else _read(file, draft)
            for draft in drafts
        )
    except duckdb.Error as error:
        raise DraftRejected(f"The marts cannot be read whole: {first_line(error)}") from error


def _read(file: MartFile, draft: MartDraft) -> Mart:
    rows, fingerprint = check_rows(file, draft)
    is_sorted = check_grain(file, draft)
    mart = _completed(draft, rows=rows, sorted=is_sorted, fingerprint=fingerprint)
    return msgspec.structs.replace(mart, digest=mart_digest(file, mart))


def _repeated(file: MartFile, draft: MartDraft, old: Mart) -> Mart:
    (rows,) = file.connection.execute(
        f"select count(*) from {file.table(draft.name)}"  # noqa: S608 quoted
    ).fetchall()[0]
    if rows != old.rows:
        raise DraftRejected(
            f'Mart "{draft.name}" has {_counted(rows)}, and not {old.rows} as before; '
            "run `dbt build --full-refresh`."
        )
    known = {"sorted": old.sorted, "fingerprint": old.fingerprint, "digest": old.digest}
    return _completed(draft, rows=rows, **known)


def _completed(draft: MartDraft, **found: Any) -> Mart:  # noqa: ANN401
    """Complete a mart with what was found, and with its types as DuckDB spells them."""
    columns = tuple(
        msgspec.structs.replace(column, type=type_of(draft, column).name)
        for column in draft.columns
    )
    known = {field: getattr(draft, field) for field in MartDraft.__struct_fields__}
    return Mart(**{**known, "columns": columns}, **found)


def _counted(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"


def check_log(path: Path) -> None:
    """Check that no write-ahead log is beside a file: DuckDB would read it with the file.

    Raises:
        DraftRejected: There is one.
    """
    if path.with_name(f"{path.name}.wal").exists():
        raise DraftRejected(f"{path} has a write-ahead log beside it; somebody still writes it.")


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
        check_log(path)
        with connect(path) as connection:
            marts = inspect(MartFile.of(connection), manifest.marts)
    except PublicationError as error:
        raise broken(str(error).removesuffix(".")) from error
    for found, published in zip(marts, manifest.marts, strict=True):
        # A manifest may say less of a mart's order than there is to say, and an older one has no
        # digests. A fingerprint may be of another DuckDB.
        known = msgspec.structs.replace(
            found,
            sorted=found.sorted and published.sorted,
            digest=found.digest if manifest.rule == RULE else published.digest,
            fingerprint=published.fingerprint,
        )
        if known != published:
            raise broken(
                f'mart "{found.name}" has {_counted(found.rows)}, and not {published.rows}'
                if found.rows != published.rows
                else f'mart "{found.name}" has other rows or columns than were published'
            )
    if manifest.rule == RULE and (content := content_digest(marts)) != manifest.digest:
        raise broken(f"its content digest is {content}, and not {manifest.digest}")

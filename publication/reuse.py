"""Marts that did not change since the current publication: their bytes are copied, not their rows.

What is reused is the file of the current publication as its manifest has it, byte for byte. With
any doubt (another version of DuckDB, another contract, a damaged file) a mart is made anew.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

import duckdb

from publication import fingerprint
from publication.connection import attached
from publication.errors import PublicationError
from publication.properties import type_of
from publication.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from publication.manifest import Manifest, Mart
    from publication.run import BuiltMart
    from publication.store import Store

CHUNK_BYTES = 1 << 20


def reuse(
    store: Store,
    warehouse: duckdb.DuckDBPyConnection,
    staged: Path,
    marts: Iterable[BuiltMart],
) -> tuple[Mart, ...]:
    """Put the marts of the current publication that did not change into a staged file.

    Args:
        store: Where the current publication is.
        warehouse: A connection that sees the new marts.
        staged: An empty file, which holds those marts afterwards and nothing else. Where that
            fails it may hold anything.
        marts: What the run built.

    Returns:
        The marts that are in the file, as the current publication has them.

    Raises:
        OSError: The current file cannot be read, or there is no room for it.
        duckdb.Error: It cannot be changed.
    """
    try:
        current = store.current()
    except PublicationError:
        return ()
    if current is None:
        return ()
    unchanged = _unchanged(warehouse, current, marts)
    if unchanged and _copied(store.path(current), staged, current.sha256):
        with attached(warehouse, staged) as file:
            file.connection.execute(f"drop schema {identifier(file.catalog, 'meta')} cascade")
            for mart in current.marts:
                if mart not in unchanged:
                    file.connection.execute(f"drop table {file.table(mart.name)}")
            file.connection.execute(f"checkpoint {identifier(file.catalog)}")
            used, total = file.connection.execute(
                "select used_blocks, total_blocks from pragma_database_size() "
                "where database_name = ?",
                [file.catalog],
            ).fetchall()[0]
        # What was dropped leaves holes. A file that is mostly holes is made anew.
        if 2 * used >= total:
            return unchanged
    return ()


def _unchanged(
    warehouse: duckdb.DuckDBPyConnection, current: Manifest, marts: Iterable[BuiltMart]
) -> tuple[Mart, ...]:
    """The marts of a publication that hold what the warehouse holds now."""
    published = {mart.name: mart for mart in current.marts}
    found = []
    with warehouse.cursor() as own:
        own.execute("set session timezone = 'UTC'")
        for mart in marts:
            old = published.get(mart.name)
            if old is None or not old.fingerprint or not _alike(mart, old):
                continue
            with suppress(duckdb.Error):  # copying its rows says what is wrong with them
                if _fingerprint(own, mart, old) == old.fingerprint:
                    found.append(old)
    return tuple(found)


def _alike(mart: BuiltMart, old: Mart) -> bool:
    columns = [
        (column.name, type_of(mart, column).name, column.nullable) for column in mart.columns
    ]
    return mart.grain == old.grain and columns == [
        (column.name, column.type, column.nullable) for column in old.columns
    ]


def _fingerprint(warehouse: duckdb.DuckDBPyConnection, mart: BuiltMart, old: Mart) -> str | None:
    """The fingerprint of a mart in the warehouse; none where its size or columns tell enough."""
    columns = warehouse.execute(f"describe {mart.relation}").fetchall()
    if [tuple(column[:2]) for column in columns] != [(one.name, one.type) for one in old.columns]:
        return None
    (rows,) = warehouse.execute(f"select count(*) from {mart.relation}").fetchall()[0]  # noqa: S608 quoted
    if rows != old.rows:
        return None
    first, second = warehouse.execute(
        f"select {fingerprint.sums(old.columns)} from {mart.relation}"  # noqa: S608 quoted
    ).fetchall()[0]
    return fingerprint.spelled(rows, first, second)


def _copied(source: Path, target: Path, sha256: str) -> bool:
    """Copy a file; tell whether the bytes that were copied are those of the digest."""
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as write:
        while chunk := read.read(CHUNK_BYTES):
            digest.update(chunk)
            write.write(chunk)
    return digest.hexdigest() == sha256

"""How everyone but the builder opens a publication."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import duckdb

from publication.errors import PublicationBroken, PublicationHeld

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOCKED_DOWN = {
    "enable_external_access": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
"""No other file, no network, no extension, no Python object: the publication and nothing else."""

_locking = threading.Lock()
"""Connections of one process to one file share their settings: one at a time locks them."""


def first_line(error: Exception) -> str:
    """The line of a DuckDB error that says what is wrong; the others draw where."""
    return str(error).partition("\n")[0]


def connect(
    path: Path,
    *,
    threads: int | None = None,
    memory: str | None = None,
    without: Sequence[str] = (),
) -> duckdb.DuckDBPyConnection:
    """Open a publication's file read-only and locked down, with ``TimeZone`` UTC.

    Its cursors share all of that. Nobody can take the settings back on any of them.

    Args:
        path: The DuckDB file, by its own name (never by a link that may move meanwhile).
        threads: How many threads a query may use; DuckDB's default if not given. Two connections
            of one process to one file must agree on it.
        memory: How much memory its queries may use together, as DuckDB writes it (``512MB``). What
            needs more fails: nothing is put on disk. DuckDB's defaults if not given.
        without: Optimizers of DuckDB that its queries do not need
            (https://duckdb.org/docs/stable/configuration/pragmas#optimizer); to plan a short query
            takes longer than to run it. Connections of one process must agree on them, too.

    Raises:
        PublicationHeld: Another program has it open for writing.
        PublicationBroken: It is missing or damaged.
    """
    config: dict[str, str | bool | int | float | list[str]] = {**LOCKED_DOWN}
    if threads is not None:
        config["threads"] = threads
    if memory is not None:
        config |= {"memory_limit": memory, "temp_directory": ""}
    if without:
        config["disabled_optimizers"] = ",".join(without)
    try:
        with _locking:
            connection = duckdb.connect(path, read_only=True, config=config)
            # A second connection of this process to the same file finds everything locked already.
            locked = connection.execute("select current_setting('lock_configuration')").fetchall()
            if locked != [(True,)]:
                connection.execute("set global timezone = 'UTC'; set lock_configuration = true")
    except duckdb.Error as error:
        broken = PublicationHeld if "Conflicting lock" in str(error) else PublicationBroken
        raise broken(f"{path} cannot be opened: {first_line(error)}") from error
    return connection

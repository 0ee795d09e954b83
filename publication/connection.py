"""How a publication's file is opened: locked down by its readers, attached by its builder."""

from __future__ import annotations

import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from publication.errors import PublicationBroken, PublicationHeld
from publication.sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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


@dataclass(frozen=True)
class MartFile:
    """A file of marts that is open.

    Attributes:
        connection: A connection that sees it, with ``TimeZone`` UTC.
        catalog: What DuckDB calls the file there.
    """

    connection: duckdb.DuckDBPyConnection
    catalog: str

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection) -> MartFile:
        """The file that :func:`connect` opened."""
        (catalog,) = connection.execute("select current_database()").fetchall()[0]
        return cls(connection, str(catalog))

    def table(self, name: str, schema: str = "main") -> str:
        """The full quoted name of one of its tables."""
        return identifier(self.catalog, schema, name)


@contextmanager
def attached(
    connection: duckdb.DuckDBPyConnection, path: Path, *, read_only: bool = False
) -> Iterator[MartFile]:
    """Attach a file to the instance of a connection, so that one memory limit holds for all of it.

    Args:
        connection: Where to; it stays as it is, with its own time zone. How the whole instance
            orders rows is as before when the file is detached.
        path: The DuckDB file, which nobody has open.
        read_only: Whether nothing is written.
    """
    catalog = f"publication_{uuid.uuid4().hex}"
    with connection.cursor() as own:
        own.execute("set session timezone = 'UTC'")
        order = "select current_setting('preserve_insertion_order')"
        (before,) = own.execute(order).fetchall()[0]
        own.execute("set preserve_insertion_order = true")  # sorted rows are read as they lie
        options = " (read_only)" if read_only else ""
        try:
            own.execute(f"attach {literal(str(path))} as {catalog}{options}")
            try:
                yield MartFile(own, catalog)
            finally:
                own.execute(f"detach {catalog}")
        finally:
            own.execute(f"set preserve_insertion_order = {before}")

"""How much memory DuckDB may take in a build or a load."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb

from lake.errors import OutOfRoom, SettingInvalid, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

AMOUNT = re.compile(
    r"([1-9]\d{0,5}(\.\d{1,3})?|0\.[1-9]\d{0,2}) ?[MGT](i?B)?", re.ASCII | re.IGNORECASE
)
"""An amount as DuckDB reads it: ``512MB``, ``1.5 GiB``. In a few kilobytes nothing is built."""

TEMPORARY = "max_temp_directory_size"
"""What DuckDB names where the disk is full that memory goes to: to it that is out of memory too."""


def limit() -> str:
    """Return ``LEADMARTS_MEMORY`` (``512MB``); a build has the same by way of ``profiles.yml``.

    Raises:
        SettingInvalid: It is no amount of memory.
    """
    amount = os.environ.get("LEADMARTS_MEMORY") or "512MB"
    check(amount)
    return amount


def check(amount: str) -> None:
    """See that an amount of memory is one, before DuckDB is told to keep to it.

    Raises:
        SettingInvalid: It is none.
    """
    if not AMOUNT.fullmatch(amount):
        raise SettingInvalid(
            f'LEADMARTS_MEMORY (or memory_limit in profiles.yml) is "{amount[:40]}"; set it to an '
            "amount of memory, such as 512MB or 4GB."
        )


NO_ROOM = (
    duckdb.IOException,
    duckdb.TransactionException,
    duckdb.FatalException,
    duckdb.OutOfMemoryException,
)
"""What DuckDB raises where the disk or the memory it may use is full, even if only at a commit."""


@contextmanager
def database(what: str, outcome: str = "") -> Iterator[DuckDBPyConnection]:
    """Make a database in a temporary folder that keeps to :func:`limit`, and remove it at the end.

    Args:
        what: What is to be sorted out there, as a sentence begins with it.
        outcome: A further sentence for the error, such as what has not been done.

    Raises:
        OutOfRoom: The memory or the disk is too small for it.
        SettingInvalid: ``LEADMARTS_MEMORY`` is no amount of memory.
    """
    amount = limit()
    with TemporaryDirectory(prefix="leadmarts-") as folder:
        try:
            with duckdb.connect(Path(folder, "staging.duckdb")) as made:
                made.execute(f"set memory_limit = '{amount}'; set timezone = 'UTC'")
                yield made
        except NO_ROOM as error:
            said = _no_room(what, Path(folder).parent, amount, error)
            raise OutOfRoom(f"{said} {outcome}".rstrip()) from error


def _no_room(what: str, folder: Path, amount: str, error: Exception) -> str:
    """Say whether memory or disk is short, and what to do."""
    said = str(error)
    if ("Out of Memory" in said or "failed to allocate" in said) and TEMPORARY not in said:
        return (
            f"{what} cannot be sorted out in {amount} of memory ({reason(error)}): set "
            "LEADMARTS_MEMORY to more, such as 2GB."
        )
    return (
        f"{what} cannot be sorted out in {folder} ({reason(error)}): make room there for a few "
        "times its size, or name another folder with TMPDIR."
    )

"""How much memory DuckDB may take in a build or a load."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from lake.errors import SettingInvalid, reason

if TYPE_CHECKING:
    from pathlib import Path

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


def no_room(place: str, folder: Path, limit: str, error: Exception) -> str:
    """Say whether memory or disk is short, and what to do."""
    said = str(error)
    if ("Out of Memory" in said or "failed to allocate" in said) and TEMPORARY not in said:
        return (
            f"{place} cannot be sorted out in {limit} of memory ({reason(error)}): set "
            "LEADMARTS_MEMORY to more, such as 2GB. Nothing was loaded."
        )
    return (
        f"{place} cannot be sorted out in {folder} ({reason(error)}): make room there for a few "
        "times its size, or name another folder with TMPDIR. Nothing was loaded."
    )

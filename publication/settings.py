"""Where publications are and how many are kept: the profile's word, the environment's, ours."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from publication.errors import SettingInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping


MOST = 1_000_000
"""A setting higher than this is a slip of the hand."""


@dataclass(frozen=True)
class Settings:
    """What a :class:`publication.Store` is made with.

    Attributes:
        folder: ``folder`` in the profile, ``LEADMARTS_PUBLICATIONS``, or ``publications`` below
            ``LEADMARTS_DATA`` (by default ``data``).
        link: ``link`` in the profile, or ``marts.duckdb`` below ``LEADMARTS_DATA``.
        keep: ``keep`` in the profile, ``LEADMARTS_KEEP_PUBLICATIONS``, or 5. A whole number of
            at least 1.
        keep_for: ``keep_for_hours`` in the profile, ``LEADMARTS_KEEP_HOURS``, or 1 hour. At
            least 0.
        wait_seconds: ``wait_seconds`` in the profile, or 10. For how long a dbt command waits for
            another one that holds the warehouse.
    """

    folder: Path
    link: Path
    keep: int
    keep_for: timedelta
    wait_seconds: float

    @classmethod
    def read(cls, profile: Mapping[str, object]) -> Settings:
        """Read each setting from the first place that has it; an empty text counts as not set.

        Args:
            profile: The plugin's ``config`` in dbt's ``profiles.yml``, or nothing.

        Raises:
            SettingInvalid: A limit is no number, or out of range.
        """

        def given(key: str, variable: str) -> str:
            return str(profile.get(key, "")) or os.environ.get(variable, "")

        data = Path(os.environ.get("LEADMARTS_DATA") or "data")
        folder = given("folder", "LEADMARTS_PUBLICATIONS")
        link = str(profile.get("link", ""))
        keep = given("keep", "LEADMARTS_KEEP_PUBLICATIONS") or "5"
        hours = given("keep_for_hours", "LEADMARTS_KEEP_HOURS") or "1"
        return cls(
            folder=Path(folder) if folder else data / "publications",
            link=Path(link) if link else data / "marts.duckdb",
            keep=_whole_number(keep, "LEADMARTS_KEEP_PUBLICATIONS (or keep)"),
            keep_for=timedelta(hours=_number(hours, "LEADMARTS_KEEP_HOURS (or keep_for_hours)")),
            wait_seconds=_number(str(profile.get("wait_seconds", "")) or "10", "wait_seconds"),
        )


def _whole_number(text: str, name: str) -> int:
    # Long before int() would count thousands of digits, it is a slip of the hand.
    if not text.isdecimal() or len(text) > len(str(MOST)) or not 1 <= int(text) <= MOST:
        raise SettingInvalid(
            f'{name} is "{_start(text)}"; set it to a whole number from 1 to {MOST:,}.'
        )
    return int(text)


def _number(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= MOST:
        raise SettingInvalid(f'{name} is "{_start(text)}"; set it to a number from 0 to {MOST:,}.')
    return number


def _start(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"

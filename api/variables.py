"""Environment variables: numbers, and what is wrong with several."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from api.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def whole_number(variable: str, default: int, most: int, least: int = 1) -> int:
    """Read a whole number.

    Args:
        variable: Its name. One that is empty counts as not set.
        default: What it is if it is not set.
        most: The largest that makes sense.
        least: The smallest, 0 or 1.

    Raises:
        SettingsError: It is something else.
    """
    text = os.environ.get(variable) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
        raise SettingsError(
            f'{variable} is "{text[:40]}"; set it to a whole number from {least} to {most:,}.'
        )
    return int(text)


def read_all(parts: Mapping[str, Callable[[], object]], *others: type[Exception]) -> dict[str, Any]:
    """Read several settings, and say of all that are wrong in one go what it is.

    Args:
        parts: What reads each, by its name.
        others: What they raise besides SettingsError.

    Raises:
        SettingsError: Some are wrong; it has a line for each.
    """
    told: dict[str, Any] = {}
    wrong = []
    errors: tuple[type[Exception], ...] = (SettingsError, *others)
    for name, read in parts.items():
        try:
            told[name] = read()
        except errors as error:
            wrong.append(str(error))
    if wrong:
        raise SettingsError("\n".join(wrong))
    return told


def share(variable: str, default: float) -> float:
    """Read a share, a number from 0 to 1.

    Args:
        variable: Its name. One that is empty counts as not set.
        default: What it is if it is not set.

    Raises:
        SettingsError: It is something else.
    """
    text = os.environ.get(variable) or str(default)
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 1:
        raise SettingsError(f'{variable} is "{text[:40]}"; set it to a number from 0 to 1.')
    return number

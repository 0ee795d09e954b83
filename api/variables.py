"""Environment variables that hold numbers."""

from __future__ import annotations

import os

from api.errors import SettingsError


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

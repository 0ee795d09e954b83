"""How busy each day of the demo lake is: weekends, seasons, growth and luck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lake.demo import draws

if TYPE_CHECKING:
    from datetime import date

    import numpy.typing as npt

MONTHS = (96, 100, 112, 104, 98, 94, 78, 52, 118, 122, 116, 70)
"""How busy January to December are: a summer slump, a strong autumn, a quiet Christmas."""

GROWTH = (100, 160)
"""How busy the first and the last day are, all else being equal."""

SATURDAY = 5
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""


@dataclass(frozen=True)
class Period:
    """The days of a demo lake.

    Attributes:
        end: The last day (inclusive).
        days: How many days there are, the last included.
        seed: Decides each day's luck.
    """

    end: date
    days: int
    seed: int

    @property
    def ordinals(self) -> npt.NDArray[np.int64]:
        """Each day as the number of days since 1970-01-01."""
        last = np.datetime64(self.end, "D").astype(np.int64)
        return np.arange(last - self.days + 1, last + 1)

    @property
    def growth(self) -> npt.NDArray[np.int64]:
        """The slow rise from the first day to the last, in per cent."""
        first, last = GROWTH
        return first + (last - first) * np.arange(self.days) // self.days


def weekdays(ordinals: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the weekday of each day, 0 being Monday."""
    return (ordinals + EPOCH_WEEKDAY) % 7


def months(ordinals: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the month of each day, 0 being January."""
    return ordinals.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12


def business(period: Period, week: tuple[int, ...], stream: int) -> npt.NDArray[np.int64]:
    """Return how busy each day is, as a positive integer with a mean of some thousands.

    Args:
        period: The days.
        week: How busy Monday to Sunday are.
        stream: The stream of the luck, which is up to a quarter either way.
    """
    luck = 75 + draws.below(draws.words(period.seed, stream, 0, period.days)[0], 51)
    season = np.array(MONTHS)[months(period.ordinals)]
    weekday = np.array(week)[weekdays(period.ordinals)]
    busy: npt.NDArray[np.int64] = season * weekday * luck * period.growth // 10_000
    return np.maximum(busy, 1)

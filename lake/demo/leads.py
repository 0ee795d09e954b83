"""Leads of a company that does not exist, falling through its funnel day by day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lake.contracts import LEADS
from lake.demo import draws
from lake.demo.period import SATURDAY, business, weekdays

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from lake.demo.period import Period

    Days = npt.NDArray[np.int64]
    Word = npt.NDArray[np.uint64]

STREAM, LUCK_STREAM = 1, 2
WEEK = (118, 112, 108, 104, 92, 14, 8)
"""How many leads come in from Monday to Sunday."""

SOURCES = ("organic search", "paid search", "referral", "linkedin", "newsletter", "trade fair")
SOURCE_WEIGHTS = (26, 24, 18, 16, 11, 5)
REPLY_PER_MILLE = np.array((440, 310, 680, 360, 390, 570))
"""How many of a thousand leads reply, by source."""

SEGMENTS = ("retail", "industry", "services", "health", "public sector")
SEGMENT_WEIGHTS = (30, 22, 28, 12, 8)
SEGMENT_VALUE = np.array((1_200, 4_800, 2_400, 3_600, 6_000))
OWNERS = ("team north", "team south", "team west", "team paris", "partners")
OWNER_WEIGHTS = (24, 22, 18, 28, 8)
STATUSES = ("new", "contacted", "replied", "call proposed", "call booked", "won", "lost")
NEW, CONTACTED, REPLIED, PROPOSED, BOOKED, WON, LOST = range(len(STATUSES))

# How long each step takes: the weights of 0, 1, 2, … days.
REPLY_DELAY = (8, 20, 17, 12, 9, 7, 6, 5, 4, 3, 2, 2, 1, 1, 1, 0, 1, 0, 0, 1, 0, 1)
PROPOSAL_DELAY = (22, 30, 18, 11, 7, 5, 3, 2, 1, 1)
BOOKING_DELAY = (10, 22, 20, 15, 10, 8, 5, 4, 3, 2, 1)
FOLLOW_UP_DELAY = (0, 0, 0, 4, 8, 12, 10, 22, 9, 6, 5, 4, 3, 3, 8, 2, 1, 1, 0, 1, 0, 3)

NEVER = np.iinfo(np.int32).max
"""A day after every ``end``: an event that does not come."""

STALE_AFTER, DECIDED_AFTER = 60, 14
"""Days without an event after which a lead is lost, and after a call until it may be won."""

SCHEMA = pa.schema(
    [
        *LEADS.schema,
        pa.field("source", pa.string()),
        pa.field("segment", pa.string()),
        pa.field("owner", pa.string()),
        pa.field("status", pa.string()),
        pa.field("estimated_value", pa.float64()),
    ]
)
"""The contract's columns and a few attributes. None is about a person."""


@dataclass(frozen=True)
class DemoLeads:
    """All leads of a demo lake. Any range of them can be made by itself.

    Attributes:
        count: How many leads there are.
        period: The days within which everything happens.
    """

    count: int
    period: Period

    def batches(self, size: int) -> Iterator[pa.RecordBatch]:
        """Yield all leads, oldest first, at most ``size`` at a time."""
        arrivals = np.cumsum(business(self.period, WEEK, LUCK_STREAM))
        for start in range(0, self.count, size):
            yield self._rows(start, min(start + size, self.count), arrivals)

    def _rows(self, start: int, stop: int, arrivals: Days) -> pa.RecordBatch:
        """Make the leads ``start`` (inclusive) to ``stop`` (exclusive)."""
        word = iter(draws.words(self.period.seed, STREAM, start, stop, steps=5))
        source = draws.pick(next(word), SOURCE_WEIGHTS)
        segment = draws.pick(next(word), SEGMENT_WEIGHTS)
        owner = draws.pick(next(word), OWNER_WEIGHTS)

        # Lead n of N comes in on the day by which n / N of all business is done.
        middle = (2 * np.arange(start, stop) + 1) * arrivals[-1] // (2 * self.count)
        arrived = self.period.ordinals[np.searchsorted(arrivals, middle, side="right")]
        contacted = self._event(_chance(next(word), 970), arrived)
        replied = self._step(word, contacted, REPLY_PER_MILLE[source], REPLY_DELAY)
        proposed = self._step(word, replied, 720, PROPOSAL_DELAY)
        booked = self._step(word, proposed, 660, BOOKING_DELAY)
        reached = _latest(contacted, replied, proposed, booked)
        followed_up = self._step(word, reached, np.where(booked < NEVER, 120, 560), FOLLOW_UP_DELAY)
        status = self._status(next(word), _latest(reached, followed_up), replied, proposed, booked)
        status[contacted == NEVER] = NEW
        value = SEGMENT_VALUE[segment] + 50 * draws.below(next(word), 60)
        return pa.record_batch(
            [
                _hexadecimal(draws.identifiers(self.period.seed, start, stop)),
                *(_dates(day) for day in (contacted, replied, proposed, booked, followed_up)),
                pa.array(_chance(next(word), 12)),
                _labels(SOURCES, source),
                _labels(SEGMENTS, segment),
                _labels(OWNERS, owner),
                _labels(STATUSES, status),
                pa.array(value.astype(np.float64), mask=_chance(next(word), 250)),
            ],
            schema=SCHEMA,
        )

    def _step(
        self, word: Iterator[Word], previous: Days, per_mille: Days | int, delays: tuple[int, ...]
    ) -> Days:
        """Return when the next event comes: on a working day most often, after ``previous``."""
        happens = _chance(next(word), per_mille) & (previous < NEVER)
        day = previous + draws.pick(next(word), delays)
        weekday = weekdays(day)
        postponed = (weekday >= SATURDAY) & _chance(next(word), 850)
        return self._event(happens, np.where(postponed, day + 7 - weekday, day))

    def _event(self, happens: npt.NDArray[np.bool_], day: Days) -> Days:
        """Return ``day`` where the event happens and is not still to come."""
        last = self.period.ordinals[-1]
        return np.where(happens & (day <= last), day, NEVER)

    def _status(
        self, word: Word, latest: Days, replied: Days, proposed: Days, booked: Days
    ) -> Days:
        """Return how far each lead has come, as an index of ``STATUSES``."""
        age = self.period.ordinals[-1] - latest
        won = (booked < NEVER) & (age > DECIDED_AFTER) & _chance(word, 380)
        return np.select(
            [won, age > STALE_AFTER, booked < NEVER, proposed < NEVER, replied < NEVER],
            [WON, LOST, BOOKED, PROPOSED, REPLIED],
            CONTACTED,
        )


def _chance(word: Word, per_mille: Days | int) -> npt.NDArray[np.bool_]:
    return draws.below(word, 1_000) < per_mille


def _latest(*events: Days) -> Days:
    """Return the last of the events that came, or ``NEVER`` where none did."""
    latest = np.max([np.where(day < NEVER, day, -NEVER) for day in events], axis=0)
    return np.where(latest > -NEVER, latest, NEVER)


def _dates(days: Days) -> pa.Array:
    return pa.array(days.astype(np.int32), pa.int32(), mask=days == NEVER).cast(pa.date32())


def _labels(labels: tuple[str, ...], index: Days) -> pa.Array:
    return pa.array(labels).take(pa.array(index))


def _hexadecimal(numbers: npt.NDArray[np.uint64]) -> pa.Array:
    """Write each number as sixteen hexadecimal digits."""
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    octets = numbers.astype(">u8").view(np.uint8)
    text = digits[np.stack([octets >> 4, octets & 15], axis=-1)]
    width = pa.binary(16)
    buffers = [None, pa.py_buffer(np.ascontiguousarray(text))]
    return pa.FixedSizeBinaryArray.from_buffers(width, len(numbers), buffers).cast(pa.string())

"""How long things took, counted by size as Prometheus' histograms are."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from telemetry import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping

BOUNDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Seconds: a kept answer takes a fraction of the first bounds, a query has at most the last."""


class Durations:
    """Counts durations, in plain integers.

    A counter of prometheus_client takes longer than many an answer, and no two threads count here.

    Attributes:
        counts: How many there were up to each bound, less those up to the bound before.
        total: All seconds together.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        """Count nothing yet."""
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def include(self, other: Durations) -> None:
        """Add what another one counted."""
        self.counts = [
            mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)
        ]
        self.total += other.total

    def sample(self, labels: Mapping[str, str]) -> Sample:
        """Return them as they are now."""
        named = [*map(str, BOUNDS), "+Inf"]
        return Sample(labels, self.total, tuple(zip(named, accumulate(self.counts), strict=True)))

"""Ratios of two things that were measured in turn."""

import statistics
from collections.abc import Iterable


def ratio(ours: Iterable[float], theirs: Iterable[float]) -> float:
    """The median of the ratios of each round.

    How fast a shared machine is changes from round to round, but little within one: the ratio of
    two medians may compare a fast moment with a slow one.

    Args:
        ours: One figure of each round.
        theirs: The reference's, of the same rounds.
    """
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))

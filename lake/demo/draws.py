"""Random draws that are the same on every machine and for every way of cutting them up.

Philox is a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
SC 2011): the draws of row ``n`` are found by setting a counter, without drawing for the rows
before. Everything is made from its raw 64-bit words by integer arithmetic: numpy guarantees that
stream over versions, and integers cannot round differently from one processor to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

WORDS_A_STEP = 4
"""How many 64-bit words Philox makes for each value of its counter."""


def words(seed: int, stream: int, start: int, stop: int, steps: int = 1) -> npt.NDArray[np.uint64]:
    """Return the random words of rows ``start`` (inclusive) to ``stop`` (exclusive).

    Args:
        seed: Any non-negative integer; another seed gives unrelated words.
        stream: Which of several independent sequences under one seed.
        start: The first row.
        stop: The row after the last.
        steps: How often four words are made for one row.

    Returns:
        One array per word of a row, each of one ``uint64`` per row: shape
        ``(4 * steps, stop - start)``.
    """
    key = np.random.SeedSequence(seed, spawn_key=(stream,)).generate_state(2, np.uint64)
    raw = np.random.Philox(key=key, counter=start * steps).random_raw(
        (stop - start) * steps * WORDS_A_STEP
    )
    return np.ascontiguousarray(raw.reshape(stop - start, steps * WORDS_A_STEP).T)


def below(word: npt.NDArray[np.uint64], limit: int) -> npt.NDArray[np.int64]:
    """Turn each word into an integer from 0 to ``limit`` - 1; ``limit`` is at most 2**32."""
    scaled: npt.NDArray[np.uint64] = (word >> np.uint64(32)) * np.uint64(limit) >> np.uint64(32)
    return scaled.astype(np.int64)


def pick(word: npt.NDArray[np.uint64], weights: Sequence[int]) -> npt.NDArray[np.int64]:
    """Turn each word into an index of ``weights``, drawn in proportion to them."""
    slots = np.repeat(np.arange(len(weights)), weights)
    return np.take(slots, below(word, len(slots)))


def identifiers(seed: int, start: int, stop: int) -> npt.NDArray[np.uint64]:
    """Return one 64-bit identifier per row that looks random and never repeats.

    The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) maps the 64-bit integers one
    to one, so different rows of one seed cannot meet.
    """
    (offset,) = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    mixed: npt.NDArray[np.uint64] = np.arange(start, stop, dtype=np.uint64) + offset
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed

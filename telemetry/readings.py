"""Metrics as they are read: the figures of one moment, whoever asks for them."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 msgspec reads the annotations
from typing import Literal, NamedTuple


class Sample(NamedTuple):
    """One figure.

    Attributes:
        labels: What it is about.
        value: The figure; of a histogram the sum.
        buckets: Of a histogram: how many were at most so much, added up, each bound as Prometheus
            writes it.
    """

    labels: Mapping[str, str]
    value: float
    buckets: tuple[tuple[str, float], ...] = ()


class Family(NamedTuple):
    """All figures of one name.

    Attributes:
        name: Its name, less what Prometheus adds to a counter's.
        kind: ``counter`` only rises, ``gauge`` is what it is, ``histogram`` counts by size.
        about: What it says, in a sentence.
        labels: The names of its samples' labels.
        samples: The figures.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    about: str
    labels: tuple[str, ...]
    samples: list[Sample]

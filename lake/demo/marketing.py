"""Daily conversions of the campaigns of a company that does not exist."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from lake.contracts import MARKETING_CONVERSIONS
from lake.demo import draws
from lake.demo.period import business, months

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lake.demo.period import Period

LUCK_STREAM, STREAM = 11, 12
WEEK = (96, 94, 96, 100, 108, 124, 116)
"""How well Monday to Sunday convert: people shop at the weekend."""

PRODUCTS = {"product a": 100, "product b": 64}
"""Every product, and how well it sells."""

CHANNELS = {
    "display - prospecting": 420,
    "display - retargeting": 310,
    "facebook": 530,
    "instagram": 380,
    "print": 90,
    "radio": 160,
    "search - branded": 760,
    "search - non-branded": 610,
    "tiktok": 270,
    "tv": 1_150,
}
"""Every channel, and about how many conversions a day it brings."""

SEARCH = ("search - branded", "search - non-branded")
SOCIAL = ("facebook", "instagram", "tiktok")
DISPLAY = ("display - prospecting", "display - retargeting")
BROADCAST = ("print", "radio", "tv")
ALL_YEAR = tuple(range(1, 13))


class Campaign(NamedTuple):
    """One campaign of every product.

    Attributes:
        kind: Its campaign type.
        months: The months of the year in which it runs, 1 being January.
        weight: How strong it is, in per cent of its channels.
    """

    kind: str
    name: str
    channels: tuple[str, ...]
    months: tuple[int, ...]
    weight: int


CAMPAIGNS = (
    Campaign("always on", "always on", DISPLAY + SOCIAL + SEARCH, ALL_YEAR, 100),
    Campaign("branding", "brand film", ("tv", "facebook", "instagram"), (3, 4, 10), 130),
    Campaign("branding", "local radio", ("radio", "print"), (2, 5, 9, 11), 110),
    Campaign("performance", "winter sale", SOCIAL + BROADCAST, (1,), 150),
    Campaign("performance", "summer sale", SOCIAL + SEARCH, (6, 7), 80),
    Campaign("performance", "back to work", (*DISPLAY, "search - non-branded"), (9,), 90),
    Campaign("performance", "black friday", SOCIAL + DISPLAY + SEARCH, (11,), 140),
)


@dataclass(frozen=True)
class DemoMarketing:
    """All conversions of a demo lake.

    Attributes:
        period: The days on which campaigns run.
    """

    period: Period

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one product, campaign and channel at a time, in the key's order."""
        busy = business(self.period, WEEK, LUCK_STREAM)
        month = 1 + months(self.period.ordinals)
        for number, (name, campaign) in enumerate(product(PRODUCTS, CAMPAIGNS)):
            runs = np.isin(month, campaign.months)
            days = self.period.ordinals[runs].astype(np.int32)
            for place, channel in enumerate(campaign.channels):
                start = (number * len(CHANNELS) + place) * self.period.days
                word = draws.words(self.period.seed, STREAM, start, start + self.period.days)[0]
                luck = 80 + draws.below(word, 41)
                strength = PRODUCTS[name] * CHANNELS[channel] * campaign.weight
                hundredths = (busy * luck * strength // 10_000_000)[runs]
                labels = (name, campaign.kind, campaign.name, channel)
                yield pa.record_batch(
                    [
                        *(pa.repeat(label, len(days)) for label in labels),
                        pa.array(days, pa.int32()).cast(pa.date32()),
                        pa.array(hundredths / 100),
                    ],
                    schema=MARKETING_CONVERSIONS.schema,
                )

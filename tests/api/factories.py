"""Made-up conversions: few values of each kind, so that filters meet some of them."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import date, timedelta
from typing import Any

from polyfactory import Use
from polyfactory.factories import DataclassFactory


@dataclass(frozen=True)
class Conversion:
    """One row of the marketing_conversions mart."""

    product: str
    campaign_type: str
    campaign: str
    channel: str
    date: date
    conversions: float

    @property
    def key(self) -> tuple[Any, ...]:
        return astuple(self)[:-1]


class ConversionFactory(DataclassFactory[Conversion]):
    """Makes conversions between the last days of 2019 and the first of 2021."""

    product = Use(lambda: ConversionFactory.__random__.choice(["product a", "product b"]))
    campaign_type = Use(lambda: ConversionFactory.__random__.choice(["always on", "it's branding"]))
    campaign = Use(lambda: ConversionFactory.__random__.choice(["spring", "été", "a&b=c"]))
    channel = Use(
        lambda: ConversionFactory.__random__.choice(["tv", "facebook", "radio", "out of home"])
    )
    date = Use(
        lambda: date(2019, 12, 28) + timedelta(days=ConversionFactory.__random__.randrange(380))
    )

    @classmethod
    def conversions(cls) -> float:
        """Halves, thirds, zeros, and numbers of very different size."""
        random = cls.__random__
        return random.choice([0.0, 0.5, 1 / 3, 1e-6, 12345.678901234567, random.random() * 1000])

    @classmethod
    def measurements(cls, seed: int, count: int = 600) -> list[Conversion]:
        """Conversions with unequal keys, the same for the same seed."""
        cls.seed_random(seed)
        return list({made.key: made for made in cls.batch(count)}.values())

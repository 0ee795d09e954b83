"""Marketing conversions, as a publication has them: measured, by week, and as shares."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Annotated, Any

import msgspec
from litestar.exceptions import ServiceUnavailableException
from msgspec import Meta

from api.asking import Asked, Window, read
from api.dialect.question import Condition, Listed, Order, Question, Term, within
from api.opened import OpenPublication
from api.pages import Page
from api.problems import RETRY
from publication import Mart

MART = "marketing_conversions"
"""The mart that all of this is read from. Weeks too: a range may cut them."""

SCOPE = "marketing:read"
"""What a token must permit to read it."""


class Measurement(msgspec.Struct):
    """The conversions of one campaign on one channel and day."""

    product: str
    campaign_type: str
    campaign: str
    channel: str
    date: date
    conversions: float


class ChannelShare(msgspec.Struct):
    """A channel's share of all sales in the period."""

    channel: str
    percentage: Annotated[
        str,
        Meta(
            pattern=r"^-?\d+\.\d\d$",
            description="Percent of all sales in the period, with two decimals; "
            "`0.00` where there were none.",
            examples=["67.74"],
        ),
    ]


class ChannelWeek(msgspec.Struct):
    """A channel's sales in one ISO week, as far as its days are in the period."""

    channel: str
    year: Annotated[int, Meta(description="The ISO year, which the week's Thursday is in.")]
    week: Annotated[int, Meta(ge=1, le=53, description="The number of the ISO week.")]
    sales: Annotated[float, Meta(description="Conversions of all that was selected.")]


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which conversions count; equal for equal questions.

    Attributes:
        products: Only of these, in order and each once; of all if there is none.
        campaigns: The same for campaigns.
        campaign_types: The same for campaign types.
        channels: The same for channels.
        start_date: The first day, if given.
        end_date: The last day (inclusive), if given.
    """

    products: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    campaign_types: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    start_date: date | None = None
    end_date: date | None = None

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The same as names and values of a query, without those that select nothing."""
        return [
            (name, str(value))
            for name in self.__struct_fields__
            for value in _listed(getattr(self, name))
        ]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The same as conditions on the mart's columns."""
        chosen = {
            "product": self.products,
            "campaign": self.campaigns,
            "campaign_type": self.campaign_types,
            "channel": self.channels,
        }
        listed = (Listed(column, values) for column, values in chosen.items() if values)
        return (*listed, *self.period)

    @property
    def period(self) -> tuple[Condition, ...]:
        """Only those on the day."""
        return within("date", self.start_date, self.end_date)


def _listed(value: tuple[str, ...] | date | None) -> tuple[object, ...]:
    if isinstance(value, tuple):
        return value
    return () if value is None else (value,)


COLUMNS = {*Measurement.__struct_fields__, "week_start"}
"""What the mart has to have."""

SALES = Term(column="conversions", aggregate="sum")

EXACT_SALES = Term(column="conversions", inner_cast="numeric", aggregate="sum")


async def measurements(
    publication: OpenPublication, filters: Filters, page: Page
) -> tuple[list[Measurement], int]:
    """Read measurements, ordered by product, campaign type, campaign, channel and day.

    Returns:
        Those of the page, and how many there are on all pages.

    Raises:
        ServiceUnavailableException: The publication has no marketing conversions.
    """
    question = Question(
        terms=tuple(Term(column=name) for name in Measurement.__struct_fields__),
        conditions=filters.conditions,
    )
    rows, total = await _read(publication, question, page)
    return [Measurement(*row) for row in rows], total


async def weekly_sales(
    publication: OpenPublication, filters: Filters, page: Page
) -> tuple[list[ChannelWeek], int]:
    """Sum what was selected by channel and ISO week, ordered by year, week and channel.

    Returns:
        The sums of the page, and how many there are on all pages.

    Raises:
        ServiceUnavailableException: The publication has no marketing conversions.
    """
    question = Question(
        terms=(Term(column="channel"), Term(column="week_start"), SALES),
        conditions=filters.conditions,
        order=(Order("week_start"), Order("channel")),
    )
    rows, total = await _read(publication, question, page)
    weeks = [(channel, week.isocalendar(), sales) for channel, week, sales in rows]
    return [ChannelWeek(name, iso.year, iso.week, sales) for name, iso, sales in weeks], total


async def channel_shares(
    publication: OpenPublication, filters: Filters, page: Page
) -> tuple[list[ChannelShare], int]:
    """Divide what was selected, by channel, by all sales in the period; the largest first.

    Returns:
        The shares of the page, and how many there are on all pages.

    Raises:
        ServiceUnavailableException: The publication has no marketing conversions.
    """
    mart = _mart(publication)
    by_channel = Question(
        terms=(Term(column="channel"), EXACT_SALES), conditions=filters.conditions
    )
    everything = Question(terms=(EXACT_SALES,), conditions=filters.period)
    ((whole,),) = await read(publication, mart, everything)
    rows = await read(publication, mart, by_channel)
    rows.sort(key=lambda row: (-row[1], row[0]))
    shown = rows[page.offset : page.offset + page.page_size]
    return [ChannelShare(channel, percentage(sales, whole)) for channel, sales in shown], len(rows)


def percentage(part: Decimal, whole: Decimal) -> str:
    """Write a share in percent with two decimals, halves rounded up; `0.00` of nothing."""
    if not whole:
        return "0.00"
    # Fractions, because a quotient of decimals would already be rounded once.
    hundredths = floor(Fraction(part) * 10_000 / Fraction(whole) + Fraction(1, 2))
    return f"{Decimal(hundredths).scaleb(-2):.2f}"


async def _read(
    publication: OpenPublication, question: Question, page: Page
) -> tuple[list[tuple[Any, ...]], int]:
    """Read one page of the rows of a question, and count all of them."""
    asked = Asked(publication, _mart(publication), question)
    with publication.work() as work:
        rows = await asked.rows(work, Window(page.offset, page.page_size))
        return rows, await asked.total(work)


def _mart(publication: OpenPublication) -> Mart:
    """The mart that all of this is read from.

    Raises:
        ServiceUnavailableException: The publication does not have it as it should be.
    """
    mart = publication.marts.get(MART)
    if mart is None or COLUMNS - {column.name for column in mart.columns}:
        # One that was made by an older version.
        raise ServiceUnavailableException(
            detail=f"Publication {publication.manifest.number} has no marketing conversions; "
            "`dbt build` publishes them.",
            headers=RETRY,
        )
    return mart

"""Marketing conversions, as a publication has them: measured, by week, and as shares."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Annotated, Any

import msgspec
from litestar.exceptions import ServiceUnavailableException
from msgspec import Meta

from api.opened import OpenPublication
from api.pages import Page
from api.problems import RETRY

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


def _listed(value: tuple[str, ...] | date | None) -> tuple[object, ...]:
    if isinstance(value, tuple):
        return value
    return () if value is None else (value,)


IN_PERIOD = "date between coalesce($start_date, date) and coalesce($end_date, date)"

SELECTED = f"""
    from {MART}
    where (len($products) = 0 or list_contains($products, product))
        and (len($campaigns) = 0 or list_contains($campaigns, campaign))
        and (len($campaign_types) = 0 or list_contains($campaign_types, campaign_type))
        and (len($channels) = 0 or list_contains($channels, channel))
        and {IN_PERIOD}
"""

EXACT = "sum(cast(conversions as decimal(38, 18)))"
"""A sum that does not depend on the order of rows, as in the models' macro `exact_sum`."""


class Query(msgspec.Struct, frozen=True):
    """Rows in a total order.

    Attributes:
        rows: SQL of all rows; no column is ever null.
        order: SQL of their order.
    """

    rows: str
    order: str

    @property
    def paged(self) -> str:
        """SQL of one page: each row with the number of all rows before its own columns.

        A page without rows is one line of nulls after that number.
        """
        return f"""
            with found as materialized ({self.rows}),
            page as (from found order by {self.order} limit $page_size offset $offset)
            select (select count(*) from found), page.*
            from (select 1) left join page on true
            order by {self.order}
        """  # noqa: S608 -- made of what is written in this module; values are bound


MEASUREMENTS = Query(
    f"select product, campaign_type, campaign, channel, date, conversions {SELECTED}",
    "product, campaign_type, campaign, channel, date",
)

WEEKS = Query(
    f"""
    select channel, isoyear(date) as year, weekofyear(date) as week,
        cast({EXACT} as double) as sales
    {SELECTED} group by all
    """,
    "year, week, channel",
)

SHARES = Query(
    f"""
    select channel, {EXACT} as sales, (select {EXACT} from {MART} where {IN_PERIOD}) as whole
    {SELECTED} group by channel
    """,  # noqa: S608 -- the same
    "sales desc, channel",
)


async def measurements(
    publication: OpenPublication, filters: Filters, page: Page
) -> tuple[list[Measurement], int]:
    """Read measurements, ordered by product, campaign type, campaign, channel and day.

    Returns:
        Those of the page, and how many there are on all pages.

    Raises:
        ServiceUnavailableException: The publication has no marketing conversions.
    """
    rows, total = await _read(publication, MEASUREMENTS, filters, page)
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
    rows, total = await _read(publication, WEEKS, filters, page)
    return [ChannelWeek(*row) for row in rows], total


async def channel_shares(
    publication: OpenPublication, filters: Filters, page: Page
) -> tuple[list[ChannelShare], int]:
    """Divide what was selected, by channel, by all sales in the period; the largest first.

    Returns:
        The shares of the page, and how many there are on all pages.

    Raises:
        ServiceUnavailableException: The publication has no marketing conversions.
    """
    rows, total = await _read(publication, SHARES, filters, page)
    shares = [ChannelShare(channel, percentage(sales, whole)) for channel, sales, whole in rows]
    return shares, total


def percentage(part: Decimal, whole: Decimal) -> str:
    """Write a share in percent with two decimals, halves rounded up; `0.00` of nothing."""
    if not whole:
        return "0.00"
    # Fractions, because a quotient of decimals would already be rounded once.
    hundredths = floor(Fraction(part) * 10_000 / Fraction(whole) + Fraction(1, 2))
    return f"{Decimal(hundredths).scaleb(-2):.2f}"


async def _read(
    publication: OpenPublication, query: Query, filters: Filters, page: Page
) -> tuple[list[tuple[Any, ...]], int]:
    """Read one page of a query's rows, and count all its rows, in one go."""
    if not any(mart.name == MART for mart in publication.manifest.marts):
        # One that was made by an older version.
        raise ServiceUnavailableException(
            detail=f"Publication {publication.manifest.number} has no marketing conversions; "
            "`dbt build` publishes them.",
            headers=RETRY,
        )
    values = msgspec.structs.asdict(filters) | msgspec.structs.asdict(page)
    lines = await publication.rows(query.paged, values)
    # No column of a row is null, so this is the line of a page without rows.
    rows = [tuple(row) for _, *row in lines if row[0] is not None]
    return rows, lines[0][0]

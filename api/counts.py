"""Lead events counted by ISO week and by month, as a publication has them."""

from collections.abc import Callable, Iterator
from datetime import date
from itertools import islice
from typing import Annotated, Any, Generic, Literal, TypeVar, cast, get_args

import msgspec
from litestar.exceptions import ClientException
from msgspec import UNSET, Meta, UnsetType

from api.asking import read
from api.dialect.question import Order, Question, Term, within
from api.opened import OpenPublication

EventDate = Literal[
    "date_prise_contact",
    "date_reponse_prospect",
    "date_appel_booke",
    "date_appel_propose",
    "date_relance",
]
EVENT_DATES: tuple[EventDate, ...] = get_args(EventDate)

LONGEST_DENSE = 5_000
"""How many periods a dense answer has at most, about 95 years of weeks: dates reach from year 1
to year 9999, and one short request must not ask for a body of many megabytes."""

Count = Annotated[int, Meta(ge=0)] | UnsetType


class Counts(msgspec.Struct, kw_only=True):
    """How many leads had each event in one period. Columns not asked for are left out."""

    period: str
    date_prise_contact: Count = UNSET
    date_reponse_prospect: Count = UNSET
    date_appel_booke: Count = UNSET
    date_appel_propose: Count = UNSET
    date_relance: Count = UNSET


class WeekCounts(Counts, kw_only=True):
    """How many leads had each event in one ISO week. Columns not asked for are left out."""

    period: Annotated[str, Meta(description="ISO year and week.", examples=["2025-W01"])] = (
        msgspec.field(name="semaine")
    )


class MonthCounts(Counts, kw_only=True):
    """How many leads had each event in one month. Columns not asked for are left out."""

    period: Annotated[str, Meta(description="Year and month.", examples=["2025-01"])] = (
        msgspec.field(name="mois")
    )


Element = TypeVar("Element", bound=Counts)


class Grain(msgspec.Struct, Generic[Element], frozen=True, kw_only=True):
    """What weeks and months do not have in common.

    Attributes:
        mart: The mart's name.
        start: Its column of a period's first day.
        period: Its column of a period's label.
        element: What one period looks like in the answer.
        label: The label of the period that begins on a day.
        first_days: The days that periods begin on, from one day to another, both included.
    """

    mart: str
    start: str
    period: str
    element: type[Element]
    label: Callable[[date], str]
    first_days: Callable[[date, date], Iterator[date]]


def _iso_week(monday: date) -> str:
    year, week, _ = monday.isocalendar()
    return f"{year:04}-W{week:02}"


def _mondays(start: date, end: date) -> Iterator[date]:
    # Day 1 of the calendar, 0001-01-01, is a Monday.
    first = start.toordinal() + (1 - start.toordinal()) % 7
    return map(date.fromordinal, range(first, end.toordinal() + 1, 7))


def _firsts(start: date, end: date) -> Iterator[date]:
    first = 12 * start.year + start.month - 1 + (start.day > 1)
    return (date(n // 12, n % 12 + 1, 1) for n in range(first, 12 * end.year + end.month))


WEEKS = Grain(
    mart="lead_event_counts_weekly",
    start="week_start",
    period="semaine",
    element=WeekCounts,
    label=_iso_week,
    first_days=_mondays,
)

MONTHS = Grain(
    mart="lead_event_counts_monthly",
    start="month_start",
    period="mois",
    element=MonthCounts,
    label=lambda first: f"{first.year:04}-{first.month:02}",
    first_days=_firsts,
)

REQUIRED = {
    grain.mart: {grain.start, grain.period, *EVENT_DATES}
    for grain in cast("tuple[Grain[Any], ...]", (WEEKS, MONTHS))
}
"""The marts and columns without which a publication cannot be served."""


class Selection(msgspec.Struct, frozen=True):
    """What of the counts a request asks for; equal for equal questions.

    Attributes:
        date_cols: The event columns, in the order of ``EVENT_DATES``.
        start: The first day that a period may begin on, if given.
        end: The last one, if given.
        dense: Whether periods without such an event are there too, with zeros.
    """

    date_cols: tuple[EventDate, ...] = EVENT_DATES
    start: date | None = None
    end: date | None = None
    dense: bool = False


async def count(
    publication: OpenPublication, grain: Grain[Element], selected: Selection
) -> list[Element]:
    """Count the selected events by period, oldest first.

    Raises:
        ClientException: The dense answer would be too long.
    """
    question = Question(
        terms=tuple(Term(column=name) for name in (grain.start, grain.period, *EVENT_DATES)),
        conditions=within(grain.start, selected.start, selected.end),
        order=(Order(grain.start),),
    )
    found: dict[date, Element] = {}
    mart = publication.marts[grain.mart]
    for first_day, label, *counts in await read(publication, mart, question):
        named = dict(zip(EVENT_DATES, counts, strict=True))
        chosen: dict[str, Any] = {name: named[name] for name in selected.date_cols}
        if any(chosen.values()):
            found[first_day] = grain.element(period=label, **chosen)
    if not selected.dense:
        return list(found.values())
    start = selected.start or min(found, default=None)
    end = selected.end or max(found, default=None)
    if start is None or end is None:
        return []
    days = list(islice(grain.first_days(start, end), LONGEST_DENSE + 1))
    if len(days) > LONGEST_DENSE:
        raise ClientException(
            f"A dense answer has at most {LONGEST_DENSE} periods, and from {start} to {end} there "
            "are more; give a later start or an earlier end."
        )
    zeros: dict[str, Any] = dict.fromkeys(selected.date_cols, 0)
    return [found.get(day) or grain.element(period=grain.label(day), **zeros) for day in days]

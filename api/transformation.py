"""Lead events counted by ISO week and by month."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args

import msgspec
from litestar import Response, get
from litestar.di import Provide
from litestar.exceptions import ClientException
from litestar.params import QueryParameter
from msgspec import UNSET, Meta, UnsetType

from api.answers import HEADERS
from api.opened import OpenPublication
from api.problems import AnyRequest, documented, only_known_parameters

EventDate = Literal[
    "date_prise_contact",
    "date_reponse_prospect",
    "date_appel_booke",
    "date_appel_propose",
    "date_relance",
]
EVENT_DATES: tuple[EventDate, ...] = get_args(EventDate)

LONGEST_DENSE = 10_000
"""How many periods a dense answer has at most, about 190 years of weeks: dates reach from year 1
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
        query: Reads the mart: the period's first day, its label and the counts as in
            ``EVENT_DATES``, oldest first, from ``$start`` to ``$end`` where those are given.
        element: What one period looks like in the answer.
        label: The label of the period that begins on a day.
        numbers: The running numbers of the periods that begin from one day to another, both
            included.
        first_day: The first day of the period with a running number.
    """

    query: str
    element: type[Element]
    label: Callable[[date], str]
    numbers: Callable[[date, date], range]
    first_day: Callable[[int], date]


def _iso_week(monday: date) -> str:
    year, week, _ = monday.isocalendar()
    return f"{year:04}-W{week:02}"


def _mondays(start: date, end: date) -> range:
    # Day 1 of the calendar, 0001-01-01, is a Monday.
    return range(start.toordinal() + (1 - start.toordinal()) % 7, end.toordinal() + 1, 7)


def _months(start: date, end: date) -> range:
    following = start.day > 1
    return range(12 * start.year + start.month - 1 + following, 12 * end.year + end.month)


WEEKS = Grain(
    query="""
        select week_start, semaine, date_prise_contact, date_reponse_prospect,
            date_appel_booke, date_appel_propose, date_relance
        from lead_event_counts_weekly
        where week_start between coalesce($start, week_start) and coalesce($end, week_start)
        order by week_start
    """,
    element=WeekCounts,
    label=_iso_week,
    numbers=_mondays,
    first_day=date.fromordinal,
)

MONTHS = Grain(
    query="""
        select month_start, mois, date_prise_contact, date_reponse_prospect,
            date_appel_booke, date_appel_propose, date_relance
        from lead_event_counts_monthly
        where month_start between coalesce($start, month_start) and coalesce($end, month_start)
        order by month_start
    """,
    element=MonthCounts,
    label=lambda first: f"{first.year:04}-{first.month:02}",
    numbers=_months,
    first_day=lambda number: date(number // 12, number % 12 + 1, 1),
)

REQUIRED = {
    "lead_event_counts_weekly": {"week_start", "semaine", *EVENT_DATES},
    "lead_event_counts_monthly": {"month_start", "mois", *EVENT_DATES},
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


def selection(
    request: AnyRequest,
    date_cols: Annotated[
        list[EventDate] | None,
        QueryParameter(
            description="Which event columns to count; repeat the parameter for several. Only "
            "these are in the answer, and only periods with one of these events. All by default."
        ),
    ] = None,
    start: Annotated[
        date | None,
        QueryParameter(description="Leave out periods that begin before this day."),
    ] = None,
    end: Annotated[
        date | None,
        QueryParameter(description="Leave out periods that begin after this day."),
    ] = None,
    dense: Annotated[
        bool,
        QueryParameter(
            description="Include the periods without an event, with zeros: all from `start` to "
            "`end`, or where one is not given, from the first or to the last period with an event."
        ),
    ] = False,
) -> Selection:
    """Read a question about the counts from the query."""
    only_known_parameters(request, Selection.__struct_fields__, lists={"date_cols"})
    if start and end and start > end:
        raise ClientException("End date should be greater than start date")
    chosen = tuple(name for name in EVENT_DATES if date_cols is None or name in date_cols)
    return Selection(chosen, start, end, dense)


async def count(
    publication: OpenPublication, grain: Grain[Element], selected: Selection
) -> list[Element]:
    """Count the selected events by period, oldest first.

    Raises:
        ClientException: The dense answer would be too long.
    """
    values = {"start": selected.start, "end": selected.end}
    found: dict[date, Element] = {}
    for first_day, label, *counts in await publication.rows(grain.query, values):
        named = dict(zip(EVENT_DATES, counts, strict=True))
        chosen: dict[str, Any] = {name: named[name] for name in selected.date_cols}
        if any(chosen.values()):
            found[first_day] = grain.element(period=label, **chosen)
    if not selected.dense:
        return list(found.values())
    start, end = (
        selected.start or min(found, default=None),
        selected.end or max(found, default=None),
    )
    if start is None or end is None:
        return []
    numbers = grain.numbers(start, end)
    if len(numbers) > LONGEST_DENSE:
        raise ClientException(
            f"A dense answer has at most {LONGEST_DENSE} periods, and this one would have "
            f"{len(numbers)}; give a later start or an earlier end."
        )
    zeros: dict[str, Any] = dict.fromkeys(selected.date_cols, 0)
    days = (grain.first_day(number) for number in numbers)
    return [found.get(day) or grain.element(period=grain.label(day), **zeros) for day in days]


async def _answer(
    publication: OpenPublication, grain: Grain[Element], selected: Selection
) -> Response[list[Element]]:
    question = f"{grain.element.__name__} {msgspec.json.encode(selected).decode()}"
    return publication.answer(await count(publication, grain, selected), question)


DEPENDENCIES = {"selected": Provide(selection, sync_to_thread=False)}


@get(
    "/api/v1/transformation/count_date_by_week",
    operation_id="countDatesByWeek",
    summary="Lead events by ISO week",
    tags=["Transformation"],
    dependencies=DEPENDENCIES,
    response_headers=HEADERS,
    responses=documented(400, 406, 503),
)
async def count_date_by_week(
    publication: OpenPublication, selected: Selection
) -> Response[list[WeekCounts]]:
    """Count the leads that had each event, by ISO week: one element per week with an event.

    The oldest week comes first. A lead counts in the week of each of its event dates.
    """
    return await _answer(publication, WEEKS, selected)


@get(
    "/api/v1/transformation/count_date_by_month",
    operation_id="countDatesByMonth",
    summary="Lead events by month",
    tags=["Transformation"],
    dependencies=DEPENDENCIES,
    response_headers=HEADERS,
    responses=documented(400, 406, 503),
)
async def count_date_by_month(
    publication: OpenPublication, selected: Selection
) -> Response[list[MonthCounts]]:
    """Count the leads that had each event, by month: one element per month with an event.

    The oldest month comes first. A lead counts in the month of each of its event dates.
    """
    return await _answer(publication, MONTHS, selected)


ROUTES = [count_date_by_week, count_date_by_month]

EXAMPLES = {
    "countDatesByWeek": lambda publication: count(publication, WEEKS, Selection()),
    "countDatesByMonth": lambda publication: count(publication, MONTHS, Selection()),
}
"""What reads an example of a route's answer, by its ``operation_id``."""

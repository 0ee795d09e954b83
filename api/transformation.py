"""The routes of lead events counted by ISO week and by month."""

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.di import Provide
from litestar.params import QueryParameter

from api.auth.permission import may_read
from api.counts import (
    EVENT_DATES,
    MONTHS,
    WEEKS,
    Element,
    EventDate,
    Grain,
    MonthCounts,
    Selection,
    WeekCounts,
    count,
)
from api.openapi import Example
from api.opened import OpenPublication
from api.parameters import only_known_parameters, refuse_reversed
from api.problems import documented
from api.requests import AnyRequest
from api.reusable import PUBLISHED

LISTS = frozenset({"date_cols"})
"""The parameters that may be repeated."""


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
    only_known_parameters(request, Selection.__struct_fields__, lists=LISTS)
    refuse_reversed(start, end)
    chosen = tuple(name for name in EVENT_DATES if date_cols is None or name in date_cols)
    return Selection(chosen, start, end, dense)


async def _answer(
    request: AnyRequest, publication: OpenPublication, grain: Grain[Element], selected: Selection
) -> Response[list[Element]]:
    may_read(request, grain.mart, publication)
    question = f"{grain.element.__name__} {msgspec.json.encode(selected).decode()}"
    return publication.answer(await count(publication, grain, selected), question)


SHARED: dict[str, Any] = {
    "tags": ["Transformation"],
    "response_description": "The counts, oldest period first.",
    "dependencies": {"selected": Provide(selection, sync_to_thread=False)},
    "security": [{}, {"Bearer": []}],
    "response_headers": PUBLISHED,
    "responses": documented(400, 401, 403, 406, 503),
}
"""What the routes' descriptions have in common."""


@get(
    "/api/v1/transformation/count_date_by_week",
    operation_id="countDatesByWeek",
    opt={"lists": LISTS, "mart": WEEKS.mart},
    summary="Lead events by ISO week",
    **SHARED,
)
async def count_date_by_week(
    request: AnyRequest, publication: OpenPublication, selected: Selection
) -> Response[list[WeekCounts]]:
    """Count the leads that had each event, by ISO week: one element per week with an event.

    A lead counts in the week of each of its event dates.
    """
    return await _answer(request, publication, WEEKS, selected)


@get(
    "/api/v1/transformation/count_date_by_month",
    operation_id="countDatesByMonth",
    opt={"lists": LISTS, "mart": MONTHS.mart},
    summary="Lead events by month",
    **SHARED,
)
async def count_date_by_month(
    request: AnyRequest, publication: OpenPublication, selected: Selection
) -> Response[list[MonthCounts]]:
    """Count the leads that had each event, by month: one element per month with an event.

    A lead counts in the month of each of its event dates.
    """
    return await _answer(request, publication, MONTHS, selected)


ROUTES = [count_date_by_week, count_date_by_month]


def _example(grain: Grain[Element]) -> Example:
    async def latest(publication: OpenPublication) -> list[Element]:
        return (await count(publication, grain, Selection()))[-2:]

    return latest


EXAMPLES = {"countDatesByWeek": _example(WEEKS), "countDatesByMonth": _example(MONTHS)}
"""What reads an example of a route's answer, by its ``operation_id``."""

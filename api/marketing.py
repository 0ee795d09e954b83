"""The routes of marketing conversions: measurements, weekly sales, and shares of channels."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.datastructures import ResponseHeader
from litestar.di import Provide
from litestar.exceptions import ClientException
from litestar.params import QueryParameter

from api.auth.permission import may_read, require
from api.conversions import (
    MART,
    SCOPE,
    ChannelShare,
    ChannelWeek,
    Filters,
    Measurement,
    channel_shares,
    measurements,
    weekly_sales,
)
from api.dialect.question import FARTHEST
from api.opened import OpenPublication
from api.pages import LARGEST, LONGEST, USUAL, Page
from api.parameters import given_once, refuse_near_misses, refuse_null, refuse_reversed
from api.pinned import chosen
from api.problems import documented
from api.requests import AnyRequest
from api.reusable import PUBLISHED, keeping


class Measurements(msgspec.Struct):
    """A page of measurements."""

    data: list[Measurement]


class ChannelShares(msgspec.Struct):
    """A page of channels with their shares of all sales, the largest first."""

    data: list[ChannelShare]


class ChannelWeeks(msgspec.Struct):
    """A page of channels' sales by ISO week."""

    data: list[ChannelWeek]


LISTS = frozenset({"products", "campaigns", "campaign_types", "channels"})
"""The parameters that may be repeated."""

KNOWN = (*Filters.__struct_fields__, *Page.__struct_fields__, "publication")
"""All parameters."""


def _values(given: list[str] | None) -> tuple[str, ...]:
    """Each value once, in order. An empty one selects nothing: a form sends it for "any"."""
    return tuple(sorted({value for value in given or () if value}))


def filters(  # noqa: PLR0913, PLR0917 -- a query's parameters
    request: AnyRequest,
    products: Annotated[
        list[str] | None,
        QueryParameter(description="Only these products; repeat the parameter for several."),
    ] = None,
    campaigns: Annotated[
        list[str] | None,
        QueryParameter(description="Only these campaigns; repeat the parameter for several."),
    ] = None,
    campaign_types: Annotated[
        list[str] | None,
        QueryParameter(description="Only these campaign types; repeat it for several."),
    ] = None,
    channels: Annotated[
        list[str] | None,
        QueryParameter(description="Only these channels; repeat the parameter for several."),
    ] = None,
    start_date: Annotated[
        date | None, QueryParameter(description="Leave out the days before this one.")
    ] = None,
    end_date: Annotated[
        date | None, QueryParameter(description="Leave out the days after this one.")
    ] = None,
) -> Filters:
    """Read from the query which conversions count."""
    refuse_near_misses(request, KNOWN)
    given_once(request, "start_date", "end_date")
    refuse_null(request, "start_date", "end_date")
    refuse_reversed(start_date, end_date)
    selected = Filters(
        products=_values(products),
        campaigns=_values(campaigns),
        campaign_types=_values(campaign_types),
        channels=_values(channels),
        start_date=start_date,
        end_date=end_date,
    )
    if (length := len(urlencode(selected.pairs))) > LONGEST:
        raise ClientException(
            f"The filters have {length} characters and may have {LONGEST}; "
            "give fewer or shorter values.",
            status_code=422,
        )
    return selected


def page(
    request: AnyRequest,
    offset: Annotated[
        int, QueryParameter(ge=0, description="How many elements of the list to pass over.")
    ] = 0,
    page_size: Annotated[
        int, QueryParameter(ge=1, le=LARGEST, description="How many elements to answer at most.")
    ] = USUAL,
) -> Page:
    """Read from the query which page is asked for."""
    given_once(request, "offset", "page_size")
    return Page(offset=min(offset, FARTHEST), page_size=page_size)


async def source(
    request: AnyRequest,
    publication: OpenPublication,
    number: Annotated[  # noqa: ARG001 -- `chosen` reads it; here it is described
        int | None,
        QueryParameter(
            name="publication",
            ge=1,
            description="Answer from the publication with this number, as the links of a page do, "
            "instead of the current one.",
        ),
    ] = None,
) -> OpenPublication:
    """Choose the publication to answer from, whose mart the request may read."""
    source = await chosen(request, publication)
    may_read(request, MART, publication, source)
    return source


Element = TypeVar("Element")
Envelope = TypeVar("Envelope")
Read = Callable[[OpenPublication, Filters, Page], Awaitable[tuple[list[Element], int]]]


async def _answer(  # noqa: PLR0913, PLR0917 -- everything a list depends on
    request: AnyRequest,
    source: OpenPublication,
    read: Read[Element],
    envelope: Callable[[list[Element]], Envelope],
    selected: Filters,
    page: Page,
) -> Response[Envelope]:
    with source.leases:
        elements, total = await read(source, selected, page)
    question = f"{read.__name__} {msgspec.json.encode((selected, page)).decode()}"
    response = source.answer(envelope(elements), question, keeping(request))
    path = request.scope["path"].rstrip("/") + "/"
    number = source.manifest.number
    response.headers["Link"] = page.links(path, selected.pairs, number, total)
    response.headers["X-Total-Count"] = str(total)
    return response


PAGED = (
    *PUBLISHED,
    ResponseHeader(
        name="Link",
        value="",
        description="The first, previous, next and last page (RFC 8288), all of the publication "
        "that this page is from; the references are relative to this URL.",
        documentation_only=True,
    ),
    ResponseHeader(
        name="X-Total-Count",
        value="",
        description="How many elements all pages have together.",
        documentation_only=True,
    ),
)

SHARED: dict[str, Any] = {
    "tags": ["Marketing"],
    "guards": [require(SCOPE)],
    "security": [{"OAuth2": [SCOPE]}, {"Bearer": []}],
    "dependencies": {
        "selected": Provide(filters, sync_to_thread=False),
        "page": Provide(page, sync_to_thread=False),
        "source": Provide(source),
    },
    "response_headers": PAGED,
    "responses": documented(400, 401, 403, 404, 406, 410, 422, 503),
}
"""What the routes' descriptions have in common."""


# Examples are of the demo lake, whatever is served: everybody may read the document, and not
# everybody these rows. A test compares them with what the demo lake gives.

MEASUREMENTS_EXAMPLE = Measurements(
    [
        Measurement("product a", "always on", "always on", channel, day, conversions)
        for channel, day, conversions in (
            ("display - prospecting", date(2025, 9, 30), 4232.04),
            ("display - prospecting", date(2025, 10, 1), 5970.61),
            ("display - prospecting", date(2025, 10, 2), 5626.15),
        )
    ]
)

SHARES_EXAMPLE = ChannelShares(
    [
        ChannelShare("search - branded", "17.85"),
        ChannelShare("facebook", "17.30"),
        ChannelShare("search - non-branded", "15.73"),
    ]
)

WEEKS_EXAMPLE = ChannelWeeks(
    [
        ChannelWeek("display - prospecting", 2025, 40, 59906.29),
        ChannelWeek("display - retargeting", 2025, 40, 44287.91),
        ChannelWeek("facebook", 2025, 40, 151018.33),
    ]
)


@get(
    "/api/marketing/measurements",
    operation_id="listMeasurements",
    summary="Marketing conversions as they were measured",
    opt={"invalid": 422, "lists": LISTS, "mart": MART, "example": MEASUREMENTS_EXAMPLE},
    response_description="Measurements by product, campaign type, campaign, channel and day.",
    **SHARED,
)
async def list_measurements(
    request: AnyRequest, source: OpenPublication, selected: Filters, page: Page
) -> Response[Measurements]:
    """List the conversions of each product, campaign and channel by day.

    A measurement is listed if it fits every filter that is given, and fits one if it has any of
    its values. Parameters that are not listed here are ignored, unless their name is nearly one of
    these.
    """
    return await _answer(request, source, measurements, Measurements, selected, page)


@get(
    [
        "/api/marketing/stats/channel-sales-percentages",
        "/api/marketing/stats/channels-sales-percentages",
    ],
    operation_id=lambda _handler, _method, path: (
        "listChannelSharesAlias" if "channels-sales-percentages" in path else "listChannelShares"
    ),
    summary="Channels' shares of all sales",
    opt={"invalid": 422, "lists": LISTS, "mart": MART, "example": SHARES_EXAMPLE},
    response_description="Channels with their shares, the largest first.",
    **SHARED,
)
async def list_channel_shares(
    request: AnyRequest, source: OpenPublication, selected: Filters, page: Page
) -> Response[ChannelShares]:
    """Divide the sales of each channel by all sales in the period.

    The filters choose what is divided; what it is divided by are all sales from `start_date` to
    `end_date`, whatever the other filters are.
    """
    return await _answer(request, source, channel_shares, ChannelShares, selected, page)


@get(
    "/api/marketing/stats/channel-weekly-sales",
    operation_id="listChannelWeeks",
    summary="Channels' sales by ISO week",
    opt={"invalid": 422, "lists": LISTS, "mart": MART, "example": WEEKS_EXAMPLE},
    response_description="Sales by ISO year, week and channel.",
    **SHARED,
)
async def list_channel_weeks(
    request: AnyRequest, source: OpenPublication, selected: Filters, page: Page
) -> Response[ChannelWeeks]:
    """Sum the sales of each channel by ISO week, Monday first.

    A week that `start_date` or `end_date` cuts counts only the days inside. Weeks in which
    nothing was measured are not there.
    """
    return await _answer(request, source, weekly_sales, ChannelWeeks, selected, page)


ROUTES = [list_measurements, list_channel_shares, list_channel_weeks]

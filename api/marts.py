"""The rows of every mart, in PostgREST's read dialect and four formats."""

from typing import TYPE_CHECKING, Any, cast

import msgspec
from litestar import Response, get
from litestar.datastructures import ResponseHeader
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Stream

from api.asking import Asked, Window
from api.auth.permission import may_read
from api.described import FILES, SINGULAR
from api.dialect.parsing import parse
from api.finding import find_mart
from api.formats import FileFormat
from api.opened import OpenPublication
from api.parameters import parameter
from api.pinned import chosen
from api.problems import MartProblem, documented
from api.ranges import CONTENT_RANGE, NEXT, next_link, set_range
from api.requests import AnyRequest
from api.reusable import PUBLISHED, keeping
from api.streaming import streamed
from api.wanted import Wanted, read_wanted

if TYPE_CHECKING:
    from api.settings import Bounds

HELD = 1 << 20
"""Up to how many bytes an answer is made whole and kept; a longer one is sent while it is made."""

Row = dict[str, Any]

PARAMETERS = [
    parameter("select", "query", "Columns, `alias:column`, `column::type`, `column.sum()`, ..."),
    parameter("order", "query", "Columns, each with `.desc` and `.nullsfirst` or `.nullslast`."),
    parameter("and", "query", "Conditions that must all hold: `(a.gt.1,or(b.eq.2,c.is.null))`."),
    parameter("or", "query", "Conditions of which one must hold."),
    parameter("limit", "query", "How many rows to answer at most.", 0),
    parameter("offset", "query", "How many rows to pass over.", 0),
    parameter("publication", "query", "The number of the publication to ask.", 1),
    parameter("Range", "header", "Which rows to answer, both included: `0-9` or `10-`."),
    parameter("Prefer", "header", "`count=exact`: also say how many rows there are."),
    parameter("Accept-Profile", "header", "The schema; there is only `public`."),
]
"""What the route takes besides columns, for the OpenAPI document."""

ROWS = (
    *PUBLISHED,
    CONTENT_RANGE,
    ResponseHeader(
        name="Preference-Applied",
        value="",
        description="`count=exact`, if the rows were counted.",
        documentation_only=True,
    ),
    NEXT,
    ResponseHeader(
        name="Content-Disposition",
        value="",
        description="A name for a file, with the number of the publication (RFC 6266).",
        documentation_only=True,
    ),
)


class NotOne(HTTPException):
    """One row was asked for, and there are more or none."""

    status_code = 406
    code = "PGRST116"

    def __init__(self, rows: int) -> None:
        """Refuse.

        Args:
            rows: How many there are.
        """
        super().__init__(f"One row was to be answered, and there are {rows}.")
        # PostgREST's words: its clients look for them.
        self.details = f"The result contains {rows} rows"


@get(
    "/api/v1/marts/{mart:str}",
    operation_id="readMart",
    summary="Rows of a mart",
    tags=["Marts"],
    opt={
        "problem": MartProblem,
        "parameters": PARAMETERS,
        "vary": "Accept, Accept-Profile, Prefer, Range",
        "content": {
            "200": {SINGULAR: {"schema": {"type": "object"}}, **FILES},
            "206": FILES,
        },
    },
    security=[{}, {"OAuth2": ["marketing:read"]}, {"Bearer": []}],
    response_headers=ROWS,
    response_description="All that was asked for.",
    responses={
        **documented(400, 401, 403, 404, 406, 410, 416, 503, kind=MartProblem),
        206: ResponseSpec(list[Row], description="A part of the rows.", generate_examples=False),
    },
)
async def read_mart(
    request: AnyRequest, mart: str, publication: OpenPublication
) -> Response[list[Row]]:
    """Read rows in PostgREST's dialect.

    Every column is a parameter: `column=operator.value`, with the operators eq, neq, gt, gte, lt,
    lte, like, ilike, in and is, and `not.` before any of them; `and` and `or` take trees of such
    conditions. `select` takes columns, aliases, casts and the aggregates count, sum, avg, min and
    max. Without `order` rows come in the order of the mart's grain, which also decides between
    equal rows.
    """
    bounds: Bounds = request.app.state.bounds
    source = await chosen(request, publication)
    found, suffix = find_mart(source, mart)
    may_read(request, found.name, publication, source)
    given = request.query_params.multi_items()
    question = parse((name, value) for name, value in given if name != "publication")
    wanted = read_wanted(request, suffix, Window(question.offset, question.limit))
    asked = Asked(source, found, question)
    said = (found.name, question, wanted.window, wanted.single, wanted.counted, bounds.rows)
    canonical = msgspec.json.encode(said).decode()
    response = source.answer(b"", canonical, keeping(request), wanted.media_type)
    if wanted.applied:
        response.headers["Preference-Applied"] = wanted.applied
    if isinstance(wanted.format, FileFormat):
        answer = await _file(request, asked, wanted, response)
    else:
        answer = await _json(request, asked, wanted, bounds.rows, response)
    way = "attachment" if isinstance(wanted.format, FileFormat) else "inline"
    name = f"{found.name}-{source.manifest.number:06}.{wanted.format.suffix}"
    answer.headers["Content-Disposition"] = f'{way}; filename="{name}"'
    return cast("Response[list[Row]]", answer)


async def _json(
    request: AnyRequest, asked: Asked, wanted: Wanted, most: int, response: Response[bytes]
) -> Response[bytes]:
    """Complete an answer with rows as JSON; it says where it was cut."""
    window = wanted.window
    with asked.source.work() as work:
        part = await asked.array(work, window, 1 if wanted.single else most)
        total = await asked.total(work) if wanted.counted else None
        if wanted.single and (part.more or part.rows != 1):
            count = total if total is not None else await asked.total(work) if part.rows else 0
            raise NotOne(window.of_rows(count))
    set_range(response, window, part.rows, total, cut=part.more, ranged=wanted.ranged)
    response.content = part.body if wanted.single else b"[%b]" % part.body
    if part.more:
        response.headers["Link"] = next_link(request, asked.source, window, part.rows)
    return response


async def _file(
    request: AnyRequest, asked: Asked, wanted: Wanted, response: Response[bytes]
) -> Response[bytes] | Stream:
    """Complete an answer in another format: whole if it is short, else to be sent in parts."""
    window = wanted.window
    with asked.source.work() as work:
        # Which rows these are has to be known before the first of them is made.
        total = await asked.total(work) if wanted.counted or wanted.ranged else 0
    counted = total if wanted.counted else None
    set_range(response, window, window.of_rows(total), counted, ranged=wanted.ranged)
    parts = asked.pieces(cast("FileFormat", wanted.format), window, work)
    held: list[bytes] = []
    async for part in parts:
        held.append(part)
        if sum(map(len, held)) > HELD:
            return streamed(request, response, held, parts)
    response.content = b"".join(held)
    return response


ROUTES = [read_mart]

"""The rows of every mart, in PostgREST's read dialect and four formats."""

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.datastructures import ResponseHeader
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Stream

from api.asking import Asked, NotThatMany, Window
from api.auth.bearer import admit
from api.described import FILES, SINGULAR
from api.dialect.parsing import parse
from api.formats import FORMATS, FileFormat
from api.opened import OpenPublication
from api.pinned import chosen
from api.problems import MartProblem, documented
from api.quoting import shown
from api.requests import AnyRequest
from api.reusable import PUBLISHED, keeping
from api.streaming import streamed
from api.wanted import Wanted, read_wanted
from publication import Mart

if TYPE_CHECKING:
    from api.settings import Bounds

HELD = 1 << 20
"""Up to how many bytes an answer is made whole and kept; a longer one is sent while it is made."""

Row = dict[str, Any]


def parameter(
    name: str,
    where: str,
    description: str,
    least: int | None = None,
    *,
    required: bool = False,
) -> dict[str, Any]:
    """Describe a parameter that a route reads by itself, for the OpenAPI document.

    Args:
        name: Its name.
        where: ``query`` or ``header``.
        description: What it is.
        least: Its least value, if it is a whole number; else it is text.
        required: Whether it must be given.
    """
    schema: dict[str, Any] = (
        {"type": "string"} if least is None else {"type": "integer", "minimum": least}
    )
    said = {"name": name, "in": where, "description": description, "schema": schema}
    return said | {"required": True} if required else said


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

NEXT = ResponseHeader(
    name="Link",
    value="",
    description="The next part (RFC 8288), where an answer in JSON was cut.",
    documentation_only=True,
)

CONTENT_RANGE = ResponseHeader(
    name="Content-Range",
    value="",
    description="Which these are, and of how many: `0-9/120`, or `0-9/*` if they were not counted.",
    documentation_only=True,
)

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
    found, suffix = named(source, mart)
    may_read(request, publication, found)
    given = list(request.query_params.multi_items())
    others = [one for one in given if one[0] != "publication"]
    question = parse(others)
    wanted = read_wanted(request, suffix, Window(question.offset, question.limit))
    asked = Asked(source, found, question)
    said = (found.name, question, wanted.window, wanted.single, wanted.counted, bounds.rows)
    canonical = msgspec.json.encode(said).decode()
    control = keeping(named=len(others) < len(given), everyone=found.is_open)
    response = source.answer(b"", canonical, control, wanted.media_type)
    response.headers["Vary"] = "Accept, Accept-Profile, Prefer, Range"
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
    set_range(response, window, part.rows, total, cut=part.more)
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
        total = await asked.total(work)
    rows = window.of_rows(total)
    set_range(response, window, rows, total if wanted.counted else None)
    parts = asked.pieces(cast("FileFormat", wanted.format), window, work)
    held: list[bytes] = []
    async for part in parts:
        held.append(part)
        if sum(map(len, held)) > HELD:
            return streamed(request, response, held, parts)
    response.content = b"".join(held)
    return response


def set_range(
    response: Response[bytes], window: Window, rows: int, total: int | None, *, cut: bool = False
) -> None:
    """Say which rows an answer has, and by its status whether there are others.

    From right behind the last row on it is an empty part, from farther behind an error
    (``rangeStatus`` of PostgREST's RangeQuery.hs).

    Raises:
        NotThatMany: There are none so far behind.
    """
    if total is not None and window.offset > total:
        raise NotThatMany(total, window.offset)
    last = f"{window.offset}-{window.offset + rows - 1}" if rows else "*"
    response.headers["Content-Range"] = f"{last}/{'*' if total is None else total}"
    response.status_code = 206 if cut or (total is not None and rows < total) else 200


def named(publication: OpenPublication, name: str) -> tuple[Mart, str | None]:
    """Find a mart by its name, which a format may follow: `lead_event_counts_weekly.csv`.

    Returns:
        The mart, and the format's suffix if there is one.

    Raises:
        HTTPException: 404: there is no such mart, or no such format.
    """
    marts = publication.marts
    plain, _, suffix = name.partition(".")
    if plain not in marts:
        raise HTTPException(
            f"There is no mart {shown(plain)} in publication {publication.manifest.number}; "
            f"there are {', '.join(marts)}.",
            status_code=404,
        )
    if plain != name and suffix not in FORMATS:
        raise HTTPException(
            f"There is no format {shown(suffix)}; there are {', '.join(FORMATS)}.", status_code=404
        )
    return marts[plain], suffix or None


def may_read(request: AnyRequest, served: OpenPublication, *asked: Mart) -> None:
    """Let a request read a mart if it may: as the mart is now and, if it is older, as it was.

    Raises:
        NotAuthorizedException: It needs a token.
        PermissionDeniedException: The token lacks a scope.
    """
    marts = [one for mart in asked for one in (mart, served.marts.get(mart.name, mart))]
    if not all(mart.is_open for mart in marts):
        admit(request, frozenset[str]().union(*(mart.needs for mart in marts)))


def next_link(request: AnyRequest, source: OpenPublication, window: Window, rows: int) -> str:
    """Link to the rows after those that one answer holds."""
    kept = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in {"offset", "limit", "publication"}
    ]
    limit = [] if window.limit is None else [("limit", str(window.limit - rows))]
    number = ("publication", str(source.manifest.number))
    query = urlencode([*kept, *limit, ("offset", str(window.offset + rows)), number])
    return f'<{request.scope["path"]}?{query}>; rel="next"'


ROUTES = [read_mart]

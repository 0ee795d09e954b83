"""Every mart of the publication: what it is, and its rows in PostgREST's read dialect."""

import re
from typing import Annotated, Any, cast
from urllib.parse import urlencode

import duckdb
import msgspec
from litestar import Response, get
from litestar.datastructures import ResponseHeader
from litestar.exceptions import HTTPException, ServiceUnavailableException
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta

from api.answers import CACHE_CONTROL, PRIVATE, PUBLISHED
from api.auth.bearer import admit
from api.dialect.parsing import parse
from api.dialect.question import Refused
from api.dialect.sql import Statement, compile_question
from api.opened import OpenPublication
from api.pinned import Pinned, chosen
from api.problems import RETRY, AnyRequest, MartProblem, documented, shown
from publication import Column, Mart
from publication.connection import first_line
from publication.manifest import Test

MOST_ROWS = 10_000
"""How many rows a JSON answer has at most; it says where it was cut."""

SECONDS = 5.0
"""How long a query may take."""

SINGULAR = "application/vnd.pgrst.object+json"
JSON = "application/json"

ANSWERED = {"*/*", "application/*", JSON, "application/vnd.pgrst.array+json"}

RANGE = re.compile(r"(?:items=)?(?P<first>\d{1,18})-(?P<last>\d{0,18})", re.ASCII)
"""Which rows are asked for, both included."""

COUNTS = re.compile(r"\bcount=(exact|planned|estimated)\b")
"""A preference (RFC 7240); here every count is exact."""

encoder = msgspec.json.Encoder(decimal_format="number")

Row = dict[str, Any]


class MartLinks(msgspec.Struct):
    """Where more is about a mart."""

    rows: str
    publication: str


class MartEntry(msgspec.Struct, kw_only=True):
    """A mart, as its contract and its manifest describe it."""

    name: str
    description: str
    grain: Annotated[
        tuple[str, ...], Meta(description="The columns whose values name a row; the usual order.")
    ]
    scope: Annotated[
        str | None,
        Meta(description="Who may read its rows: `open`, a scope, or null for any good token."),
    ]
    rows: Annotated[int, Meta(ge=0, description="How many rows it has.")]
    columns: tuple[Column, ...]
    tests: tuple[Test, ...]
    links: MartLinks


@get(
    "/api/v1/marts",
    operation_id="listMarts",
    summary="The marts that are published",
    tags=["Marts"],
    response_headers=PUBLISHED,
    responses=documented(406, 503),
)
async def list_marts(publication: OpenPublication) -> Response[list[MartEntry]]:
    """List all marts of the publication: columns, grain, tests, and who may read them.

    Names and columns of marts are public; their rows need not be.
    """
    number = publication.manifest.number
    entries = [
        MartEntry(
            name=mart.name,
            description=mart.description,
            grain=mart.grain,
            scope=mart.scope,
            rows=mart.rows,
            columns=mart.columns,
            tests=mart.tests,
            links=MartLinks(f"/api/v1/marts/{mart.name}", f"/api/v1/publications/{number}"),
        )
        for mart in publication.manifest.marts
    ]
    return publication.answer(entries, msgspec.json.encode(entries).decode())


def _parameter(name: str, where: str, description: str, kind: str = "string") -> dict[str, Any]:
    schema: dict[str, Any] = {"type": kind} if kind == "string" else {"type": kind, "minimum": 0}
    return {"name": name, "in": where, "description": description, "schema": schema}


PARAMETERS = [
    _parameter("select", "query", "Columns, `alias:column`, `column::type`, `column.sum()`, ..."),
    _parameter("order", "query", "Columns, each with `.desc` and `.nullsfirst` or `.nullslast`."),
    _parameter("and", "query", "Conditions that must all hold: `(a.gt.1,or(b.eq.2,c.is.null))`."),
    _parameter("or", "query", "Conditions of which one must hold."),
    _parameter("limit", "query", "How many rows to answer at most.", "integer"),
    _parameter("offset", "query", "How many rows to pass over.", "integer"),
    _parameter("publication", "query", "The number of the publication to ask.", "integer"),
    _parameter("Range", "header", "Which rows to answer, both included: `0-9` or `10-`."),
    _parameter("Prefer", "header", "`count=exact`: also say how many rows there are."),
    _parameter("Accept-Profile", "header", "The schema; there is only `public`."),
]
"""What the route takes besides columns, for the OpenAPI document."""

ROWS = (
    *PUBLISHED,
    ResponseHeader(
        name="Content-Range",
        value="",
        description="Which rows these are, and of how many: `0-9/120`, or `0-9/*` if they were not "
        "counted.",
        documentation_only=True,
    ),
    ResponseHeader(
        name="Preference-Applied",
        value="",
        description="`count=exact`, if the rows were counted.",
        documentation_only=True,
    ),
    ResponseHeader(
        name="Link",
        value="",
        description=f"The next part (RFC 8288), where an answer was cut after {MOST_ROWS:,} rows.",
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


class Window(msgspec.Struct, frozen=True):
    """Which rows of a list are asked for: `limit` of them, or all, after `offset` others."""

    offset: int
    limit: int | None

    def of(self, header: str | None) -> "Window":
        """Narrow it to what the ``Range`` header asks for.

        Raises:
            Refused: The header is no range of rows.
        """
        if header is None:
            return self
        found = RANGE.fullmatch(header.strip())
        if found is None or (found["last"] and int(found["last"]) < int(found["first"])):
            raise Refused(f"Range: {shown(header)} is no range of rows; write it as 0-9 or 10-.")
        first = max(self.offset, int(found["first"]))
        ends = [int(found["last"]) + 1] if found["last"] else []
        if self.limit is not None:
            ends.append(self.offset + self.limit)
        return Window(first, max(min(ends) - first, 0) if ends else None)


@get(
    "/api/v1/marts/{mart:str}",
    operation_id="readMart",
    summary="Rows of a mart",
    tags=["Marts"],
    opt={
        "problem": MartProblem,
        "parameters": PARAMETERS,
        "content": {SINGULAR: {"schema": {"type": "object"}}},
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
    request: AnyRequest, mart: str, publication: OpenPublication, pinned: Pinned
) -> Response[list[Row]]:
    """Read rows in PostgREST's dialect.

    Every column is a parameter: `column=operator.value`, with the operators eq, neq, gt, gte, lt,
    lte, like, ilike, in and is, and `not.` before any of them; `and` and `or` take trees of such
    conditions. `select` takes columns, aliases, casts and the aggregates count, sum, avg, min and
    max. Without `order` rows come in the order of the mart's grain, which also decides between
    equal rows.
    """
    source = await chosen(request, publication, pinned)
    found = _mart(source, mart)
    _admit(request, publication, found)
    single = _accepted(request)
    question = parse(
        (name, value) for name, value in request.query_params.multi_items() if name != "publication"
    )
    asked = Window(question.offset, question.limit).of(request.headers.get("range"))
    counted = COUNTS.search(request.headers.get("prefer", "")) is not None
    statement = compile_question(found, question)
    with source.lease():
        values = await _values(source, statement)
        rows = await _rows(source, statement, values, asked)
        total = await _total(source, statement, values) if counted else None
    cut = len(rows) > MOST_ROWS
    rows = rows[:MOST_ROWS]
    if total is not None and asked.offset and asked.offset >= total:
        raise HTTPException(
            f"There are {total} rows, and {asked.offset} of them were to be passed over.",
            status_code=416,
            headers={"Content-Range": f"*/{total}"},
        )
    named = [dict(zip(statement.names, row, strict=True)) for row in rows]
    if single and len(named) != 1:
        raise NotOne(len(named))
    body = encoder.encode(named[0] if single else named)
    canonical = msgspec.json.encode((mart, question, asked, counted, single)).decode()
    control = CACHE_CONTROL if found.scope == "open" else PRIVATE
    response = source.answer(body, canonical, control)
    response.media_type = SINGULAR if single else JSON
    partial = cut or (total is not None and len(rows) < total)
    response.status_code = 206 if partial else 200
    last = f"{asked.offset}-{asked.offset + len(rows) - 1}" if rows else "*"
    response.headers["Content-Range"] = f"{last}/{'*' if total is None else total}"
    response.headers["Vary"] = "Accept, Accept-Profile, Prefer, Range"
    if counted:
        response.headers["Preference-Applied"] = "count=exact"
    if cut:
        response.headers["Link"] = _next(request, source, asked)
    return cast("Response[list[Row]]", response)


def _mart(publication: OpenPublication, name: str) -> Mart:
    marts = {mart.name: mart for mart in publication.manifest.marts}
    if name not in marts:
        raise HTTPException(
            f"There is no mart {shown(name)} in publication {publication.manifest.number}; "
            f"there are {', '.join(marts)}.",
            status_code=404,
        )
    return marts[name]


def _admit(request: AnyRequest, served: OpenPublication, asked: Mart) -> None:
    """See that the request may read a mart: as it is now and, if it is an older one, as it was."""
    now = [mart for mart in served.manifest.marts if mart.name == asked.name]
    scopes = {mart.scope for mart in (*now, asked)}
    if scopes != {"open"}:
        admit(request, frozenset(scope for scope in scopes if scope and scope != "open"))


def _accepted(request: AnyRequest) -> bool:
    """Tell whether one row by itself is to be answered.

    Raises:
        HTTPException: 406: what the client takes is not to be had.
    """
    profile = request.headers.get("accept-profile", "public")
    if profile != "public":
        raise HTTPException(
            f"There is no schema {shown(profile)}; there is public.", status_code=406
        )
    accepted = [
        part.partition(";")[0].strip().lower()
        for part in request.headers.get("accept", "*/*").split(",")
    ]
    for kind in accepted:
        if kind == SINGULAR:
            return True
        if kind in ANSWERED:
            return False
    raise HTTPException(
        f"Accept: {shown(', '.join(accepted))} is not to be had; there are {JSON} and {SINGULAR}.",
        status_code=406,
    )


async def _values(publication: OpenPublication, statement: Statement) -> dict[str, object]:
    """Read the query's values as their columns' types.

    Raises:
        Refused: One of them is not of its column's type.
    """
    texts = {f"v{n}": parameter.text for n, parameter in enumerate(statement.parameters)}
    if not texts:
        return {}
    # The types are those of the contract; the texts are bound.
    casts = [f"try_cast($v{n} as {given.type})" for n, given in enumerate(statement.parameters)]
    (found,) = await publication.rows("select " + ", ".join(casts), texts, SECONDS)
    for value, given in zip(found, statement.parameters, strict=True):
        if value is None:
            raise Refused(
                f"{given.column} is {given.type}, and '{shown(given.text)}' is none.", "22P02"
            )
    return dict(zip(texts, found, strict=True))


async def _rows(
    publication: OpenPublication, statement: Statement, values: dict[str, object], asked: Window
) -> list[tuple[Any, ...]]:
    most = MOST_ROWS + 1 if asked.limit is None else min(asked.limit, MOST_ROWS + 1)
    window = {"limit": most, "offset": asked.offset}
    return await _run(publication, f"{statement.rows} limit $limit offset $offset", values | window)


async def _total(
    publication: OpenPublication, statement: Statement, values: dict[str, object]
) -> int:
    ((total,),) = await _run(publication, statement.count, values)
    return int(total)


async def _run(
    publication: OpenPublication, query: str, values: dict[str, object]
) -> list[tuple[Any, ...]]:
    """Run a query, within its time.

    Raises:
        Refused: A cast does not succeed.
        ServiceUnavailableException: It takes too long.
    """
    try:
        return await publication.rows(query, values, SECONDS)
    except duckdb.InterruptException as error:
        raise ServiceUnavailableException(
            detail=f"The query took more than {SECONDS:g} seconds; ask for less.", headers=RETRY
        ) from error
    except duckdb.DataError as error:
        raise Refused(f"A value cannot be cast: {shown(first_line(error))}", "22P02") from error


def _next(request: AnyRequest, source: OpenPublication, asked: Window) -> str:
    """Link to the rows after those that one answer holds."""
    kept = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in {"offset", "limit", "publication"}
    ]
    limit = [] if asked.limit is None else [("limit", str(asked.limit - MOST_ROWS))]
    number = ("publication", str(source.manifest.number))
    query = urlencode([*kept, *limit, ("offset", str(asked.offset + MOST_ROWS)), number])
    return f'<{request.scope["path"]}?{query}>; rel="next"'


ROUTES = [list_marts, read_mart]

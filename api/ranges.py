"""Which rows of a list an answer has, and where the next ones are."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from litestar.datastructures import ResponseHeader

from api.asking import NotThatMany
from api.dialect.question import Refused
from api.pages import LONGEST, link

if TYPE_CHECKING:
    from litestar import Response

    from api.asking import Window
    from api.opened import OpenPublication
    from api.requests import AnyRequest

NEXT = ResponseHeader(
    name="Link",
    value="",
    description="The next part (RFC 8288), where an answer in JSON was cut; the reference is "
    "relative to this URL.",
    documentation_only=True,
)

CONTENT_RANGE = ResponseHeader(
    name="Content-Range",
    value="",
    description="Where rows were counted, asked for by `Range`, or cut: which these are, and of "
    "how many: `0-9/120`, or `0-9/*` if they were not counted.",
    documentation_only=True,
)


def set_range(  # noqa: PLR0913 -- all that it depends on
    response: Response[bytes],
    window: Window,
    rows: int,
    total: int | None,
    *,
    cut: bool = False,
    ranged: bool = False,
) -> None:
    """Say by an answer's status whether there are other rows, and which these are if asked for.

    Proxies take ``Content-Range`` for one of bytes, in an answer that nobody asked a part of for an
    error (Varnish). So it is sent only where the rows were counted or cut, or asked for by
    ``Range``; and as PostgREST sends it, without a unit, because its clients read it so.

    From right behind the last row on it is an empty part, from farther behind an error
    (``rangeStatus`` of PostgREST's RangeQuery.hs).

    Raises:
        NotThatMany: There are none so far behind.
    """
    if total is not None and window.offset > total:
        raise NotThatMany(total, window.offset)
    last = f"{window.offset}-{window.offset + rows - 1}" if rows else "*"
    response.status_code = 206 if cut or (total is not None and rows < total) else 200
    if response.status_code == HTTPStatus.PARTIAL_CONTENT or total is not None or ranged:
        response.headers["Content-Range"] = f"{last}/{'*' if total is None else total}"


def next_link(request: AnyRequest, source: OpenPublication, window: Window, rows: int) -> str:
    """Link to the rows after those that one answer holds.

    Args:
        request: The request, whose question the link repeats.
        source: The publication that the answer is from; the next rows are of the same.
        window: Which rows were asked for.
        rows: How many the answer has.

    Raises:
        Refused: The question is too long to be repeated.
    """
    kept = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in {"offset", "limit", "publication"}
    ]
    limit = [] if window.limit is None else [("limit", str(window.limit - rows))]
    number = ("publication", str(source.manifest.number))
    query = [*kept, *limit, ("offset", str(window.offset + rows)), number]
    written = link("next", request.scope["path"], query)
    if len(written) > LONGEST:
        raise Refused(
            f"There are more rows than the {rows} of one answer, and the link to the next ones, "
            f"which repeats the question, would have {len(written)} characters of at most "
            f"{LONGEST}; ask for less, set a limit of {rows} or less, or take .csv, which has none."
        )
    return written

"""What changed in a mart between two publications: late events change weeks that are past."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta

from api.asking import Window, not_too_long
from api.auth.permission import may_read
from api.comparison import differences
from api.dialect.parsing import parse
from api.dialect.question import Refused
from api.finding import find_mart
from api.opened import OpenPublication
from api.parameters import parameter
from api.pinned import chosen, numbered, opened_as
from api.problems import MartProblem, documented
from api.ranges import CONTENT_RANGE, NEXT, next_link, set_range
from api.requests import AnyRequest
from api.reusable import PUBLISHED, keeping
from api.wanted import check_schema
from publication import Mart

if TYPE_CHECKING:
    from api.settings import Bounds

Row = dict[str, Any]


class Change(msgspec.Struct, kw_only=True):
    """A row that is not as it was."""

    change: Literal["added", "removed", "changed"]
    key: Annotated[Row, Meta(description="The columns of the grain.")]
    columns: Annotated[list[str], Meta(description="The columns that changed, if it was changed.")]
    old: Annotated[Row | None, Meta(description="The other columns as they were.")]
    new: Annotated[Row | None, Meta(description="The other columns as they are.")]


class Changes(msgspec.Struct, kw_only=True):
    """What changed in a mart between two publications."""

    mart: str
    since: Annotated[int, Meta(ge=1, description="The number of the older publication.")]
    publication: Annotated[int, Meta(ge=1, description="The number of the newer one.")]
    grain: tuple[str, ...]
    columns_added: Annotated[
        list[str], Meta(description="Columns that the older does not have, or of another type.")
    ]
    columns_removed: Annotated[
        list[str], Meta(description="Columns that the newer does not have, or of another type.")
    ]
    changes: Annotated[list[Change], Meta(description="In the order of the grain.")]


PARAMETERS = [
    parameter("since", "query", "The number of the older publication.", 1, required=True),
    parameter("publication", "query", "The number of the newer one, if not the current.", 1),
    parameter("limit", "query", "How many changes to answer at most.", 0),
    parameter("offset", "query", "How many changes to pass over.", 0),
]

TAKEN = "Changes take only since, publication, limit and offset, and come as JSON."

INSTEAD = "ask for the mart in both publications, in another format"
"""What to do where one change is too long for JSON."""


@get(
    "/api/v1/marts/{mart:str}/changes",
    operation_id="listChanges",
    summary="What changed in a mart between two publications",
    tags=["Marts"],
    opt={"problem": MartProblem, "parameters": PARAMETERS, "vary": "Accept-Profile"},
    security=[{}, {"OAuth2": ["marketing:read"]}, {"Bearer": []}],
    response_headers=[*PUBLISHED, CONTENT_RANGE, NEXT],
    response_description="All that was asked for.",
    responses={
        **documented(400, 401, 403, 404, 406, 410, 416, 503, kind=MartProblem),
        206: ResponseSpec(Changes, description="A part of the changes.", generate_examples=False),
    },
)
async def list_changes(
    request: AnyRequest, mart: str, publication: OpenPublication
) -> Response[Changes]:
    """List the rows of a mart that were added, removed or changed since a publication.

    Rows are told apart by the mart's grain. Columns that only one of the two publications has are
    named and not compared.
    """
    if not {one["name"] for one in PARAMETERS}.issuperset(request.query_params):
        raise Refused(TAKEN)
    number = numbered(request, "since")
    if number is None:
        raise Refused("The parameter since is missing; give the number of an older publication.")
    bounds: Bounds = request.app.state.bounds
    newer = await chosen(request, publication)
    if number > newer.manifest.number:
        raise Refused(
            f"since={number} is newer than publication {newer.manifest.number}; "
            "changes are listed from an older publication to a newer one."
        )
    with newer.leases:  # while the older one is opened
        same = number == newer.manifest.number
        older = newer if same else await opened_as(request, number, publication)
        (now, suffix), (before, _) = find_mart(newer, mart), find_mart(older, mart)
        may_read(request, now.name, publication, newer, older)
        check_schema(request)
        if suffix:
            raise Refused(TAKEN)
        question = parse(
            (name, value)
            for name, value in request.query_params.multi_items()
            if name not in {"since", "publication"}
        )
        if (was := _grain(before)) != (is_now := _grain(now)):
            raise Refused(
                f"The grain of {mart} was {was} in publication {number} and is {is_now} in "
                f"{newer.manifest.number}: their rows cannot be compared."
            )
        window = Window(question.offset, question.limit)
        with newer.work(newer, older) as work:
            asked = window.one_more_than(bounds.rows)
            part = await work.do(differences, now, before, asked, bounds.rows)
    not_too_long(part, INSTEAD)
    columns = {
        side: {(c.name, c.type) for c in one.columns}
        for side, one in (("new", now), ("old", before))
    }
    body = msgspec.json.encode(
        {
            "mart": mart,
            "since": number,
            "publication": newer.manifest.number,
            "grain": now.grain,
            "columns_added": sorted(name for name, _ in columns["new"] - columns["old"]),
            "columns_removed": sorted(name for name, _ in columns["old"] - columns["new"]),
            "changes": msgspec.Raw(b"[%b]" % part.body),
        }
    )
    said = ("changes", mart, number, newer.manifest.number, older.manifest.digest, window, bounds)
    canonical = msgspec.json.encode(said).decode()
    response: Response[Any] = newer.answer(body, canonical, keeping(request))
    set_range(response, window, part.rows, None, cut=part.more)
    if part.more:
        response.headers["Link"] = next_link(request, newer, window, part.rows)
    return response


def _grain(mart: Mart) -> str:
    types = {column.name: column.type for column in mart.columns}
    return ", ".join(f"{name} {types[name]}" for name in mart.grain)


ROUTES = [list_changes]

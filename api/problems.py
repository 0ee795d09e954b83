"""Every error as a problem (RFC 9457) with a sentence, and as a line in the log."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from litestar import Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ServiceUnavailableException,
    ValidationException,
)
from litestar.openapi.datastructures import ResponseSpec
from loguru import logger

from api.parameters import describe_invalid, status_of_invalid
from api.quoting import URL_SAFE, logged, public
from api.request_ids import request_id
from api.requests import AnyRequest
from publication import PublicationError, PublicationGone, PublicationNotYet

if TYPE_CHECKING:
    from api.observing.traffic import Exchange


class Problem(msgspec.Struct, kw_only=True):
    """What went wrong (RFC 9457).

    Attributes:
        type: ``about:blank``: the status says what kind of problem it is.
        instance: The path of the request.
        request_id: The same as in the server's log.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    request_id: str


class MartProblem(Problem, kw_only=True):
    """What went wrong, also as PostgREST's clients read it.

    Attributes:
        message: The same sentence.
        code: PostgREST's or PostgreSQL's code.
        details: More about it, if there is more.
        hint: Always null: the sentence says what to do.
    """

    message: str
    code: str
    details: str | None = None
    hint: str | None = None


CODES = {401: "PGRST301", 403: "42501", 404: "PGRST205", 405: "PGRST117", 406: "PGRST107"}
"""PostgREST's code for a status, where an error has none of its own; else PGRST000."""

MARTS = "/api/v1/marts/"
"""Below it PostgREST's clients ask, also for what no route has: they write, and call functions."""

DESCRIPTIONS = {
    400: "A parameter is wrong, unknown or given twice; `detail` says which and what it takes.",
    401: "There is no token, or no good one; `detail` says why.",
    403: "The token lacks the scope that this needs.",
    404: "There is no such publication yet.",
    406: "`Accept-Encoding` refuses every coding that there is, no coding included.",
    410: "The publication is gone: only the newest are kept.",
    416: "There are not so many rows.",
    422: "A parameter is wrong or given twice; `detail` says which and what it takes.",
    429: "Too many requests, or too many failures; `Retry-After` says until when.",
    500: "The server failed; its log has the cause under `request_id`.",
    503: "There is no publication, it cannot be read, or there is too much to do; `detail` says "
    "which, and what helps, and `Retry-After` when to ask again.",
}

OF_MARTS = {
    404: "There is no such mart, format or publication; `detail` says which, and what there is.",
    406: "Nothing that `Accept`, `Accept-Profile` and `Accept-Encoding` take can be answered, or "
    "one row was to be and there are more or none; `detail` says which.",
}
"""Where there is more to be missed."""

FAILED = "The server failed on this request; its log has the cause under this request_id."

RETRY = {"Retry-After": "2"}
"""What a 503 carries that is no refusal: a new publication is seen after about so many seconds."""


def documented(*statuses: int, kind: type[Problem] = Problem) -> dict[int, ResponseSpec]:
    """Describe the problems that a route may answer, for the OpenAPI document."""
    descriptions = DESCRIPTIONS | OF_MARTS if kind is MartProblem else DESCRIPTIONS
    return {
        status: ResponseSpec(
            kind,
            description=descriptions[status],
            media_type="application/problem+json",
            generate_examples=False,
        )
        for status in sorted({*statuses, 500, 503})
    }


def no_publication(refusal: str | None) -> ServiceUnavailableException:
    """Make the error for everything that needs a publication while there is none.

    Args:
        refusal: Why the one that there is cannot be served, if so.
    """
    if refusal is None:
        detail = (
            "There is no publication yet. `dbt build` makes one, and so does `make run`; "
            "this server then picks it up by itself."
        )
    else:
        detail = f"{public(refusal)} This server picks up by itself what is put right or new."
    return ServiceUnavailableException(detail=detail, headers=RETRY)


def no_coding() -> HTTPException:
    """Make the error for a client that takes an answer in no coding that there is."""
    return HTTPException(
        "Accept-Encoding refuses every coding there is here: zstd, gzip and identity.",
        status_code=406,
    )


def answer_problem(request: AnyRequest, error: Exception) -> Response[Problem]:
    """Answer an exception, and log it with its request.

    A 5xx that is a bug says nothing of its cause to the client; the log has it under the same
    request id.
    """
    status, detail, headers = _describe(request, error)
    exchange: Exchange | None = request.scope["state"].get("exchange")  # none where it is a warm-up
    said: dict[str, Any] = {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": quote(request.scope["raw_path"], safe=URL_SAFE),
        "request_id": exchange.request_id if exchange else request_id().decode(),
    }
    if request.scope["path"].startswith(MARTS):
        problem: Problem = MartProblem(
            **said,
            message=detail,
            code=_code(request, error, status),
            details=getattr(error, "details", None),
        )
    else:
        problem = Problem(**said)
    log = logger.bind(
        method=request.method,
        path=logged(problem.instance, "/"),
        query=logged(quote(request.scope["query_string"], safe=URL_SAFE), "&"),
        status=status,
        request_id=problem.request_id,
    )
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.opt(exception=error).error("A request failed.")
    elif not request.scope["state"].get("trusted"):  # else nobody asked
        log.warning(str(error) if isinstance(error, PublicationError) else detail)
    return Response(
        problem,
        status_code=status,
        media_type="application/problem+json",
        headers={**headers, "Cache-Control": "no-store"},
    )


def _describe(request: AnyRequest, error: Exception) -> tuple[int, str, dict[str, str]]:
    """Say what an exception means to the client: status, sentence and headers."""
    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
    detail = FAILED
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException) and error.status_code != status:
        status, detail, headers = error.status_code, error.detail, dict(error.headers or {})
    match error:
        case PublicationGone():
            status = HTTPStatus.GONE
            detail = f"Publication {error.number} is gone; /api/v1/publications lists those kept."
        case PublicationNotYet():
            status, detail = HTTPStatus.NOT_FOUND, public(str(error))
        case PublicationError():
            status, detail = HTTPStatus.SERVICE_UNAVAILABLE, public(str(error))
            headers = RETRY
        case ValidationException():
            status, detail = status_of_invalid(request), describe_invalid(request, error)
        case NotFoundException() if _is_function(request):
            detail = "There are no functions to call (rpc); marts are only read."
        case MethodNotAllowedException() if request.scope["path"].startswith(MARTS):
            detail = (
                f"{request.method} is not supported: marts are only read, with GET or HEAD. "
                "Nothing can be inserted, updated or deleted."
            )
        case NotFoundException():
            detail = "There is nothing at this path; /docs lists what there is."
        case MethodNotAllowedException():
            detail = f"{request.method} is not possible here; the Allow header lists what is."
    return status, detail, headers


def _code(request: AnyRequest, error: Exception, status: int) -> str:
    """PostgREST's code for an error."""
    if isinstance(error, NotFoundException):
        return "PGRST202" if _is_function(request) else "PGRST125"
    code: str = getattr(error, "code", code_of(status))
    return code


def code_of(status: int) -> str:
    """PostgREST's code for a status."""
    return CODES.get(status, "PGRST000")


def _is_function(request: AnyRequest) -> bool:
    """Tell whether a request calls a function, as PostgREST's clients do."""
    return request.scope["path"].startswith(f"{MARTS}rpc/")

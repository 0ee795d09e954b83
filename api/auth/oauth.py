"""What OAuth 2.0 says in a request for a token and in its answer (RFC 6749)."""

from typing import Annotated, Literal
from urllib.parse import parse_qsl, unquote_plus

import msgspec
from litestar import Response
from litestar.exceptions import ClientException, HTTPException, InternalServerException
from msgspec import UNSET, Meta, UnsetType

from api.auth.basic import CHALLENGE, read_basic
from api.problems import answer_problem
from api.quoting import shown
from api.requests import AnyRequest

FORM = "application/x-www-form-urlencoded"


class TokenForm(msgspec.Struct, kw_only=True):
    """What asks for a token; `grant_type` says which of the others are needed."""

    grant_type: Literal["password", "client_credentials", "refresh_token"]
    username: Annotated[str, Meta(description="For `password`.")] | UnsetType = UNSET
    password: Annotated[str, Meta(description="For `password`.")] | UnsetType = UNSET
    client_id: (
        Annotated[str, Meta(description="For `client_credentials`, if not by HTTP Basic.")]
        | UnsetType
    ) = UNSET
    client_secret: (
        Annotated[str, Meta(description="For `client_credentials`, if not by HTTP Basic.")]
        | UnsetType
    ) = UNSET
    refresh_token: Annotated[str, Meta(description="For `refresh_token`.")] | UnsetType = UNSET
    scope: (
        Annotated[str, Meta(description="Scopes, separated by spaces; all there are by default.")]
        | UnsetType
    ) = UNSET


class OAuthToken(msgspec.Struct, kw_only=True):
    """A token, as OAuth 2.0 has it (RFC 6749 §5.1)."""

    access_token: Annotated[str, Meta(description="Send it as `Authorization: Bearer ...`.")]
    token_type: str = "Bearer"  # noqa: S105 -- a kind of token
    expires_in: Annotated[int, Meta(ge=1, description="Seconds.")]
    refresh_token: str | UnsetType = UNSET
    scope: Annotated[str, Meta(description="What the token permits, separated by spaces.")]


class OAuthProblem(msgspec.Struct, kw_only=True):
    """Why there is no token, as OAuth 2.0 has it (RFC 6749 §5.2)."""

    error: Annotated[str, Meta(examples=["invalid_grant"])]
    error_description: str
    detail: Annotated[str, Meta(description="The same sentence.")]


class OAuthError(ClientException):
    """A request for a token that cannot be granted."""

    def __init__(self, error: str, sentence: str) -> None:
        """Refuse.

        Args:
            error: The code of RFC 6749 §5.2.
            sentence: What was wrong.
        """
        unknown_client = error == "invalid_client"
        super().__init__(
            sentence,
            status_code=401 if unknown_client else 400,
            headers=CHALLENGE if unknown_client else None,
        )
        self.error = error


def answer_oauth(request: AnyRequest, error: HTTPException) -> Response[OAuthProblem]:
    """Answer an error as OAuth clients read it, and log it as any other."""
    problem = answer_problem(request, error)
    code = "temporarily_unavailable" if problem.status_code == 429 else "invalid_request"
    detail = problem.content.detail
    content = OAuthProblem(
        error=getattr(error, "error", code), error_description=detail, detail=detail
    )
    return Response(
        content,
        status_code=problem.status_code,
        media_type="application/json",
        headers=problem.headers,
    )


async def read_form(request: AnyRequest) -> dict[str, str]:
    """Read the request's parameters; one that is empty counts as left out (RFC 6749 §3.2).

    Raises:
        OAuthError: The body is none of them.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise OAuthError("invalid_request", f"Send the parameters as {FORM}.")
    try:
        body = await request.body()
    except InternalServerException:  # Litestar's, for a client that has left
        raise OAuthError("invalid_request", "The body did not come to its end.") from None
    try:
        pairs = parse_qsl(body.decode(), errors="strict", max_num_fields=20)
    except ValueError:
        raise OAuthError(
            "invalid_request", f"The body is no {FORM} in UTF-8 with at most 20 parameters."
        ) from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "A parameter was given twice; give it once.")
    return form


def needed(form: dict[str, str], *names: str) -> list[str]:
    """Take the parameters with some names.

    Raises:
        OAuthError: Some are missing; it says which.
    """
    missing = [name for name in names if name not in form]
    if missing:
        raise OAuthError("invalid_request", f"Parameters are missing: {', '.join(missing)}.")
    return [form[name] for name in names]


def client_credentials(request: AnyRequest, form: dict[str, str]) -> tuple[str, str]:
    """Read a client's name and secret from the header or from the form (RFC 6749 §2.3.1).

    Raises:
        OAuthError: They are missing, or came twice.
    """
    if "authorization" not in request.headers:
        if "client_id" not in form:
            raise OAuthError(
                "invalid_client",
                "This needs a client_id and a client_secret, by HTTP Basic or in the body.",
            )
        name, secret = needed(form, "client_id", "client_secret")
        return name, secret
    if "client_secret" in form:
        raise OAuthError(
            "invalid_request", "The client's secret came twice: in the header and in the body."
        )
    credentials = read_basic(request)
    try:
        name, secret = (unquote_plus(one, errors="strict") for one in credentials or ())
    except ValueError:
        sentence = "The Authorization header is no HTTP Basic in UTF-8."
        raise OAuthError("invalid_client", sentence) from None
    return name, secret


def granted(form: dict[str, str], most: frozenset[str]) -> frozenset[str]:
    """The scopes that are asked for: all there are, or a part of them (RFC 6749 §3.3).

    Args:
        form: The request's parameters.
        most: All that there are.

    Raises:
        OAuthError: More than all are asked for.
    """
    asked = frozenset(form["scope"].split()) if "scope" in form else most
    if beyond := sorted(asked - most):
        raise OAuthError("invalid_scope", f"This may not be granted: {shown(' '.join(beyond))}.")
    return asked

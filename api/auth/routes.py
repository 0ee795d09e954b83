"""The routes that give tokens for a name and a password (RFC 6749, RFC 7617)."""

import base64
import binascii
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote_plus

import msgspec
from litestar import HttpMethod, Response, get, post, route
from litestar.datastructures import ResponseHeader
from litestar.exceptions import (
    ClientException,
    HTTPException,
    InternalServerException,
    NotAuthorizedException,
)
from litestar.openapi.datastructures import ResponseSpec
from msgspec import UNSET, Meta, UnsetType

from api.auth.signing_in import SigningIn
from api.auth.tokens import TokenInvalid, Tokens
from api.auth.users import User
from api.problems import AnyRequest, answer_problem, documented, shown

PATHS = ["/api/auth/token", "/api/token"]

CHALLENGE = {"WWW-Authenticate": 'Basic realm="Lead Marts", charset="UTF-8"'}
NO_STORE = {"Cache-Control": "no-store"}

FORM = "application/x-www-form-urlencoded"

LARGEST_FORM = 10_000
"""Bytes: a name, a password and a refresh token are far below that."""

RATE = (
    ResponseHeader(
        name="RateLimit",
        value="",
        description="How many requests for tokens this client has left, and for how many seconds.",
        documentation_only=True,
    ),
    ResponseHeader(
        name="RateLimit-Policy",
        value="",
        description="How many requests for tokens a client has in how many seconds.",
        documentation_only=True,
    ),
    ResponseHeader(
        name="Cache-Control",
        value="",
        description="Nobody may keep the answer.",
        documentation_only=True,
    ),
)


class Token(msgspec.Struct, kw_only=True):
    """A token, and another one to get the next with."""

    token: Annotated[str, Meta(description="Send it as `Authorization: Bearer ...`.")]
    expires_in: Annotated[int, Meta(ge=1, description="Seconds.")]
    refresh_token: Annotated[
        str, Meta(description="Good for two weeks, or until the user is removed or changed.")
    ]


class TokenData(msgspec.Struct):
    """A token in an envelope."""

    data: Token


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


def _basic(request: AnyRequest) -> tuple[str, str] | None:
    """Read a name and a password from the Authorization header (RFC 7617), or None."""
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    name, colon, password = decoded.partition(":")
    return (name, password) if colon else None


def _name(operation: str, path: list[Any]) -> str:
    """Name an operation, which must have one name for each of its paths."""
    return operation if "auth" in path else f"{operation}Alias"


def _client(request: AnyRequest) -> str:
    return request.client.host if request.client else ""


@get(
    PATHS,
    operation_id=lambda _handler, _method, path: _name("getToken", path),
    summary="A token for a name and a password",
    tags=["Authentication"],
    response_description="A token that may do all that the user may.",
    security=[{"Basic": []}],
    response_headers=RATE,
    responses=documented(401, 429),
)
async def get_token(
    request: AnyRequest, signing_in: SigningIn, tokens: Tokens
) -> Response[TokenData]:
    """Sign in by HTTP Basic, in UTF-8."""
    headers = signing_in.admit(_client(request))
    credentials = _basic(request)
    if credentials is None:
        raise NotAuthorizedException(
            "This needs a name and a password: send them by HTTP Basic, in UTF-8, "
            "as in `curl -u name:password`.",
            headers=CHALLENGE,
        )
    user = await signing_in.user(*credentials)
    if user is None:
        raise NotAuthorizedException("The name or the password is wrong.", headers=CHALLENGE)
    scopes = frozenset(user.scopes)
    token = Token(
        token=tokens.access(user, scopes),
        expires_in=tokens.seconds,
        refresh_token=tokens.refresh(user, scopes),
    )
    return Response(TokenData(token), headers={**NO_STORE, **headers})


async def _form(request: AnyRequest) -> dict[str, str]:
    """Read the request's parameters; one that is empty counts as left out (RFC 6749 §3.2)."""
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


def _needed(form: dict[str, str], *names: str) -> list[str]:
    missing = [name for name in names if name not in form]
    if missing:
        raise OAuthError("invalid_request", f"Parameters are missing: {', '.join(missing)}.")
    return [form[name] for name in names]


def _client_credentials(request: AnyRequest, form: dict[str, str]) -> tuple[str, str]:
    """Read a client's name and secret from the header or from the form (RFC 6749 §2.3.1)."""
    if "authorization" not in request.headers:
        if "client_id" not in form:
            raise OAuthError(
                "invalid_client",
                "This needs a client_id and a client_secret, by HTTP Basic or in the body.",
            )
        name, secret = _needed(form, "client_id", "client_secret")
        return name, secret
    if "client_secret" in form:
        raise OAuthError(
            "invalid_request", "The client's secret came twice: in the header and in the body."
        )
    credentials = _basic(request)
    if credentials is None:
        raise OAuthError("invalid_client", "The Authorization header is no HTTP Basic in UTF-8.")
    return unquote_plus(credentials[0]), unquote_plus(credentials[1])


def _granted(form: dict[str, str], most: frozenset[str]) -> frozenset[str]:
    """The scopes that are asked for: all there are, or a part of them (RFC 6749 §3.3)."""
    asked = frozenset(form["scope"].split()) if "scope" in form else most
    if beyond := sorted(asked - most):
        raise OAuthError("invalid_scope", f"This may not be granted: {shown(' '.join(beyond))}.")
    return asked


@post(
    PATHS,
    operation_id=lambda _handler, _method, path: _name("postToken", path),
    summary="A token, by OAuth 2.0",
    tags=["Authentication"],
    status_code=200,
    opt={"form": TokenForm},
    response_description="A token; with the grant `password` or `refresh_token` also a token to "
    "get the next with.",
    response_headers=RATE,
    responses={
        **documented(),
        **{
            status: ResponseSpec(OAuthProblem, description=why, generate_examples=False)
            for status, why in {
                400: "The request is wrong, or the name, the password or the refresh token is.",
                401: "The client's name or secret is wrong.",
                413: "The body is too large.",
                429: "Too many requests, or too many failures; `Retry-After` says until when.",
            }.items()
        },
    },
    exception_handlers={HTTPException: answer_oauth},
    request_max_body_size=LARGEST_FORM,
)
async def post_token(
    request: AnyRequest, signing_in: SigningIn, tokens: Tokens
) -> Response[OAuthToken]:
    """Grant a token by OAuth 2.0 (RFC 6749 §4.3, §4.4, §6).

    With `password`, `username` and `password` are a user's. With `client_credentials` a program
    signs in as a user of its own, by HTTP Basic (both parts form-encoded, as §2.3.1 has it) or
    with `client_id` and `client_secret`, and gets no refresh token. With `refresh_token` a client
    gets a new access token; the refresh token stays the same, and ends two weeks after the
    sign-in. `scope` asks for less than the user may.
    """
    headers = signing_in.admit(_client(request))
    form = await _form(request)
    match _needed(form, "grant_type")[0]:
        case "password":
            user = await signing_in.user(*_needed(form, "username", "password"))
            if user is None:
                raise OAuthError("invalid_grant", "The name or the password is wrong.")
            answer = _token(tokens, user, _granted(form, frozenset(user.scopes)))
            answer.refresh_token = tokens.refresh(user, frozenset(answer.scope.split()))
        case "client_credentials":
            user = await signing_in.user(*_client_credentials(request, form))
            if user is None:
                raise OAuthError("invalid_client", "The client's name or secret is wrong.")
            answer = _token(tokens, user, _granted(form, frozenset(user.scopes)))
        case "refresh_token":
            (refresh_token,) = _needed(form, "refresh_token")
            try:
                grant = tokens.read(refresh_token, "rt+jwt")
            except TokenInvalid as error:
                raise OAuthError("invalid_grant", str(error)) from error
            answer = _token(tokens, grant.user, _granted(form, grant.scopes))
            answer.refresh_token = refresh_token
        case other:
            raise OAuthError(
                "unsupported_grant_type",
                f"There is no grant type {shown(other)} here; the known ones are "
                "password, client_credentials, refresh_token.",
            )
    return Response(answer, headers={**NO_STORE, **headers})


def _token(tokens: Tokens, user: User, scopes: frozenset[str]) -> OAuthToken:
    return OAuthToken(
        access_token=tokens.access(user, scopes),
        expires_in=tokens.seconds,
        scope=" ".join(sorted(scopes)),
    )


@route(
    PATHS,
    http_method=[HttpMethod.OPTIONS],
    status_code=204,
    operation_id=lambda _handler, _method, path: _name("optionsOfToken", path),
    include_in_schema=False,
)
async def token_options() -> Response[None]:
    """Say which methods there are; what Litestar says of a path knows only its first handler."""
    return Response(None, headers={"Allow": "GET, OPTIONS, POST"})


ROUTES = [token_options, get_token, post_token]

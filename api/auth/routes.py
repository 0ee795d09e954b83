"""The routes that give tokens for a name and a password (RFC 6749, RFC 7617)."""

from typing import Annotated, Any

import msgspec
from litestar import HttpMethod, Response, get, post, route
from litestar.datastructures import ResponseHeader
from litestar.exceptions import HTTPException, NotAuthorizedException
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta

from api.auth.basic import CHALLENGE, read_basic
from api.auth.oauth import (
    OAuthError,
    OAuthProblem,
    OAuthToken,
    TokenForm,
    answer_oauth,
    client_credentials,
    granted,
    needed,
    read_form,
)
from api.auth.signing_in import SigningIn
from api.auth.tokens import TokenInvalid, Tokens
from api.auth.users import User
from api.caching import NO_STORE
from api.problems import documented
from api.quoting import shown
from api.requests import AnyRequest

PATHS = ["/api/auth/token", "/api/token"]

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
    credentials = read_basic(request)
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
    form = await read_form(request)
    match needed(form, "grant_type")[0]:
        case "password":
            user = await signing_in.user(*needed(form, "username", "password"))
            if user is None:
                raise OAuthError("invalid_grant", "The name or the password is wrong.")
            answer = _token(tokens, user, granted(form, frozenset(user.scopes)))
            answer.refresh_token = tokens.refresh(user, frozenset(answer.scope.split()))
        case "client_credentials":
            user = await signing_in.user(*client_credentials(request, form))
            if user is None:
                raise OAuthError("invalid_client", "The client's name or secret is wrong.")
            answer = _token(tokens, user, granted(form, frozenset(user.scopes)))
        case "refresh_token":
            (refresh_token,) = needed(form, "refresh_token")
            try:
                grant = tokens.read(refresh_token, "rt+jwt")
            except TokenInvalid as error:
                raise OAuthError("invalid_grant", str(error)) from error
            answer = _token(tokens, grant.user, granted(form, grant.scopes))
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

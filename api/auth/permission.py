"""Who may read a mart: the one rule, for every route that reads one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar.exceptions import PermissionDeniedException

from api.auth.bearer import REALM

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

    from api.auth.bearer import Bearer
    from api.opened import OpenPublication
    from api.requests import AnyRequest

    Connection = ASGIConnection[Any, Any, Any, Any]
    Guard = Callable[[Connection, BaseRouteHandler], None]


def may_read(request: AnyRequest, mart: str, *publications: OpenPublication) -> None:
    """Let a request read a mart if it may, as the mart is in each of some publications.

    What the mart was once is no way around what it is now, nor the other way round: so the one
    that is served counts too, whichever is read.

    Args:
        request: The request.
        mart: The mart's name. One that is in none of them is not open.
        publications: The one that is served, and those that are read.

    Raises:
        NotAuthorizedException: It needs a token.
        PermissionDeniedException: The token lacks a scope.
    """
    marts = [one.marts[mart] for one in publications if mart in one.marts]
    if not marts or not all(one.is_open for one in marts):
        admit(request, frozenset[str]().union(*(one.needs for one in marts)))


def require(scope: str) -> Guard:
    """Make a guard that lets only tokens with a scope through, before anything else is looked at.

    Args:
        scope: What the route needs whatever its mart does, such as ``marketing:read``.
    """

    def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        admit(connection, frozenset({scope}))

    return guard


def admit(connection: Connection, needed: frozenset[str]) -> None:
    """Let a request through only with a good token that has some scopes.

    It notes in the request's state which scopes the answer is for, besides those that were asked
    for before: the layer in front of the framework keeps the answer for them alone, and other
    caches are told that it is private. What that layer asks by itself, to have answers ready, is
    let through.

    Args:
        connection: The request.
        needed: The scopes; with none of them any good token will do.

    Raises:
        NotAuthorizedException: There is no good token.
        PermissionDeniedException: It lacks a scope.
    """
    state = connection.scope["state"]
    needed |= state["permission"] or frozenset()
    state["permission"] = needed
    if state.get("trusted"):
        return
    lines = [value for name, value in connection.scope["headers"] if name == b"authorization"]
    bearer: Bearer = connection.app.state.bearer
    granted = bearer.scopes(b", ".join(lines) if lines else None)
    if missing := needed - granted:
        raise PermissionDeniedException(
            f"The token does not permit this: it lacks the scope {' '.join(sorted(missing))}.",
            headers={
                "WWW-Authenticate": f'{REALM}, error="insufficient_scope", '
                f'scope="{" ".join(sorted(needed))}"'
            },
        )

"""Bearer tokens on requests (RFC 6750), and which scopes one grants."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from litestar.exceptions import NotAuthorizedException

from api.auth.tokens import Grant, TokenInvalid, Tokens
from api.negotiation import LONGEST_FIELD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.auth.users import Users

REALM = 'Bearer realm="Lead Marts"'

CREDENTIALS = re.compile(rb"bearer +([\w.~+/-]+=*) *", re.ASCII | re.IGNORECASE)
"""The header's value (RFC 6750 §2.1)."""

REMEMBERED = 4096
"""How many verified tokens are remembered: the latest used."""


class Bearer:
    """Verifies tokens, and remembers those it has verified."""

    def __init__(self, tokens: Tokens, users: Users) -> None:
        """Remember nothing yet.

        Args:
            tokens: What reads them.
            users: Who there is: a remembered token ends with its user too.
        """
        self._tokens = tokens
        self._users = users
        self._remembered: OrderedDict[bytes, Grant] = OrderedDict()

    def permits(self, headers: Mapping[bytes, bytes], needed: frozenset[str]) -> bool:
        """Tell whether a request's token was verified before, is still good and has some scopes.

        This is on the way of every answer that is kept, so it verifies nothing anew.

        Args:
            headers: The request's, in lower case, several lines joined with commas.
            needed: The scopes.
        """
        grant = self._recall(headers.get(b"authorization"))
        return grant is not None and needed <= grant.scopes

    def _recall(self, authorization: bytes | None) -> Grant | None:
        if authorization is None or (grant := self._remembered.get(authorization)) is None:
            return None
        if grant.expires <= time.time() or self._users.get(grant.user.name) is not grant.user:
            del self._remembered[authorization]
            return None
        self._remembered.move_to_end(authorization)
        return grant

    def scopes(self, authorization: bytes | None) -> frozenset[str]:
        """The scopes that a request's token grants.

        Args:
            authorization: The ``Authorization`` header's value, several lines joined with commas,
                or None.

        Raises:
            NotAuthorizedException: There is no token, or it is not to be taken. Its headers have
                the challenge.
        """
        if authorization is None:
            raise NotAuthorizedException(
                "This needs a token; send it as `Authorization: Bearer ...`. "
                "GET /api/auth/token/ with a name and a password gives one.",
                headers={"WWW-Authenticate": REALM},
            )
        if (recalled := self._recall(authorization)) is not None:
            return recalled.scopes
        if len(authorization) > LONGEST_FIELD:
            raise _refusal(
                f"The Authorization header has {len(authorization):,} bytes and may have "
                f"{LONGEST_FIELD:,}; no token of this server is so long."
            )
        credentials = CREDENTIALS.fullmatch(authorization)
        if credentials is None:
            raise _refusal("The Authorization header has no bearer token; write `Bearer ...`.")
        try:
            grant = self._tokens.read(credentials[1].decode(), "at+jwt")
        except TokenInvalid as error:
            raise _refusal(str(error)) from error
        self._remembered[authorization] = grant
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        return grant.scopes


def _refusal(sentence: str) -> NotAuthorizedException:
    challenge = f'{REALM}, error="invalid_token", error_description="{sentence}"'
    return NotAuthorizedException(sentence, headers={"WWW-Authenticate": challenge})

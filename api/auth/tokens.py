"""Tokens: made for a user, and read back only if nothing about them is wrong.

Access tokens follow the JWT profile of RFC 9068. Refresh tokens are JWTs of another type. Both
carry a fingerprint of the user's record, so that both end when the user is removed or changed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jwt
import msgspec

if TYPE_CHECKING:
    from api.auth.users import User, Users

ISSUER = "lead-marts"
AUDIENCE = "lead-marts-api"
ALGORITHM = "HS256"
"""The only one that is taken, whatever a token's header says (RFC 8725 §3.1)."""

REFRESH_SECONDS = 14 * 24 * 3600
"""How long a refresh token lasts from the sign-in on, however often it is used: two weeks."""

LEEWAY = 30
"""Seconds by which the clock of the replica that made a token may be ahead of this one's. They
count where a token begins (``iat``, ``nbf``), and never where it ends (``exp``)."""

EXPIRED = "The token has expired; get a new one."

Kind = Literal["at+jwt", "rt+jwt"]

REQUIRED = ["iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "user"]


class TokenInvalid(Exception):
    """A token that is not to be taken; the text is one sentence that says why."""


class Grant(NamedTuple):
    """What a token permits.

    Attributes:
        user: Whom it was made for, as the file of users has them now.
        scopes: What they may do with it.
        expires: When it ends, in seconds since 1970.
    """

    user: User
    scopes: frozenset[str]
    expires: int


class Tokens:
    """Makes tokens and reads them."""

    def __init__(self, key: bytes, seconds: int, users: Users) -> None:
        """Take the key.

        Args:
            key: At least 32 random bytes.
            seconds: How long an access token lasts.
            users: Who there is.
        """
        self.seconds = seconds
        self._users = users
        # Two keys of one: what is made with one is no help against the other.
        self._signing = hmac.digest(key, b"lead-marts: sign tokens", "sha256")
        self._printing = hmac.digest(key, b"lead-marts: user fingerprints", "sha256")

    def access(self, user: User, scopes: frozenset[str]) -> str:
        """Make an access token (RFC 9068 §2)."""
        return self._make("at+jwt", user, scopes, self.seconds)

    def refresh(self, user: User, scopes: frozenset[str]) -> str:
        """Make a refresh token."""
        return self._make("rt+jwt", user, scopes, REFRESH_SECONDS)

    def read(self, token: str, kind: Kind) -> Grant:
        """Read a token of one kind.

        Raises:
            TokenInvalid: It is not one of ours, not of this kind, has expired, or its user was
                removed or changed since.
        """
        try:
            decoded = jwt.decode_complete(
                token,
                self._signing,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                leeway=LEEWAY,
                options={"require": REQUIRED},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenInvalid(EXPIRED) from error
        except jwt.ImmatureSignatureError as error:
            raise TokenInvalid(
                "The token is from the future: the clocks of the servers differ by more than "
                f"{LEEWAY} seconds; get a new one."
            ) from error
        except jwt.PyJWTError as error:
            raise TokenInvalid(f"The token cannot be taken: {_reason(error)}.") from error
        if str(decoded["header"].get("typ", "")).lower().removeprefix("application/") != kind:
            raise TokenInvalid("The token cannot be taken: it is of another type.")
        claims: dict[str, Any] = decoded["payload"]
        expires = int(claims["exp"])
        if expires <= time.time():  # the library gives its end the leeway too
            raise TokenInvalid(EXPIRED)
        user = self._users.get(claims["sub"])
        if user is None or not hmac.compare_digest(self._print(user), str(claims["user"])):
            raise TokenInvalid("The token's user was removed or changed; sign in again.")
        return Grant(user, frozenset(str(claims["scope"]).split()), expires)

    def _make(self, kind: Kind, user: User, scopes: frozenset[str], seconds: int) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user.name,
            "client_id": user.name,
            "iat": now,
            "exp": now + seconds,
            "jti": uuid.uuid4().hex,
            "scope": " ".join(sorted(scopes)),
            "user": self._print(user),
        }
        return jwt.encode(claims, self._signing, ALGORITHM, headers={"typ": kind})

    def _print(self, user: User) -> str:
        """A user's fingerprint: it changes with the password and the scopes, and tells nothing."""
        digest = hmac.digest(self._printing, msgspec.json.encode(user), hashlib.sha256)
        return base64.urlsafe_b64encode(digest[:18]).decode()


def _reason(error: jwt.PyJWTError) -> str:
    match error:
        case jwt.InvalidAudienceError():
            return "it is for somebody else (aud)"
        case jwt.InvalidIssuerError():
            return "it was made by somebody else (iss)"
        case jwt.InvalidAlgorithmError():
            return "its algorithm is not the one that is used here"
        case jwt.InvalidSignatureError():
            return "its signature is wrong"
        case jwt.MissingRequiredClaimError():
            return f"it lacks {error.claim}"
        case _:
            return "it is malformed"

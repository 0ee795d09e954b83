"""Passwords: kept as Argon2id hashes, and checked so that no answer tells more than yes or no."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

if TYPE_CHECKING:
    from api.auth.users import User

HASHER = PasswordHasher()
"""Argon2id with the second recommended parameters of RFC 9106 §4, which are the library's own."""

AT_ONCE = 2
"""How many passwords are checked at the same time: each takes 64 MiB and a core for a while."""


def fits(password: str, password_hash: str) -> bool:
    """Tell whether a hash was made of a password. Takes tens of milliseconds by intent."""
    try:
        return HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


class Passwords:
    """Checks passwords beside the event loop, not more than a few at once."""

    def __init__(self) -> None:
        """Make the hash that a password of nobody is compared with."""
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._nobody = HASHER.hash(secrets.token_urlsafe())

    async def is_right(self, password: str, user: User | None) -> bool:
        """Tell whether this is the user's password; where there is no user, it costs the same."""
        password_hash = user.password_hash if user else self._nobody
        async with self._slots:
            right = await asyncio.to_thread(fits, password, password_hash)
        return right and user is not None

"""Signing in: a name and a password become a user, but not too often."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from litestar.exceptions import TooManyRequestsException

from api.auth.passwords import Passwords

if TYPE_CHECKING:
    from api.auth.limits import Limit
    from api.auth.users import User, Users


class SigningIn:
    """The only way from a password to a user."""

    def __init__(self, users: Users, by_client: Limit, by_user: Limit) -> None:
        """Let somebody in for the first time.

        Args:
            users: Who there is.
            by_client: How often one client may ask, with success or without.
            by_user: How often anybody may fail with one name.
        """
        self.users = users
        self._by_client = by_client
        self._by_user = by_user
        self._passwords = Passwords()
        self._pending: Counter[str] = Counter()

    def admit(self, client: str) -> dict[str, str]:
        """Count a client's request.

        Args:
            client: Its address.

        Returns:
            The headers that say how many it has left.

        Raises:
            TooManyRequestsException: It asked too often.
        """
        standing = self._by_client.standing(client)
        if standing.remaining == 0:
            raise TooManyRequestsException(
                "This client asked for tokens too often; Retry-After says when to try again.",
                headers=standing.refusal,
            )
        self._by_client.count(client)
        return self._by_client.standing(client).headers

    async def user(self, name: str, password: str) -> User | None:
        """Find the user who has this name and this password.

        Raises:
            TooManyRequestsException: Somebody failed too often with this name.
        """
        standing = self._by_user.standing(name)
        # Those under way count as failed, or many at once would all still be let in.
        if standing.remaining <= self._pending[name]:
            raise TooManyRequestsException(
                "Signing in with this name failed too often; Retry-After says when to try again.",
                headers=standing.refusal,
            )
        self._pending[name] += 1
        try:
            user = self.users.get(name)
            right = await self._passwords.is_right(password, user)
        finally:
            self._pending[name] -= 1
            self._pending += Counter()  # drops the zeros
        if not right:
            self._by_user.count(name)
            return None
        return user

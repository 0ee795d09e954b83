"""How often somebody may ask for tokens."""

from __future__ import annotations

import hashlib
import math
import time
from typing import TYPE_CHECKING, NamedTuple

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

if TYPE_CHECKING:
    from limits import RateLimitItem


class Standing(NamedTuple):
    """How somebody stands with a limit.

    Attributes:
        remaining: How many are left.
        seconds: Until there is one more again.
        headers: ``RateLimit`` and ``RateLimit-Policy`` (draft-ietf-httpapi-ratelimit-headers-10).
    """

    remaining: int
    seconds: int
    headers: dict[str, str]

    @property
    def refusal(self) -> dict[str, str]:
        """The headers of an answer to somebody who has none left."""
        return {**self.headers, "Retry-After": str(self.seconds)}


class Limit:
    """So many a minute for each of many, counted in this process and forgotten after a minute."""

    def __init__(self, policy: str, per_minute: int) -> None:
        """Start counting.

        Args:
            policy: The limit's name in the headers.
            per_minute: How many a minute.
        """
        self._policy = policy
        self._item: RateLimitItem = RateLimitItemPerMinute(per_minute)
        self._counting = MovingWindowRateLimiter(MemoryStorage())

    def count(self, who: str) -> None:
        """Count one more of somebody's."""
        self._counting.hit(self._item, _key(who))

    def standing(self, who: str) -> Standing:
        """Say how somebody stands, and count nothing."""
        reset, remaining = self._counting.get_window_stats(self._item, _key(who))
        seconds = max(math.ceil(reset - time.time()), 1)
        headers = {
            "RateLimit-Policy": f'"{self._policy}";q={self._item.amount};w=60',
            "RateLimit": f'"{self._policy}";r={remaining};t={seconds}',
        }
        return Standing(remaining, seconds, headers)


def _key(who: str) -> str:
    """A key of one length, however long a name somebody sends."""
    return hashlib.sha256(who.encode("utf-8", "surrogateescape")).hexdigest()

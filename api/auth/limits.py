"""How often somebody may ask for tokens."""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict, deque
from typing import NamedTuple

SECONDS = 60
"""The window in which requests are counted."""


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
    """So many a minute for each of many, counted in this process and forgotten after a minute.

    It measures with the monotonic clock: a wall clock that is put forward lifts no limit, and one
    that is put back keeps nobody out.
    """

    def __init__(self, policy: str, per_minute: int) -> None:
        """Start counting.

        Args:
            policy: The limit's name in the headers.
            per_minute: How many a minute.
        """
        self._policy = policy
        self._per_minute = per_minute
        # By key, the latest moments. Whose last moment is oldest comes first.
        self._moments: OrderedDict[str, deque[float]] = OrderedDict()

    def count(self, who: str) -> None:
        """Count one more of somebody's."""
        now = self._now()
        key = _key(who)
        self._moments.setdefault(key, deque(maxlen=self._per_minute)).append(now)
        self._moments.move_to_end(key)

    def standing(self, who: str) -> Standing:
        """Say how somebody stands, and count nothing."""
        now = self._now()
        moments = self._moments.get(_key(who))
        while moments and moments[0] <= now - SECONDS:
            moments.popleft()
        remaining = self._per_minute - len(moments or ())
        seconds = max(math.ceil(SECONDS - (now - moments[0])), 1) if moments else SECONDS
        headers = {
            "RateLimit-Policy": f'"{self._policy}";q={self._per_minute};w={SECONDS}',
            "RateLimit": f'"{self._policy}";r={remaining};t={seconds}',
        }
        return Standing(remaining, seconds, headers)

    def _now(self) -> float:
        """Read the clock, and forget everybody who did not count in the last minute."""
        now = time.monotonic()
        while self._moments and next(iter(self._moments.values()))[-1] <= now - SECONDS:
            self._moments.popitem(last=False)
        return now


def _key(who: str) -> str:
    """A key of one length, however long a name somebody sends."""
    return hashlib.sha256(who.encode("utf-8", "surrogateescape")).hexdigest()

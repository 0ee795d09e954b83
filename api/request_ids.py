"""What each request is called, in its answer and in the log."""

from __future__ import annotations

import os
import re
import secrets
from itertools import count

GIVEN = re.compile(rb"[\w.:-]{1,64}", re.ASCII)
"""What is taken from a proxy's X-Request-ID; anything else could forge a log line."""

_prefix: bytes
_numbers = count()


def _begin() -> None:
    """Make what all ids of this process begin with."""
    global _prefix  # noqa: PLW0603 -- a forked process gets another one
    _prefix = secrets.token_hex(12).encode()


_begin()
os.register_at_fork(after_in_child=_begin)


def request_id(given: bytes | None = None) -> bytes:
    """Take the id that a proxy gave a request in ``X-Request-ID``, or make one.

    It is on the way of answers that take a few dozen microseconds in all, so it counts.

    Args:
        given: The header's value, if there is one.
    """
    if given is not None and GIVEN.fullmatch(given):
        return given
    return b"%b%08x" % (_prefix, next(_numbers) & 0xFFFFFFFF)

"""How much the server takes on at once, read once at start."""

from __future__ import annotations

import os
import re

import msgspec

from api.errors import SettingsError
from api.variables import whole_number

MEMORY = re.compile(r"[1-9]\d{0,8} ?([KMGT]i?B)", re.ASCII | re.IGNORECASE)
"""An amount of memory as DuckDB writes it: ``512MB``, ``2 GiB``."""


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What each worker takes on at most; what is beyond is refused at once.

    Attributes:
        connections: ``LEADMARTS_CONNECTIONS``: how many are open.
        queue: ``LEADMARTS_QUEUE``: how many requests wait for each process that asks DuckDB. For
            a moment there may be more; answers that are kept wait for nothing.
        client_seconds: ``LEADMARTS_CLIENT_SECONDS``: how long a client may take to send a request,
            and to take the next part of an answer.
        drain_seconds: ``LEADMARTS_DRAIN_SECONDS``: how long a server that was told to stop waits
            for the answers it has begun.
        query_memory: ``LEADMARTS_QUERY_MEMORY``: how much DuckDB takes in each process that asks
            it, for each publication that is open there.
    """

    connections: int = 512
    queue: int = 2
    client_seconds: int = 20
    drain_seconds: int = 10
    query_memory: str = "512MB"

    @classmethod
    def from_environment(cls) -> Capacity:
        """Read it.

        Raises:
            SettingsError: One of the settings is not what it should be.
        """
        return cls(
            connections=whole_number("LEADMARTS_CONNECTIONS", 512, 100_000),
            queue=whole_number("LEADMARTS_QUEUE", 2, 100_000),
            client_seconds=whole_number("LEADMARTS_CLIENT_SECONDS", 20, 3600),
            drain_seconds=whole_number("LEADMARTS_DRAIN_SECONDS", 10, 3600),
            query_memory=_memory("LEADMARTS_QUERY_MEMORY", "512MB"),
        )


def _memory(variable: str, default: str) -> str:
    text = os.environ.get(variable) or default
    if not MEMORY.fullmatch(text):
        raise SettingsError(
            f'{variable} is "{text[:40]}"; set it to an amount of memory, such as 512MB or 2GB.'
        )
    return text

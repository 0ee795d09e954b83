"""How many files and sockets a process of the server may have open."""

from __future__ import annotations

import resource

from api.errors import SettingsError

SPARE = 256
"""For publications, the log, sockets of query processes, and connections that are refused."""


def allow(connections: int, processes: int) -> None:
    """See that so many connections can be open; raise the system's usual bound if it may be.

    Args:
        connections: How many.
        processes: How many processes ask DuckDB.

    Raises:
        SettingsError: The system allows fewer.
    """
    needed = connections + processes + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SettingsError(
            f"LEADMARTS_CONNECTIONS is {connections:,}, but a process may have only {hard:,} files "
            f"open here: set it to {max(hard - processes - SPARE, 1):,} at most, or raise the "
            "limit (ulimit -n)."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))

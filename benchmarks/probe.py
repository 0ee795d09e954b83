"""A cheap question, asked again and again: when its answers arrive, and when they are read.

Where there are fewer cores than processes that want one, a probe waits for a core too, before it
reads an answer that has long arrived. That says nothing of the server, so the system's own time
stamps of what arrives are read as well (``SO_TIMESTAMPNS``, socket(7); Linux only). And the probe
goes before others where it may (setpriority(2)), so that it seldom waits.
"""

from __future__ import annotations

import os
import socket
import statistics
import struct
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import h11

from benchmarks.ratios import ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAUSE = 0.002
PROBED = "/health/live"

AHEAD = 10
"""How much more than others the probe wants a core (nice(2))."""

SOME = 100
"""How many answers may come without a time stamp before there is one."""

SO_TIMESTAMPNS = 35
"""Its number in ``asm-generic/socket.h``; Python has no name for it."""

TIMESPEC = struct.Struct("@qq")


class P99(NamedTuple):
    """The 99th percentiles, in seconds from when a question was sent.

    Attributes:
        arrived: Until the last byte of its answer had arrived.
        read: Until the probe had read it.
    """

    arrived: float
    read: float


def probe(url: str, seconds: float) -> P99:
    """Ask for /health/live every few milliseconds on one connection.

    Args:
        url: The server.
        seconds: How long.

    Raises:
        RuntimeError: A question failed.
    """
    arrived, read = [], []
    server = urlsplit(url)
    with (
        socket.create_connection((server.hostname, server.port or 80), 10) as connection,
        ahead(),
    ):
        connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        talk = h11.Connection(h11.CLIENT)
        asked = h11.Request(method="GET", target=PROBED, headers=[("Host", server.netloc)])

        def ask() -> tuple[int, int, int]:
            """Ask once; say when it was sent, when its answer arrived, and when it was read."""
            question = talk.send(asked) + talk.send(h11.EndOfMessage())
            sent = time.time_ns()
            connection.sendall(question)
            stamp = _read(connection, talk)
            now = time.time_ns()
            talk.start_next_cycle()
            time.sleep(PAUSE)
            return sent, stamp, now

        # The system begins to stamp a while after it was told to.
        for _ in range(SOME):
            if ask()[1]:
                break
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            sent, stamp, now = ask()
            if not stamp:
                raise RuntimeError("the system gives no time stamps of what arrives")
            arrived.append((stamp - sent) / 1e9)
            read.append((now - sent) / 1e9)
    return P99(*(statistics.quantiles(taken, n=100)[98] for taken in (arrived, read)))


@contextmanager
def ahead() -> Iterator[None]:
    """Go before others that want the same core; say so, once, where that is not allowed."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, before - AHEAD)
    except PermissionError:
        warnings.warn(
            "the probe may not go before others (CAP_SYS_NICE): it waits for a core like them",
            stacklevel=1,
        )
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def compared(busy: Iterable[P99], quiet: Iterable[P99]) -> list[str]:
    """Say of each kind of p99 how much longer it is beside something: the median of the rounds.

    Args:
        busy: What was probed beside it.
        quiet: What was probed in the same rounds without.
    """
    lines = []
    for kind, probed, calm in zip(
        P99._fields, zip(*busy, strict=True), zip(*quiet, strict=True), strict=True
    ):
        lines.append(
            f"p99 of the probe, {kind:<8} {statistics.median(probed) * 1e3:>6.2f} ms"
            f"  quiet {statistics.median(calm) * 1e3:.2f} ms  ratio {ratio(probed, calm):.2f}"
        )
    return lines


def _read(connection: socket.socket, talk: h11.Connection) -> int:
    """Read an answer; return when its end arrived, in nanoseconds of :func:`time.time_ns`.

    It is 0 if the system did not say.
    """
    stamp = 0
    while True:
        event = talk.next_event()
        if event is h11.NEED_DATA:
            data, about, *_ = connection.recvmsg(65536, socket.CMSG_SPACE(TIMESPEC.size))
            talk.receive_data(data)
            for _level, _kind, value in about:
                whole, rest = TIMESPEC.unpack(value)
                stamp = whole * 1_000_000_000 + rest
        elif isinstance(event, h11.Response) and event.status_code != 200:
            raise RuntimeError(f"{PROBED} answered {event.status_code}")
        elif isinstance(event, h11.EndOfMessage):
            return stamp
        elif isinstance(event, h11.ConnectionClosed):
            raise RuntimeError(f"{PROBED}: the server closed the connection")

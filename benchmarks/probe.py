"""A cheap question, asked again and again: when its answers arrive, and when they are read.

Where there are fewer cores than processes that want one, a probe waits for a core too, before it
reads an answer that has long arrived. That says nothing of the server, so the system's own time
stamps of what arrives are read as well (``SO_TIMESTAMPNS``, socket(7); Linux only).
"""

from __future__ import annotations

import socket
import statistics
import struct
import time
from typing import NamedTuple
from urllib.parse import urlsplit

import h11

PAUSE = 0.002
PROBED = "/health/live"

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
    deadline = time.monotonic() + seconds
    with socket.create_connection((server.hostname, server.port or 80), 10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        talk = h11.Connection(h11.CLIENT)
        while time.monotonic() < deadline:
            asked = h11.Request(method="GET", target=PROBED, headers=[("Host", server.netloc)])
            question = talk.send(asked) + talk.send(h11.EndOfMessage())
            sent = time.time_ns()
            connection.sendall(question)
            stamp = _read(connection, talk)
            read.append((time.time_ns() - sent) / 1e9)
            arrived.append((stamp - sent) / 1e9)
            talk.start_next_cycle()
            time.sleep(PAUSE)
    return P99(*(statistics.quantiles(taken, n=100)[98] for taken in (arrived, read)))


def _read(connection: socket.socket, talk: h11.Connection) -> int:
    """Read an answer; return when its end arrived, in nanoseconds of :func:`time.time_ns`."""
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
            if not stamp:
                raise RuntimeError("the system gives no time stamps of what arrives")
            return stamp
        elif isinstance(event, h11.ConnectionClosed):
            raise RuntimeError(f"{PROBED}: the server closed the connection")

"""What HTTP asks of a request before anything reads it, and what HTTP/1.0 lacks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.types import ASGIApp, HTTPScope, Message, Receive, Send
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    Wrong = tuple[int, str]
    """A status and one sentence."""

VERSIONS = {"1.1", "1.0"}

NO_HOST = (400, "The request has no Host header field, which HTTP/1.1 needs; send one.")
SEVERAL_HOSTS = (400, "The request has several Host header fields; send one.")
OTHER_HOST = (
    400,
    "The request's target names another host than its Host header field; send the same in both.",
)
FRAGMENT = (400, "The request's target has a fragment (#), which servers never get; leave it out.")

NOT_A_HOST = (400, "The request's target names no host; write it as http://host/path.")

ABSOLUTE = re.compile(rb"([a-z][a-z0-9+.-]*)://([^/?#]*)", re.IGNORECASE)
"""A target that is a whole URL, as proxies are asked for: its scheme, and the host in it."""

USUAL_PORTS = {b"http": b":80", b"https": b":443"}
"""The ports of schemes; a host with that port and one without are the same (RFC 9110 §4.2.3)."""


def refusal_of(version: str, target: bytes, hosts: Sequence[bytes]) -> Wrong | None:
    """Say why a request cannot be taken, if it cannot (RFC 9112 §2.3, §3.2).

    A proxy in front may read one host and this server the other. The proxy would then cache the
    answer of one host for the other.

    Args:
        version: The version of HTTP.
        target: The request's target.
        hosts: The values of its ``Host`` header fields.
    """
    if version not in VERSIONS:
        return (
            505,
            f"This server speaks HTTP/1.1 and HTTP/1.0, not HTTP/{version}; ask in one.",
        )
    if len(hosts) > 1:
        return SEVERAL_HOSTS
    if not hosts and version == "1.1":
        return NO_HOST
    if b"#" in target:
        return FRAGMENT
    return _refusal_of_url(target, hosts)


def _refusal_of_url(target: bytes, hosts: Sequence[bytes]) -> Wrong | None:
    """Say why a target cannot be taken, if it is a whole URL and cannot."""
    if target[:1] != b"/" and (found := ABSOLUTE.match(target)):
        scheme, named = found[1].lower(), found[2].lower()
        if not named or b"@" in named:
            return NOT_A_HOST
        port = USUAL_PORTS.get(scheme, b":")
        if any(host.lower().removesuffix(port) != named.removesuffix(port) for host in hosts):
            return OTHER_HOST
    return None


def host_of(target: bytes) -> bytes | None:
    """The host that a request's target names by itself, if it does.

    Args:
        target: The target, of which :func:`refusal_of` said that it can be taken.
    """
    found = ABSOLUTE.match(target)
    return found[2] if found else None


class OldHttp:
    """An ASGI app that answers as HTTP/1.0 has it, under uvicorn.

    That version knows no chunks: content whose length is not known ends with the connection, and
    content that broke off with a reset. It does not know ``Expect`` either.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of an app.

        Args:
            app: The app.
        """
        self._app = app

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        # uvicorn's `send` is a method of what holds the state of the response.
        cycle = cast("RequestResponseCycle", cast("Any", send).__self__)
        cycle.waiting_for_100_continue = False
        sized = True

        async def send_on(message: Message) -> None:
            nonlocal sized
            if message["type"] == "http.response.start":
                sized = any(name == b"content-length" for name, _ in message["headers"])
                if not sized:
                    cycle.chunked_encoding = False
            elif message["type"] == "http.response.body" and not sized:
                cycle.expected_content_length = len(message["body"])
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        finally:
            if cycle.response_started and not cycle.response_complete:
                cycle.transport.abort()

"""One client's connection under ``python -m api``: how much it may send, and how slowly.

Other servers take the app too and have bounds of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.admission import FULL, NO_ROOM
from api.observing.connections import REFUSED
from api.protocol import OldHttp, host_of, refusal_of
from api.refusals import SOON, written

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from litestar.types import ASGIApp
    from uvicorn._types import ASGI3Application

    from api.capacity import Capacity

LARGEST_HEAD = 128 * 1024
"""Bytes of a request's first line and header fields: a long question to a mart, and a token."""

LONGEST_TARGET = 65_535
"""Bytes of a request's target, its path and query. The parser counts them in two bytes."""

LARGEST_BODY = 64 * 1024
"""Bytes of a request's body. The routes that take one take less, and say so better."""

LARGEST_REQUEST = LARGEST_HEAD + 8 * LARGEST_BODY
"""Bytes of all of a request. A body in chunks of a byte each takes six times as many as it has; the
rest are chunk extensions and trailer fields, which nobody reads."""

SLOWEST = 1024
"""Bytes a second: whoever takes less of an answer is not waited for."""

SPARE = 64
"""How many connections beyond the limit are told that they are; the others are closed at once."""

SOON_OVER = 1.0
"""Seconds that one beyond the limit has to ask, so that it keeps no place from the next."""

take_header = HttpToolsProtocol.on_header
"""Here by its name: it is called some ten times a request, and `super()` takes as long as it."""

Refusal = tuple[int, str, *tuple[tuple[bytes, bytes], ...]]
"""The status, one sentence, and further header fields."""

FULL_UP = (NO_ROOM, FULL, SOON)
TOO_SLOW = (408, "The request did not come to its end in time; send it faster.")
HEAD_TOO_LARGE = (431, f"The request's head has more than {LARGEST_HEAD:,} bytes; ask for less.")
TARGET_TOO_LONG = (
    414,
    f"The request's path and query have more than {LONGEST_TARGET:,} bytes; ask for less.",
)
BODY_TOO_LARGE = (413, f"The request's body has more than {LARGEST_BODY:,} bytes; send less.")
MALFORMED = (
    400,
    "This is no HTTP request; in a path and a query, write what is not ASCII as in %C3%A9.",
)


class RefusedRequest(Exception):
    """Stops the parser; the client is told why."""


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, with bounds.

    A clock runs while a request is awaited or comes in, another one while a client does not take
    what was written to it. Neither runs while an answer is made.
    """

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 -- uvicorn's own
        capacity: Capacity,
        secure: Sequence[tuple[bytes, bytes]] = (),
        **named: Any,  # noqa: ANN401 -- uvicorn's own
    ) -> None:
        """Take over a client.

        Args:
            capacity: How long a client is waited for, and how many there may be.
            secure: What a refusal carries as well.
            arguments: uvicorn's.
            named: uvicorn's.
        """
        super().__init__(*arguments, **named)
        self._most = capacity.connections
        self._secure = secure
        self._over = False  # there were as many as may be before it came
        self._patience = capacity.client_seconds
        self._coming = False  # a request has begun and not ended
        self._in_head = False
        self._handed_on = False  # its head was read, and the app has it
        self._size = 0  # bytes of it, but for those that came with the end of the one before
        self._first = False  # nothing of the one before came with it
        self._body = 0
        self._chunk = 0
        self._refusal: Refusal = MALFORMED
        self._request_clock: asyncio.TimerHandle | None = None
        self._answer_clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless there are too many; see :class:`asyncio.Protocol`."""
        super().connection_made(transport)
        if len(self.connections) > self._most + SPARE:
            REFUSED[NO_ROOM] += 1
            transport.abort()
            return
        # Once for all: whoever was there first stays, however many come later.
        self._over = len(self.connections) > self._most
        patience = min(SOON_OVER, self._patience) if self._over else self._patience
        self._request_clock = self.loop.call_later(patience, self._request_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks; see :class:`asyncio.Protocol`."""
        super().connection_lost(exc)
        self._stop_request_clock()
        self._stop_answer_clock()

    def data_received(self, data: bytes) -> None:
        """Read a part of a request, or several; see :class:`asyncio.Protocol`."""
        if self._over:
            # Now that something was read, so that the answer arrives before the end does.
            self._refuse(FULL_UP)
            return
        self._chunk = len(data)
        self._first = not self._coming
        self._size += self._chunk
        super().data_received(data)
        if self._coming and not self.transport.is_closing():
            if self._in_head and self._size > LARGEST_HEAD:
                self._refuse(HEAD_TOO_LARGE)
            elif self._size > LARGEST_REQUEST:
                self._refuse(BODY_TOO_LARGE)
        if self.transport.is_closing() or not self._awaits_request():
            self._stop_request_clock()
        elif self._request_clock is None:
            self._request_clock = self.loop.call_later(self._patience, self._request_is_late)

    def on_message_begin(self) -> None:
        """Begin a request; a call of the parser's."""
        super().on_message_begin()
        self._coming = self._in_head = True
        self._handed_on = False
        self._size = self._chunk if self._first else 0
        self._first = False
        self._body = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field, but no trailer field; a call of the parser's."""
        if self._in_head:
            take_header(self, name, value)

    def on_headers_complete(self) -> None:
        """End a request's head; a call of the parser's."""
        self._in_head = False
        if self._chunk + self._size > LARGEST_HEAD and self._head_size() > LARGEST_HEAD:
            self._refusal = HEAD_TOO_LARGE
            raise RefusedRequest
        if len(self.url) > LONGEST_TARGET:
            self._refusal = TARGET_TOO_LONG
            raise RefusedRequest
        hosts = []
        for name, value in self.headers:
            if name == b"host":
                hosts.append(value)
            elif name == b"content-length" and int(value) > LARGEST_BODY:
                self._refusal = BODY_TOO_LARGE
                raise RefusedRequest
        version = self.parser.get_http_version()
        if version != "1.1" or len(hosts) != 1 or self.url[:1] != b"/" or b"#" in self.url:
            self._look_closer(version, hosts)
        super().on_headers_complete()
        self._handed_on = True

    def on_body(self, body: bytes) -> None:
        """Take a part of a request's body; a call of the parser's."""
        self._body += len(body)
        if self._body > LARGEST_BODY:
            self._refusal = BODY_TOO_LARGE
            raise RefusedRequest
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; a call of the parser's."""
        self._coming = False
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Stop writing until the client has taken more; see :class:`asyncio.Protocol`."""
        super().pause_writing()
        self._start_answer_clock()

    def resume_writing(self) -> None:
        """Write again; see :class:`asyncio.Protocol`."""
        super().resume_writing()
        self._stop_answer_clock()
        self._watch_the_rest()

    def on_response_complete(self) -> None:
        """End an answer, and the connection if it was the last one; a call of uvicorn's."""
        super().on_response_complete()
        self._watch_the_rest()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that nothing more is asked on, as soon as its client has all."""
        super().timeout_keep_alive_handler()
        self._watch_the_rest()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that the parser stopped at; uvicorn calls it with a sentence."""
        del msg
        self._refuse(self._refusal)

    def _refuse(self, refusal: Refusal) -> None:
        """Say why, unless an answer has begun, and close; only once, and counted by its status."""
        if self.transport.is_closing():
            return
        REFUSED[refusal[0]] += 1
        complete = self.cycle is None or self.cycle.response_complete
        # A request that was answered before its body came to its end gets no second answer.
        quiet = complete and not (self._coming and self._handed_on)
        if not self.pipeline and (quiet or not self.cycle.response_started):
            self.transport.write(written(*refusal, *self._secure))
        self.transport.close()
        self._watch_the_rest()

    def _look_closer(self, version: str, hosts: list[bytes]) -> None:
        """Refuse a head that is not as nearly all are, unless it is good."""
        if refusal := refusal_of(version, self.url, hosts):
            self._refusal = refusal
            raise RefusedRequest
        if not hosts and (host := host_of(self.url)):
            self.headers.append((b"host", host))
        if version == "1.0":  # whose connections end with their first answer
            self.app = cast("ASGI3Application", OldHttp(cast("ASGIApp", self.app)))

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _awaits_request(self) -> bool:
        """Tell whether it is the client's turn to send, and not merely not to ask any more."""
        if self._coming:
            return True
        answered = self.cycle is None or self.cycle.response_complete
        return answered and self.timeout_keep_alive_task is None

    def _request_is_late(self) -> None:
        self._request_clock = None
        if self.flow.read_paused:  # it is not read: another one is answered first
            self._request_clock = self.loop.call_later(self._patience, self._request_is_late)
        else:
            self._refuse(FULL_UP if self._over else TOO_SLOW)

    def _stop_request_clock(self) -> None:
        if self._request_clock is not None:
            self._request_clock.cancel()
            self._request_clock = None

    def _start_answer_clock(self) -> None:
        self._stop_answer_clock()
        left = self.transport.get_write_buffer_size()
        self._answer_clock = self.loop.call_later(self._patience, self._look_at_answer, left)

    def _look_at_answer(self, before: int) -> None:
        taken = before - self.transport.get_write_buffer_size()
        if taken < SLOWEST * self._patience:
            self.transport.abort()
        else:
            self._start_answer_clock()

    def _watch_the_rest(self) -> None:
        """Wait no longer than for other answers for what a connection that closes still holds."""
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._start_answer_clock()

    def _stop_answer_clock(self) -> None:
        if self._answer_clock is not None:
            self._answer_clock.cancel()
            self._answer_clock = None

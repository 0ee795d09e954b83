"""Requests and their answers: each is counted; some, and all failures, are logged and traced."""

from __future__ import annotations

import time
from collections import deque
from random import random
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from loguru import logger

from api.messages import named
from api.observing.durations import Durations
from api.request_ids import request_id
from telemetry import Span, Trace, record, within

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from litestar.types import HTTPScope, Message, Send


METHODS = {"GET", "HEAD", "POST", "OPTIONS"}
"""All that any route has. What else a client calls a method is counted as ``other``."""

PATH_SAFE = "/:@!$&'()*+,;=~"
"""What stands in a path as it is (RFC 3986 §3.3)."""

NO_ROUTE = "none"
"""The route of a request that no route has: its path is anybody's, and no label."""

MOST_A_SECOND = 10
"""How many requests a worker logs and traces by sample in a second: a share of very many would be
more than anybody reads, and would cost what a hundred kept answers do. Failures come besides."""

FAILURE = 500
"""From this status on the server has failed, and says so in log and trace."""


class Traffic:
    """Counts requests, and chooses those that are logged and traced.

    What every request costs here is some integers: this is on the way of answers that take a few
    dozen microseconds in all.

    Attributes:
        tallies: What is counted of each route.
        hits: How many were answered from what is kept.
        misses: How many could have been, and were not.
        refused: How many there was no room for.
        broken: How many answers broke off after they had begun.
    """

    def __init__(self, sample: float = 0.0) -> None:
        """Count nothing yet.

        Args:
            sample: Which share of the requests is logged and traced, from 0 to 1.
        """
        self._sample = sample
        self.tallies = Tallies()
        self._latest: deque[float] = deque(maxlen=MOST_A_SECOND)
        self.hits = 0
        self.misses = 0
        self.refused = 0
        self.broken = 0

    def chosen(self) -> bool:
        """Choose whether a request is logged and traced."""
        return random() < self._sample and self._affordable()  # noqa: S311 -- no secret

    def _affordable(self) -> bool:
        """Tell whether there were few enough of them in the last second."""
        now = time.monotonic()
        if self._latest and now - self._latest[0] < 1 and len(self._latest) == MOST_A_SECOND:
            return self._sample == 1  # who asks for all gets all
        self._latest.append(now)
        return True

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.tallies[route, _countable(method), status].add(seconds)

    def turn_away(self, method: str, status: int) -> None:
        """Count a request that is refused before anything is done for it.

        It has no duration: very many that took no time would hide how long the others take.
        """
        self.tallies[NO_ROUTE, _countable(method), status].turned_away += 1


def _countable(method: str) -> str:
    return method if method in METHODS else "other"


class Tally(Durations):
    """Counts the requests that had one status by one method on one route, and how long they took.

    Attributes:
        turned_away: How many were refused before anything was done for them, and have no duration.
    """

    __slots__ = ("turned_away",)

    def __init__(self) -> None:
        """Count nothing yet."""
        super().__init__()
        self.turned_away = 0

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(self.counts) + self.turned_away


class Tallies(dict[tuple[str, str, int], Tally]):
    """The tallies of all that was answered, by route, method and status."""

    def __missing__(self, key: tuple[str, str, int]) -> Tally:
        """Begin one."""
        tally = self[key] = Tally()
        return tally


class Answered(NamedTuple):
    """What there is to say of a request when it has been answered.

    Attributes:
        method: Its method.
        route: Its route's template.
        status: The answer's status.
        seconds: How long it took.
        kept: Whether it was answered from what is kept.
        broken: Whether the answer broke off.
    """

    method: str
    route: str
    status: int
    seconds: float
    kept: bool
    broken: bool = False

    @property
    def failure(self) -> str | None:
        """How the server failed, if it did."""
        if self.broken:
            return "The answer broke off."
        return f"The answer's status is {self.status}." if self.status >= FAILURE else None

    def tell(self, path: str) -> None:
        """Log it."""
        logger.bind(
            method=self.method,
            path=quote(path, safe=PATH_SAFE),
            route=self.route,
            status=self.status,
            milliseconds=round(self.seconds * 1000, 3),
            kept=self.kept,
        ).info("Answered.")

    def span(self, trace: Trace, parent: Trace | None) -> Span:
        """Describe it as OpenTelemetry's conventions do; its query is nobody's business.

        See https://opentelemetry.io/docs/specs/semconv/http/http-spans/.
        """
        now = time.time_ns()
        return Span(
            f"{self.method} {self.route}",
            trace,
            parent,
            now - int(self.seconds * 1e9),
            now,
            {
                "http.request.method": self.method,
                "http.route": self.route,
                "http.response.status_code": self.status,
                "answer.kept": self.kept,
            },
            self.failure,
        )


def tell_of_hit(path: str, headers: Mapping[bytes, bytes], answered: Answered, name: bytes) -> None:
    """Log and trace a request that was chosen among those answered from what is kept."""
    parent = _parent(headers)
    trace = Trace.below(parent)
    with within(trace), logger.contextualize(request_id=name.decode()):
        answered.tell(path)
    record(answered.span(trace, parent))


def _parent(headers: Mapping[bytes, bytes]) -> Trace | None:
    """Read which trace a client says that its request belongs to."""
    return Trace.parse(headers.get(b"traceparent", b"").decode("latin-1"))


class Exchange:
    """One request that the framework is asked, from its beginning to the end of its answer.

    All that is logged meanwhile says whose it is; what is asked of DuckDB meanwhile is part of its
    trace, if it has been chosen.

    Attributes:
        request_id: What it is called.
        route: Its template, once that is known.
        broken: Whether its answer broke off, once that is known.
        turned_away: Whether it was refused rather than answered.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- what is known of a request
        self,
        traffic: Traffic,
        scope: HTTPScope,
        headers: Mapping[bytes, bytes],
        send: Send,
        publication: int | None,
        begun: float,
    ) -> None:
        """Begin.

        Args:
            traffic: Who counts it.
            scope: The request.
            headers: Its headers, in lower case.
            send: Where the answer goes.
            publication: The number of the publication that is served, if there is one.
            begun: When it came, on the clock of :func:`time.perf_counter`.
        """
        self._traffic = traffic
        self._scope = scope
        self._send = send
        self._begun = begun
        self._name = request_id(headers.get(b"x-request-id"))
        self._parent = _parent(headers)
        self._trace = Trace.below(self._parent, recorded=traffic.chosen())
        self._publication = publication
        self._status = FAILURE  # until there is an answer
        self.request_id = self._name.decode()
        self.route = NO_ROUTE
        self.broken = False
        self.turned_away = False

    def __enter__(self) -> Exchange:
        """Have all that happens in this task belong to it."""
        self._said = logger.contextualize(request_id=self.request_id, publication=self._publication)
        self._within = within(self._trace)
        self._said.__enter__()
        self._within.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Count it, and log and trace it if it was chosen or the server failed."""
        if self.turned_away:
            self._traffic.turn_away(self._scope["method"], self._status)
        else:
            self._end()
        self._within.__exit__(kind, error, traceback)
        self._said.__exit__(kind, error, traceback)

    def _end(self) -> None:
        seconds = time.perf_counter() - self._begun
        method = self._scope["method"]
        answered = Answered(
            method, self.route, self._status, seconds, kept=False, broken=self.broken
        )
        self._traffic.count(method, self.route, self._status, seconds)
        self._traffic.broken += self.broken
        if self._trace.recorded:
            answered.tell(self._scope["path"])
        if self._trace.recorded or answered.failure:
            record(answered.span(self._trace._replace(recorded=True), self._parent))

    async def send(self, message: Message) -> None:
        """Send a part of the answer, with the request's id."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message = named(message, self._name)
        await self._send(message)

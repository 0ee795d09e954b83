"""Which trace the present work belongs to, and what is recorded of it.

A trace goes on from room to room as W3C's ``traceparent`` (https://www.w3.org/TR/trace-context/):
in the environment, in a commit of the lake, in a publication's manifest, in a request's header. It
has its ids whether or not anybody receives it, so that log lines carry them. A span is handed over
when it has ended; until then it costs no more than its ids.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from random import getrandbits
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Value = str | int | float | bool

TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
"""Its version, the trace's id, the span's id and its flags; later versions may add to it."""

VARIABLE = "TRACEPARENT"
"""The environment variable by which whoever starts a command says which trace it belongs to."""


class Trace(NamedTuple):
    """A place in a trace.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits: of the span that is the parent of what follows.
        recorded: Whether its spans are handed over.
    """

    trace_id: str
    span_id: str
    recorded: bool = True

    @classmethod
    def parse(cls, traceparent: str | None) -> Trace | None:
        """Read a ``traceparent``; None where it is none, which is nobody's error."""
        found = TRACEPARENT.fullmatch(traceparent) if traceparent else None
        if found is None or not found[1].strip("0") or not found[2].strip("0"):
            return None
        return cls(found[1], found[2])

    @classmethod
    def below(cls, parent: Trace | None, *, recorded: bool = True) -> Trace:
        """Begin a span of a parent's trace, or of a new one."""
        # No secrets, so the faster source of chance will do; as OpenTelemetry's own.
        trace_id = parent.trace_id if parent else f"{getrandbits(128):032x}"
        return cls(trace_id, f"{getrandbits(64):016x}", recorded)

    def __str__(self) -> str:
        """Write it as a ``traceparent``."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.recorded):02}"


@dataclass
class Span:
    """One thing that was done.

    Attributes:
        name: What was done; few of them, so no values.
        trace: Where it is in its trace.
        parent: What it was part of, or followed from.
        begun: When, in nanoseconds since 1970.
        ended: When it ended.
        attributes: What else there is to say.
        error: Why it failed, if it did: one sentence.
        links: What else led to it.
    """

    name: str
    trace: Trace
    parent: Trace | None = None
    begun: int = 0
    ended: int = 0
    attributes: dict[str, Value] = field(default_factory=dict)
    error: str | None = None
    links: Sequence[Trace] = ()


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)

base: Trace | None = None
"""What work belongs to that no span surrounds: threads of a run have a context of their own."""

receive: Callable[[Span], None] | None = None
"""Who gets the spans that have ended; set by :func:`telemetry.sending.send`."""


def current() -> Trace | None:
    """Return the place in a trace that the present work has, if any."""
    return _current.get() or base


def traceparent() -> str | None:
    """Write the place in a trace that the present work has, if any, for whoever goes on with it."""
    trace = current()
    return str(trace) if trace else None


def given() -> Trace | None:
    """Return the place in a trace that whoever started this process gave it, if any."""
    return Trace.parse(os.environ.get(VARIABLE))


def record(span: Span) -> None:
    """Hand over a span that has ended."""
    if receive is not None and span.trace.recorded:
        receive(span)


@contextmanager
def within(trace: Trace | None) -> Iterator[None]:
    """Do something as part of a span."""
    token = _current.set(trace)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def follow(name: str, led: str | None, begun: int, **attributes: Value) -> Iterator[None]:
    """End something that follows from work elsewhere and was begun before that was known.

    Args:
        name: What is done.
        led: The ``traceparent`` of what it follows from; without one it has a trace of its own.
        begun: When it was begun, in nanoseconds since 1970.
        attributes: What else there is to say.
    """
    with span(name, attributes, parent=Trace.parse(led)) as one:
        one.begun = begun
        yield


@contextmanager
def span(
    name: str, attributes: Mapping[str, Value] | None = None, *, parent: Trace | None = None
) -> Iterator[Span]:
    """Do something as a span of its own.

    Args:
        name: What is done.
        attributes: What else there is to say; more may be added while it is done.
        parent: What it is part of or follows from, if that is not the present work.

    Yields:
        The span. What it raises fails it.
    """
    above = parent or current()
    trace = Trace.below(above, recorded=above.recorded if above else True)
    one = Span(name, trace, above, time.time_ns(), attributes=dict(attributes or {}))
    try:
        with within(trace):
            yield one
    except Exception as error:
        one.error = one.error or str(error) or type(error).__name__
        one.attributes["exception.type"] = type(error).__qualname__
        raise
    finally:
        one.ended = time.time_ns()
        record(one)

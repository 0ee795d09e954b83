"""A dbt run as a span that is begun before it is known which trace it belongs to.

dbt works in threads of its own, so the run is what work in this process belongs to that no other
span surrounds.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from telemetry import tracing
from telemetry.tracing import Span, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from telemetry.tracing import Value

_run: Span | None = None


def begin(name: str) -> None:
    """Begin a run, of the trace that ``TRACEPARENT`` names or of a new one so far."""
    global _run  # noqa: PLW0603 -- a process has one run at a time
    parent = tracing.given()
    _run = Span(name, Trace.below(parent), parent, time.time_ns())
    tracing.base = _run.trace


def follow(traceparents: Sequence[str | None]) -> None:
    """Say what the run follows from.

    Args:
        traceparents: The newest first. It goes on with the trace of that one, unless whoever
            started it named another; to the others it has links.
    """
    led = [trace for one in traceparents if (trace := Trace.parse(one)) is not None]
    if _run is None or not led:
        return
    if _run.parent is None:
        _run.parent, *led = led
        _run.trace = _run.trace._replace(trace_id=_run.parent.trace_id)
        tracing.base = _run.trace
    _run.links = led


def record(
    name: str, begun: int, ended: int, attributes: Mapping[str, Value], error: str | None
) -> None:
    """Record a part of the run that has ended; the times are nanoseconds since 1970."""
    if _run is not None:
        part = Trace.below(_run.trace)
        tracing.record(Span(name, part, _run.trace, begun, ended, dict(attributes), error))


def end(error: str | None) -> None:
    """End the run, if there is one.

    Args:
        error: Why it failed, if it did.
    """
    global _run  # noqa: PLW0603
    if _run is not None:
        _run.ended, _run.error = time.time_ns(), error
        tracing.record(_run)
        _run = tracing.base = None

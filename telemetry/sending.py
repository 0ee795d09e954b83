"""Sends traces and metrics by Logfire: to Logfire, to any collector of OpenTelemetry, or to nobody.

Logfire takes half a second to import, so it is imported only if somebody is to be sent to. What it
sends where follows its own variables and OpenTelemetry's.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from threading import Lock
from typing import TYPE_CHECKING

from telemetry import tracing
from telemetry.cleaning import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, Observation

    from telemetry.readings import Family
    from telemetry.settings import Settings
    from telemetry.tracing import Span, Trace

_sending: int | None = None
"""The process that sends, so that one that is forked from it begins anew."""

PATIENCE = "3"
"""Seconds for which a command waits for a collector that does not answer, unless
``OTEL_EXPORTER_OTLP_TIMEOUT`` says otherwise."""

MOMENT = 0.5
"""Seconds that all figures together may be old: they are sent once in many seconds."""


def send(settings: Settings, service: str) -> bool:
    """Begin to send what is recorded, if there is anybody to send it to.

    Args:
        settings: Whom to.
        service: What this process is called there, unless ``OTEL_SERVICE_NAME`` says otherwise.

    Returns:
        Whether it is sent.
    """
    global _sending  # noqa: PLW0603 -- a process sends once
    if settings.sends and _sending != os.getpid():
        _sending = os.getpid()
        for name in [name for name, value in os.environ.items() if not value]:
            if name.startswith(("OTEL_", "LOGFIRE_")):
                del os.environ[name]  # empty counts as not set, also to those libraries
        os.environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", PATIENCE)
        tracing.receive = _receiver(settings, service)
    return settings.sends


def flush() -> None:
    """Send at once what has not been sent yet. Blocks, for as long as a collector is waited for.

    For programs that a signal ends: others do so by themselves when they end.
    """
    if _sending == os.getpid():
        import logfire  # noqa: PLC0415 -- it is imported already

        logfire.force_flush()


def _receiver(settings: Settings, service: str) -> Callable[[Span], None]:
    """Set Logfire up, and return what takes a span that has ended."""
    import logfire  # noqa: PLC0415 -- it takes half a second
    from opentelemetry import trace as otel  # noqa: PLC0415
    from opentelemetry.context import Context  # noqa: PLC0415
    from opentelemetry.sdk.trace.id_generator import IdGenerator  # noqa: PLC0415

    class Ids(IdGenerator):
        """Gives a span the ids that it has already; Logfire asks for more of its own."""

        chosen: Trace | None = None

        def generate_trace_id(self) -> int:
            """Return the trace's id; see OpenTelemetry."""
            return int(self.chosen.trace_id if self.chosen else secrets.token_hex(16), 16)

        def generate_span_id(self) -> int:
            """Return the span's id; see OpenTelemetry."""
            chosen, self.chosen = self.chosen, None
            return int(chosen.span_id if chosen else secrets.token_hex(8), 16)

    ids = Ids()
    logfire.configure(
        send_to_logfire=settings.token is not None,
        token=settings.token,
        service_name=os.environ.get("OTEL_SERVICE_NAME") or service,
        console=False,
        inspect_arguments=False,
        distributed_tracing=True,
        advanced=logfire.AdvancedOptions(
            id_generator=ids, base_url=os.environ.get("LOGFIRE_BASE_URL") or None
        ),
    )
    tracer = otel.get_tracer("lead_marts")

    def place(trace: Trace) -> otel.SpanContext:
        flags = otel.TraceFlags(otel.TraceFlags.SAMPLED)
        return otel.SpanContext(int(trace.trace_id, 16), int(trace.span_id, 16), True, flags)

    def receive(span: Span) -> None:
        above = Context()
        if span.parent is not None:
            above = otel.set_span_in_context(otel.NonRecordingSpan(place(span.parent)), above)
        with lock:
            ids.chosen = span.trace
            started = tracer.start_span(
                span.name,
                above,
                attributes={name: _fit(value) for name, value in span.attributes.items()},
                links=[otel.Link(place(one)) for one in span.links],
                start_time=span.begun,
            )
        if span.error is not None:
            started.set_status(otel.StatusCode.ERROR, str(clean(span.error)))
        started.end(span.ended)

    lock = Lock()
    return receive


def _fit(value: tracing.Value) -> tracing.Value:
    """Make an attribute's text fit to be shown: no secret, on one line."""
    return str(clean(value)) if isinstance(value, str) else value


def observe(read: Callable[[], Iterable[Family]]) -> None:
    """Have figures sent from time to time, where this process sends.

    Args:
        read: Gives the figures of the moment, always of the same families. A histogram goes as
            its sum and its count.
    """
    if _sending != os.getpid():
        return
    from opentelemetry import metrics  # noqa: PLC0415 -- only where somebody is sent to

    meter = metrics.get_meter("lead_marts")
    latest = _Latest(read)

    def reading(name: str, counted: bool) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def call(_options: CallbackOptions) -> Iterable[Observation]:
            for family in latest.read():
                if family.name == name:
                    for sample in family.samples:
                        value = sample.buckets[-1][1] if counted else sample.value
                        yield metrics.Observation(value, dict(sample.labels))

        return call

    for family in latest.read():
        if family.kind == "gauge":
            meter.create_observable_gauge(
                family.name, [reading(family.name, False)], description=family.about
            )
            continue
        meter.create_observable_counter(
            family.name if family.kind == "counter" else f"{family.name}_sum",
            [reading(family.name, False)],
            description=family.about,
        )
        if family.kind == "histogram":
            meter.create_observable_counter(
                f"{family.name}_count", [reading(family.name, True)], description=family.about
            )


class _Latest:
    """Figures that are read once for all instruments, which ask for them one after the other."""

    def __init__(self, read: Callable[[], Iterable[Family]]) -> None:
        self._read = read
        self._families: list[Family] = []
        self._until = -math.inf
        self._lock = Lock()

    def read(self) -> list[Family]:
        """Return the figures of the moment."""
        with self._lock:
            if (now := time.monotonic()) >= self._until:
                self._families = list(self._read())
                self._until = now + MOMENT
            return self._families

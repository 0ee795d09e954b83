"""How every room says what happens: one log, one trace, one way to send metrics.

This room lies beneath the others and knows none of them. Nothing is sent, and no library that sends
is imported, unless the environment names a receiver.
"""

from telemetry.commands import command
from telemetry.errors import TelemetryInvalid
from telemetry.readings import Family, Sample
from telemetry.sending import flush, observe, send
from telemetry.settings import Environment, Settings, environment
from telemetry.tracing import Span, Trace, current, follow, record, span, traceparent, within

__all__ = [
    "Environment",
    "Family",
    "Sample",
    "Settings",
    "Span",
    "TelemetryInvalid",
    "Trace",
    "command",
    "current",
    "environment",
    "flush",
    "follow",
    "observe",
    "record",
    "send",
    "span",
    "traceparent",
    "within",
]

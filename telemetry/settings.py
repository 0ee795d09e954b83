"""What the environment says of itself, of logs and of receivers of traces."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from telemetry.errors import TelemetryInvalid

Environment = Literal["development", "production"]

Format = Literal["text", "json"]

RECEIVERS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
"""The standard variables that name a collector of OpenTelemetry
(https://opentelemetry.io/docs/specs/otel/protocol/exporter/)."""


@dataclass(frozen=True)
class Settings:
    """How a process says what happens.

    Attributes:
        format: ``LEADMARTS_LOG_FORMAT``: lines to read (``text``) or lines of JSON (``json``). JSON
            by default where ``LEADMARTS_ENV`` is ``production``.
        token: ``LOGFIRE_TOKEN``: sends traces and metrics to Logfire.
        collector: Whether a variable of OpenTelemetry names a collector to send them to.
    """

    format: Format
    token: str | None
    collector: bool

    @classmethod
    def from_environment(cls) -> Settings:
        """Read them. A variable that is empty counts as not set.

        Raises:
            TelemetryInvalid: ``LEADMARTS_LOG_FORMAT`` is no format, or ``LEADMARTS_ENV`` no
                environment.
        """
        production = environment() == "production"
        off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        return cls(
            format=_format(
                os.environ.get("LEADMARTS_LOG_FORMAT") or ("json" if production else "text")
            ),
            token=None if off else os.environ.get("LOGFIRE_TOKEN") or None,
            collector=not off and any(os.environ.get(name) for name in RECEIVERS),
        )

    @property
    def sends(self) -> bool:
        """Whether there is anybody to send to."""
        return self.collector or self.token is not None


def environment() -> Environment:
    """Return ``LEADMARTS_ENV``: whether this is production, or ``development`` as without it.

    Raises:
        TelemetryInvalid: It is neither.
    """
    match os.environ.get("LEADMARTS_ENV") or "development":
        case "development" | "production" as name:
            return name
        case name:
            raise TelemetryInvalid(
                f'LEADMARTS_ENV is "{name[:40]}"; set it to development or production.'
            )


def _format(text: str) -> Format:
    match text:
        case "text" | "json":
            return text
        case _:
            raise TelemetryInvalid(
                f'LEADMARTS_LOG_FORMAT is "{text[:40]}"; set it to text or json.'
            )

"""Commands that people or schedulers run: each is a span, and in production a line when it ends."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from loguru import logger

from telemetry import log, tracing
from telemetry.errors import TelemetryInvalid
from telemetry.sending import send
from telemetry.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from telemetry.tracing import Span, Value


@contextmanager
def command(
    service: str, name: str, attributes: Mapping[str, Value] | None = None
) -> Iterator[Span]:
    """Run a command as a span of its own, of the trace that ``TRACEPARENT`` names or of a new one.

    What it says to people stays as it is; where logs are JSON, a line says besides how it ended.

    Args:
        service: What the process is called where spans are sent to.
        name: The command, as it is typed.
        attributes: What else there is to say.

    Raises:
        ClickException: A setting of logs is wrong.
    """
    try:
        settings = Settings.from_environment()
    except TelemetryInvalid as error:
        raise click.ClickException(str(error)) from None
    log.configure(settings.format, people=True)
    send(settings, service)
    begun = time.monotonic()
    left = None
    try:
        with tracing.span(name, attributes, parent=tracing.given()) as span:
            try:
                yield span
            except click.exceptions.Exit as exit_:  # --help of a command: no failure
                left = exit_
            logger.bind(seconds=_since(begun), **span.attributes).info("{} is done.", name)
    except Exception as error:
        told = error.format_message() if isinstance(error, click.ClickException) else str(error)
        logger.bind(seconds=_since(begun), trace_id=span.trace.trace_id).error(
            "{} failed: {}", name, told
        )
        raise
    if left is not None:
        raise left


def _since(begun: float) -> float:
    return round(time.monotonic() - begun, 3)

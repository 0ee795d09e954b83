"""One log, by Loguru, on standard error: lines of JSON in production, otherwise lines to read.

Every line has the request's id, the trace's and the number of the publication, where there is one.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import traceback
from typing import TYPE_CHECKING

import msgspec
from loguru import logger

from telemetry import tracing
from telemetry.cleaning import clean, on_one_line, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from loguru import Message, Record

    from telemetry.settings import Format

SERVERS = ("uvicorn", "granian", "_granian", "litestar", "asyncio")
"""Whose standard loggers get no handlers of their own, so that no line comes twice."""

ACCESS_LOGS = ("uvicorn.access", "granian.access")
"""A line for every request would cost more than a cached answer does."""

TALKATIVE = ("httpx", "httpcore", "opentelemetry", "logfire", "notion_client", "urllib3")
"""Who tells of every request that it makes; of these only warnings are wanted."""

publication: Callable[[], int | None] = lambda: None  # noqa: E731 -- replaced by whoever serves one
"""Gives the number of the publication that lines are about which name none."""


def configure(layout: Format, *, people: bool = False) -> None:
    """Send everything, the standard library's logging included, to standard error by Loguru.

    Args:
        layout: Lines to read or lines of JSON.
        people: Whether the program speaks to people in its own words: lines to read would say
            the same again, so only what other libraries warn of is written then.
    """
    logger.remove()
    if layout == "json":
        logger.add(_write_json, level="INFO", format="{message}", catch=True)
    else:
        logger.add(
            _write_text,
            level="WARNING" if people else "INFO",
            format=_readable,
            filter=_is_from_a_library if people else None,
            colorize=sys.stderr.isatty(),
            backtrace=False,
            diagnose=False,
        )
    logger.configure(patcher=_complete)
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.INFO, force=True)
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] in SERVERS:
            logging.getLogger(name).handlers.clear()
            logging.getLogger(name).propagate = True
    for name in ACCESS_LOGS:
        logging.getLogger(name).propagate = False
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


class _ToLoguru(logging.Handler):
    """Hands the standard library's records over, with the place they came from."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[0] is asyncio.CancelledError:
            return  # the server ends while somebody still reads: nobody's mistake
        depth, frame = 0, inspect.currentframe()
        while frame and (depth == 0 or frame.f_code.co_filename == logging.__file__):
            depth, frame = depth + 1, frame.f_back
        level: str | int = record.levelname
        if level not in logging.getLevelNamesMapping():
            level = record.levelno
        exception = record.exc_info
        if record.name.startswith("opentelemetry"):
            # A collector that is away is no failure of ours, and no reason for a traceback.
            level, exception = "WARNING", None
        bound = logger.bind(logger=record.name)
        bound.opt(depth=depth, exception=exception).log(level, record.getMessage())


def _is_from_a_library(record: Record) -> bool:
    return "logger" in record["extra"]


def _complete(record: Record) -> None:
    """Say of a line what it belongs to, and make all that it says fit for a log."""
    trace = tracing.current()
    belongs = {
        "request_id": None,
        "trace_id": trace.trace_id if trace else None,
        "publication": publication(),
    }
    said = {name: value for name, value in record["extra"].items() if value is not None}
    record["message"] = str(clean(record["message"]))
    record["extra"] = {name: clean(value) for name, value in {**belongs, **said}.items()}


def _readable(record: Record) -> str:
    fields = "".join(
        f" <dim>{key}={{extra[{key}]}}</dim>"
        for key, value in record["extra"].items()
        if value is not None
    )
    return "{time:HH:mm:ss} <level>{level: <8}</level> {message}" + fields + "\n"


def _write_text(message: Message) -> None:
    text = str(message)
    if error := message.record["exception"]:
        # Indented: no line of a traceback looks like a line of the log, whatever it says.
        text += "".join(f"    {line}\n" for line in _lines(error.value))
    sys.stderr.write(text)


def _write_json(message: Message) -> None:
    record = message.record
    line = {
        "time": record["time"].isoformat(),
        "level": record["level"].name,
        "message": record["message"],
        "process": record["process"].id,
        "where": f"{record['name']}:{record['line']}",
        **record["extra"],
    }
    if error := record["exception"]:
        line["exception"] = "\n".join(_lines(error.value))
    sys.stderr.write(msgspec.json.encode(line, enc_hook=str).decode() + "\n")


def _lines(error: BaseException | None) -> list[str]:
    """Write an exception with its traceback, each line fit for a log."""
    text = without_secrets("".join(traceback.format_exception(error)))
    return [on_one_line(line) for line in text.splitlines()]

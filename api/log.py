"""One log, by Loguru: JSON lines in production, readable lines in development."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import traceback
from typing import TYPE_CHECKING

import msgspec
from loguru import logger

if TYPE_CHECKING:
    from loguru import Message, Record

    from api.settings import Environment

SERVERS = ("uvicorn", "granian", "_granian", "litestar", "asyncio")
"""Whose standard loggers get no handlers of their own, so that no line comes twice."""

ACCESS_LOGS = ("uvicorn.access", "granian.access")
"""A line for every request would cost more than a cached answer does."""


def configure(environment: Environment) -> None:
    """Send everything, the standard library's logging included, to standard error by Loguru.

    Args:
        environment: In ``production`` each record is one line of JSON, otherwise a line to read.
    """
    logger.remove()
    if environment == "production":
        logger.add(_write_json, level="INFO", format="{message}")
    else:
        logger.add(sys.stderr, level="INFO", format=_readable, backtrace=False, diagnose=False)
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.INFO, force=True)
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] in SERVERS:
            logging.getLogger(name).handlers.clear()
            logging.getLogger(name).propagate = True
    for name in ACCESS_LOGS:
        logging.getLogger(name).propagate = False


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
        logger.opt(depth=depth, exception=record.exc_info).log(level, record.getMessage())


def _readable(record: Record) -> str:
    fields = "".join(f" <dim>{key}={{extra[{key}]}}</dim>" for key in record["extra"])
    return "{time:HH:mm:ss} <level>{level: <8}</level> {message}" + fields + "\n{exception}"


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
        line["exception"] = "".join(traceback.format_exception(error.value))
    sys.stderr.write(msgspec.json.encode(line, enc_hook=str).decode() + "\n")

"""``python -m api``: serve the current publication."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, cast

import click
import uvicorn
from loguru import logger
from uvicorn.supervisors import Multiprocess

from api import files
from api.auth import keys
from api.auth.command import users
from api.connection import Connection
from api.export import openapi
from api.observing import workers as meeting
from api.protection import secure
from api.settings import Settings, SettingsError
from telemetry import log

if TYPE_CHECKING:
    import asyncio


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.pass_context
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Processes that answer; each holds its own view of the current publication.",
)
@click.option("--check", is_flag=True, help="Only see whether it could listen there, then end.")
def main(context: click.Context, host: str, port: int, workers: int, check: bool) -> None:
    """Serve the current publication over HTTP, read-only, and every later one by itself.

    LEADMARTS_PUBLICATIONS says where publications are (by default data/publications),
    LEADMARTS_ENV whether this is development or production. In production
    LEADMARTS_CORS_ORIGINS must say which origins may read the API, LEADMARTS_HOSTS which hosts
    it answers to, and LEADMARTS_SIGNING_KEY (or LEADMARTS_SIGNING_KEY_FILE) what tokens are
    signed with. Without a command it serves.
    """
    if context.invoked_subcommand is None:
        serve(host, port, workers, check)


def serve(host: str, port: int, workers: int, check: bool) -> None:
    """Serve until told to stop.

    Raises:
        ClickException: A setting is wrong, or nobody can listen there; one line says why.
    """
    try:
        settings = Settings.from_environment()
        files.allow(settings.capacity.connections, settings.processes)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    log.configure(settings.telemetry.format)
    if settings.auth.key_is_ephemeral and workers > 1:
        # What one worker signs, every worker takes.
        os.environ[keys.VARIABLE] = settings.auth.key.decode()
        logger.warning(settings.auth.warnings[0])
    # uvicorn stops in order on Ctrl-C, and then raises it again.
    with listen(host, port) as listening, suppress(KeyboardInterrupt):
        if check:
            return
        guard = secure(settings.hsts_seconds)
        made = partial(Connection, capacity=settings.capacity, secure=guard)
        config = uvicorn.Config(
            "api.app:create_app",
            factory=True,
            http=cast("type[asyncio.Protocol]", made),
            workers=workers,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="on",
            ws="none",
            timeout_graceful_shutdown=settings.capacity.drain_seconds,
        )
        name = f"[{host}]" if ":" in host else host
        url = f"http://{name}:{listening.getsockname()[1]}"
        logger.info("Lead Marts listens on {}; open {}/docs.", url, url)
        if workers == 1:
            uvicorn.Server(config).run(sockets=[listening])
        else:
            with tempfile.TemporaryDirectory(prefix="lead-marts-") as folder:
                os.environ.setdefault(meeting.VARIABLE, folder)
                Multiprocess(config, sockets=[listening]).run()


def listen(host: str, port: int) -> socket.socket:
    """Listen, before anything else starts: a port in use is known at once.

    Raises:
        ClickException: Nobody can listen there; one line says why.
    """
    if not host:
        raise click.ClickException(
            "--host is empty; give an address, such as 127.0.0.1 for this machine only "
            "or 0.0.0.0 for every network it is in."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise click.ClickException(
                f"Port {port} of {host} is in use; end the program that uses it, "
                "or choose another one with --port."
            ) from None
        raise click.ClickException(f"Cannot listen on {host}: {error.strerror}.") from None


main.add_command(openapi)
main.add_command(users)


if __name__ == "__main__":
    main()

"""Where a benchmark works: a temporary data folder, the project's commands, and servers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).parents[1]

Command = TypeVar("Command", bound="Callable[..., object]")
START_DEADLINE = 30.0


def rounds_option(default: int) -> Callable[[Command], Command]:
    """The option that says how often a thing and its reference alternate."""
    return click.option(
        "--rounds",
        default=default,
        type=click.IntRange(1),
        show_default=True,
        help="How many alternating rounds.",
    )


def seconds_option(default: int) -> Callable[[Command], Command]:
    """The option that says how long each round takes."""
    return click.option(
        "--seconds",
        default=default,
        type=click.IntRange(1),
        show_default=True,
        help="How long each round takes.",
    )


def rows_option(of: str) -> Callable[[Command], Command]:
    """The option that says over how many rows of a file or a mart something is measured."""
    return click.option(
        "--rows",
        "sizes",
        multiple=True,
        default=(1_000_000, 3_000_000, 10_000_000),
        show_default=True,
        help=f"How many rows {of} has; may be given more than once.",
    )


sizes_option = click.option(
    "--leads",
    "sizes",
    multiple=True,
    default=(1_000_000, 5_000_000, 20_000_000, 50_000_000),
    show_default=True,
    help="How many leads the table has; may be given more than once.",
)
"""The option that says over tables of which sizes something is measured."""

changed_option = click.option(
    "--changed", default=10_000, show_default=True, help="How many of them change."
)
"""The option that says how many leads of a table change."""


@dataclass(frozen=True)
class Workplace:
    """The project's commands over one data folder."""

    data: Path
    also: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What every command sees: the data folder, what `also` says, nothing else set."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LEADMARTS", "DBT"))}
        return inherited | {
            "LEADMARTS_DATA": str(self.data),
            "DBT_TARGET_PATH": str(self.data / "target"),
            "DBT_LOG_PATH": str(self.data / "logs"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            **self.also,
        }

    def run(self, *command: str) -> tuple[float, int]:
        """Run a command to its end.

        Returns:
            Its wall-clock seconds, and its peak resident memory in bytes.

        Raises:
            RuntimeError: It failed; its output is the text.
        """
        log = self.data.with_suffix(".log")
        started = time.perf_counter()
        with log.open("w") as output:
            process = subprocess.Popen(
                [str(Path(sys.executable).with_name(command[0])), *command[1:]],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        if status != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{log.read_text()}")
        return seconds, usage.ru_maxrss * 1024

    def add_user(self, name: str, password: str) -> None:
        """Add a user who may read marketing conversions."""
        subprocess.run(
            [sys.executable, "-m", "api", "users", "add", name, "--password-stdin"],
            cwd=ROOT,
            env=self.environment,
            input=password,
            text=True,
            check=True,
            capture_output=True,
        )

    @contextmanager
    def server(self, app: str, *, factory: bool = False) -> Iterator[str]:
        """Serve an ASGI app with one uvicorn worker on a free loopback port; yield its URL."""
        port = _free_port()
        command = [
            *("uvicorn", app, "--port", str(port), "--loop", "uvloop", "--http", "httptools"),
            *("--no-access-log", "--log-level", "warning", *(["--factory"] if factory else [])),
        ]
        with self._serving(app, port, command) as url:
            yield url

    @contextmanager
    def own_server(self) -> Iterator[str]:
        """Serve as ``python -m api`` does, with its bounds; yield its URL."""
        port = _free_port()
        with self._serving("The server", port, ["api", "--port", str(port)]) as url:
            yield url

    @contextmanager
    def _serving(self, name: str, port: int, command: list[str]) -> Iterator[str]:
        log = self.data.with_suffix(".server.log").open("w")
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=self.environment, stderr=log
        )
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + START_DEADLINE
            while not _answers(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} did not start on {url}")
                time.sleep(0.05)
            yield url
        finally:
            process.terminate()
            process.wait(20)
            log.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/health/live", timeout=1) as answer:  # noqa: S310 -- loopback
            return bool(answer.status)
    except HTTPError:  # the bare app answers everything alike, by a 304 too
        return True
    except (URLError, OSError):
        return False

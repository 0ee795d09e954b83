"""Cached transformation answers, against a bare ASGI app with the same bytes and headers."""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import tempfile
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import click

from benchmarks.workplace import Workplace, rounds_option, seconds_option

ROUTE = "/api/v1/transformation/count_date_by_week"
CONNECTIONS = 64
SENT_BY_THE_SERVER = {"date", "server", "connection", "transfer-encoding"}


class Answer:
    """One answer of the app, to be repeated by the bare one."""

    def __init__(self, url: str, request: dict[str, str]) -> None:
        """Ask once.

        Args:
            url: The server's base URL.
            request: The request's header fields.
        """
        connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
        connection.request("GET", ROUTE, headers=request)
        response = connection.getresponse()
        self.status, self.body = response.status, response.read()
        self.headers = [
            (name.lower(), value)
            for name, value in response.getheaders()
            if name.lower() not in SENT_BY_THE_SERVER
        ]
        self.etag = response.getheader("ETag") or ""
        connection.close()

    def environment(self, folder: Path) -> dict[str, str]:
        """Write the answer down for :mod:`benchmarks.bare` and say where."""
        (folder / "body").write_bytes(self.body)
        (folder / "headers").write_text(json.dumps(self.headers))
        return {
            "BARE_BODY": str(folder / "body"),
            "BARE_HEADERS": str(folder / "headers"),
            "BARE_STATUS": str(self.status),
        }


def requests_per_second(url: str, request: dict[str, str], seconds: int) -> float:
    """Load one URL with wrk and read its rate off.

    Raises:
        RuntimeError: A request failed or was answered by an error.
    """
    fields = [part for name, value in request.items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *fields, url + ROUTE]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    if rate is None or "Socket errors" in report or "Non-2xx" in report:
        raise RuntimeError(report)
    return float(rate[1])


@click.command("serving")
@click.option("--leads", default=(20_000, 5_000_000), multiple=True, help="Lake sizes, in leads.")
@rounds_option(5)
@seconds_option(4)
def command(leads: tuple[int, ...], rounds: int, seconds: int) -> None:
    """Requests per second of cached answers, against a bare ASGI app with the same bytes."""
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is not installed: apt-get install wrk.")
    for number in leads:
        with tempfile.TemporaryDirectory() as folder:
            workplace = Workplace(Path(folder) / "data")
            workplace.run("python", "-m", "lake", "demo", "--leads", str(number))
            workplace.run("dbt", "build")
            click.echo(f"{number:,} leads, {CONNECTIONS} connections, one worker")
            with workplace.server("api.app:create_app", factory=True) as url:
                plain = {"Accept-Encoding": "identity"}
                etag = Answer(url, plain).etag
                for title, request in {
                    "200 plain": plain,
                    "200 gzip": {"Accept-Encoding": "gzip"},
                    "200 zstd": {"Accept-Encoding": "zstd"},
                    "304": {**plain, "If-None-Match": etag},
                }.items():
                    compare(workplace, url, title, request, rounds=rounds, seconds=seconds)


def compare(  # noqa: PLR0913 -- one line of the report
    workplace: Workplace,
    url: str,
    title: str,
    request: dict[str, str],
    *,
    rounds: int,
    seconds: int,
) -> None:
    """Load the app and the bare one in turn and print one line."""
    answer = Answer(url, request)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        reference = Workplace(workplace.data, answer.environment(folder))
        bare = stack.enter_context(reference.server("benchmarks.bare:app"))
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(requests_per_second(url, request, seconds))
            theirs.append(requests_per_second(bare, request, seconds))
    own, base = statistics.median(ours), statistics.median(theirs)
    click.echo(
        f"  {title:<10} {len(answer.body):>7,} B  {own:>8,.0f}/s  bare {base:>8,.0f}/s"
        f"  ratio {own / base:.2f}"
    )

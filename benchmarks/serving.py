"""Cached answers, open and guarded, against a bare ASGI app with the same bytes and headers."""

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
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import click

from benchmarks.awake import awake
from benchmarks.ratios import ratio
from benchmarks.workplace import Workplace, rounds_option, seconds_option

COUNTS = "/api/v1/transformation/count_date_by_week"
MART = "/api/v1/marts/lead_event_counts_weekly"
GUARDED = "/api/v1/marts/marketing_conversions?channel=eq.tv&order=date.desc&limit=100"
CONNECTIONS = 64
PRODUCTION = {
    "LEADMARTS_ENV": "production",
    "LEADMARTS_CORS_ORIGINS": "https://dashboard.example.com",
    "LEADMARTS_HOSTS": "127.0.0.1",
    "LEADMARTS_SIGNING_KEY": "a signing key of this benchmark only: 0123456789",
}
USER = ("reader", "a password of this benchmark only")
SENT_BY_THE_SERVER = {"date", "server", "connection", "transfer-encoding"}


class Answer:
    """One answer of the app, to be repeated by the bare one."""

    def __init__(self, url: str, route: str, request: dict[str, str]) -> None:
        """Ask once.

        Args:
            url: The server's base URL.
            route: Path and query.
            request: The request's header fields.
        """
        connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
        connection.request("GET", route, headers=request)
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


class Load(NamedTuple):
    """What one round of load showed: requests per second, and p99 of the latency in seconds."""

    rate: float
    p99: float


def load(url: str, request: dict[str, str], seconds: int) -> Load:
    """Load one URL with wrk and read its figures off.

    Raises:
        RuntimeError: A request failed or was answered by an error.
    """
    fields = [part for name, value in request.items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "--latency", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *fields, url]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", report)
    if rate is None or p99 is None or "Socket errors" in report or "Non-2xx" in report:
        raise RuntimeError(report)
    return Load(float(rate[1]), float(p99[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1}[p99[2]])


@click.command("serving")
@click.option("--leads", default=(20_000, 5_000_000), multiple=True, help="Lake sizes, in leads.")
@rounds_option(5)
@seconds_option(4)
def command(leads: tuple[int, ...], rounds: int, seconds: int) -> None:
    """Cached answers in production, against a bare ASGI app with the same bytes."""
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is not installed: apt-get install wrk.")
    for number in leads:
        with tempfile.TemporaryDirectory() as folder:
            workplace = Workplace(Path(folder) / "data", PRODUCTION)
            workplace.run("python", "-m", "lake", "demo", "--leads", str(number))
            workplace.run("dbt", "build")
            workplace.add_user(*USER)
            click.echo(f"{number:,} leads, {CONNECTIONS} connections, one worker")
            with workplace.server("api.app:create_app", factory=True) as url:
                plain = {"Accept-Encoding": "identity"}
                token = {**plain, "Authorization": f"Bearer {access_token(url, *USER)}"}
                for route, request in ((COUNTS, plain), (MART, plain), (GUARDED, token)):
                    click.echo(f"  {route}")
                    etag = Answer(url, route, request).etag
                    for title, asked in {
                        "200 plain": request,
                        "200 gzip": {**request, "Accept-Encoding": "gzip"},
                        "200 zstd": {**request, "Accept-Encoding": "zstd"},
                        "304": {**request, "If-None-Match": etag},
                    }.items():
                        compare(workplace, url + route, title, asked, rounds, seconds)


def access_token(url: str, name: str, password: str) -> str:
    """Sign in."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    form = urlencode({"grant_type": "password", "username": name, "password": password})
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/api/auth/token/", form, kind)
    return str(json.loads(connection.getresponse().read())["access_token"])


def compare(  # noqa: PLR0913, PLR0917 -- one line of the report
    workplace: Workplace,
    url: str,
    title: str,
    request: dict[str, str],
    rounds: int,
    seconds: int,
) -> None:
    """Load the app and the bare one in turn and print one line."""
    base, route = urlsplit(url), url.partition(urlsplit(url).netloc)[2]
    answer = Answer(f"http://{base.netloc}", route, request)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        reference = Workplace(workplace.data, answer.environment(folder))
        bare = stack.enter_context(reference.server("benchmarks.bare:app"))
        stack.enter_context(awake())
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(load(url, request, seconds))
            theirs.append(load(bare + route, request, seconds))
    rates = [[one.rate for one in side] for side in (ours, theirs)]
    p99s = [[one.p99 for one in side] for side in (ours, theirs)]
    rate, bare_rate = map(statistics.median, rates)
    p99, bare_p99 = map(statistics.median, p99s)
    click.echo(
        f"    {title:<10} {len(answer.body):>7,} B  {rate:>7,.0f}/s  bare {bare_rate:>7,.0f}/s"
        f"  ratio {ratio(*rates):.2f}"
        f"  p99 {p99 * 1e3:.2f} ms  bare {bare_p99 * 1e3:.2f} ms"
        f"  ratio {ratio(*p99s):.2f}"
    )

"""Ten times as many requests as the server can answer: what becomes of those that it takes."""

from __future__ import annotations

import itertools
import random
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import click

from benchmarks.marts import QUESTIONS
from benchmarks.serving import PRODUCTION, USER, access_token
from benchmarks.workplace import Workplace, rounds_option, seconds_option

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMES = 10
"""How many times the capacity is offered."""

CONNECTIONS = 128

FIRST = 1.0
"""Seconds of overload that are reported apart: at its beginning a burst is let in, and waits."""

RECOVERY = 5.0
"""Seconds after the overload in which the server is looked at."""

SLICE = 0.25
"""Seconds of one look."""

NORMAL = 2.0
"""How many times its unloaded median an answer may take where the server counts as recovered."""

ASK = """
local n = {start}
local paths = {{ {paths} }}
request = function()
  n = n + 1
  return wrk.format("GET", (paths[math.random(#paths)]:gsub("{{n}}", n)))
end
function delay()
  return math.random(0, 2 * {delay})
end
done = function(summary)
  io.write(string.format("refused %d\\n", summary.errors.status))
end
"""
"""What makes wrk ask something new each time, at a pace."""


class Asked(NamedTuple):
    """What became of one request: when it was sent, how long it took, and the status."""

    at: float
    took: float
    status: int


class Asking:
    """One client that asks the mix of questions, one after the other, on one connection."""

    def __init__(self, url: str, token: str, start: int) -> None:
        """Choose the server.

        Args:
            url: Its base URL.
            token: An access token.
            start: The number from which on questions are new.
        """
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._numbers = itertools.count(start)
        self._chance = random.Random(start)

    def ask(self, seconds: float) -> list[Asked]:
        """Ask for some seconds; a refusal is followed by a short pause.

        Raises:
            RuntimeError: Something is answered by another status than 200 and 503, or a refusal
                does not say when to come again.
        """
        found = []
        deadline = time.perf_counter() + seconds
        paths = [path for path, _ in QUESTIONS.values()]
        while (begun := time.perf_counter()) < deadline:
            path = self._chance.choice(paths).replace("{n}", str(next(self._numbers)))
            self._connection.request("GET", path, headers=self._headers)
            answer = self._connection.getresponse()
            answer.read()
            found.append(Asked(begun, time.perf_counter() - begun, answer.status))
            if answer.status != 200:
                if answer.status != 503 or answer.getheader("Retry-After") is None:
                    raise RuntimeError(f"{path} was answered {answer.status}")
                time.sleep(0.001)
        return found


@contextmanager
def flood(
    url: str, token: str, start: int, seconds: float, rate: float | None
) -> Iterator[list[str]]:
    """Ask with wrk meanwhile.

    Args:
        url: The server's base URL.
        token: An access token.
        start: The number from which on questions are new.
        seconds: How long.
        rate: How many a second are asked, or nearly; if not given, four clients ask as fast as
            they are answered.

    Yields:
        A list that has wrk's report when it has ended.
    """
    connections = CONNECTIONS if rate else 4
    delay = 1000 * connections / rate if rate else 0
    paths = ", ".join(f"[[{path}]]" for path, _ in QUESTIONS.values())
    report: list[str] = []
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(ASK.format(start=start, paths=paths, delay=round(delay)))
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "-s", script.name]
        command += ["-H", f"Authorization: Bearer {token}", url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            yield report
            report.append(process.communicate()[0])


def read(report: str) -> tuple[float, float]:
    """Read a report of wrk: answers and accepted answers per second.

    Raises:
        RuntimeError: A request was not answered.
    """
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    all_of_them = re.search(r"(\d+) requests in", report)
    refused = re.search(r"refused (\d+)", report)
    if rate is None or all_of_them is None or refused is None or "Socket errors" in report:
        raise RuntimeError(report)
    answered = float(rate[1])
    return answered, answered * (1 - int(refused[1]) / int(all_of_them[1]))


def p99(asked: list[Asked]) -> float:
    """The 99th percentile of the accepted, in seconds."""
    return statistics.quantiles([one.took for one in asked if one.status == 200], n=100)[98]


class Round(NamedTuple):
    """What one round showed; times in seconds, rates per second."""

    capacity: float
    offered: float
    accepted: float
    quiet: float
    first: float
    busy: float
    refusal: float
    recovered: float


def measure(url: str, token: str, seconds: int, start: int) -> Round:
    """Find the capacity, offer ten times of it, and look at what comes after.

    Raises:
        RuntimeError: An answer was not as expected.
    """
    client = Asking(url, token, start)
    alone = client.ask(seconds)
    with flood(url, token, start + 2_000_000, seconds, None) as told:
        time.sleep(seconds)
    _, capacity = read(told[0])
    with flood(url, token, start + 4_000_000, seconds + FIRST, TIMES * capacity) as told:
        first, busy = client.ask(FIRST), client.ask(seconds - 0.5)
    offered, accepted = read(told[0])
    ended = time.perf_counter()
    after = client.ask(RECOVERY)
    usual = statistics.median(one.took for one in alone)
    slices: dict[int, list[float]] = {}
    for one in after:
        slices.setdefault(int((one.at - ended) / SLICE), []).append(one.took)
    slow = [n for n, took in slices.items() if statistics.median(took) > NORMAL * usual]
    return Round(
        capacity=capacity,
        offered=offered,
        accepted=accepted,
        quiet=p99(alone),
        first=p99(first),
        busy=p99(busy),
        refusal=statistics.median(one.took for one in busy if one.status == 503),
        recovered=(max(slow) + 1) * SLICE if slow else 0.0,
    )


@click.command("overload")
@click.option("--days", default=730, show_default=True, help="How many days the demo lake has.")
@rounds_option(5)
@seconds_option(6)
def command(days: int, rounds: int, seconds: int) -> None:
    """New questions to marts, ten times as many as can be answered, in production."""
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is not installed: apt-get install wrk.")
    with tempfile.TemporaryDirectory() as folder:
        workplace = Workplace(Path(folder) / "data", PRODUCTION)
        workplace.run("python", "-m", "lake", "demo", "--days", str(days))
        workplace.run("dbt", "build")
        workplace.add_user(*USER)
        with workplace.own_server() as url:
            token = access_token(url, *USER)
            found = [measure(url, token, seconds, n * 10_000_000) for n in range(1, rounds + 1)]
    for one in found:
        click.echo(
            f"capacity {one.capacity:>5,.0f}/s  offered {one.offered:>6,.0f}/s  "
            f"accepted {one.accepted:>5,.0f}/s  p99 {one.busy * 1e3:>5.1f} ms  "
            f"(first second {one.first * 1e3:.1f} ms)  unloaded {one.quiet * 1e3:>5.1f} ms  "
            f"ratio {one.busy / one.quiet:.2f}  refusal {one.refusal * 1e3:.1f} ms  "
            f"normal after {one.recovered:.2f} s"
        )
    ratio = statistics.median(one.busy / one.quiet for one in found)
    slowest = max(one.recovered for one in found)
    click.echo(f"p99 of the accepted over the unloaded p99: {ratio:.2f}, the median")
    click.echo(f"normal again after                         {slowest:.2f} s, the longest")

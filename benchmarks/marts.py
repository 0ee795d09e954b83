"""Questions to marts that nobody asked before, against DuckDB alone with as many threads."""

from __future__ import annotations

import itertools
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.querying.pool import PROCESSES
from benchmarks.probe import compared, probe
from benchmarks.ratios import ratio
from benchmarks.serving import PRODUCTION, USER, access_token
from benchmarks.workplace import Workplace, rounds_option, seconds_option
from publication import Store, connect

if TYPE_CHECKING:
    import duckdb

CONVERSIONS = "/api/v1/marts/marketing_conversions"
COLUMNS = "product, campaign_type, campaign, channel, date, week_start, conversions"
GRAIN = "product, campaign_type, campaign, channel, date"

QUESTIONS = {
    "weeks since": (
        "/api/v1/marts/lead_event_counts_weekly?week_start=gte.2000-01-01&limit={n}",
        "select * from lead_event_counts_weekly where week_start >= '2000-01-01' limit {n}",
    ),
    "filtered rows": (
        f"{CONVERSIONS}?channel=in.(facebook,tv)&conversions=gt.0.{{n}}&limit=1000",
        (
            f"select {COLUMNS} from marketing_conversions where channel in ('facebook', 'tv') "
            f"and conversions > 0.{{n}} order by {GRAIN} limit 1000"
        ),
    ),
    "the latest": (
        f"{CONVERSIONS}?conversions=gt.0.{{n}}&order=date.desc&limit=50",
        (
            f"select {COLUMNS} from marketing_conversions where conversions > 0.{{n}} "
            f"order by date desc, {GRAIN} limit 50"
        ),
    ),
    "sums": (
        f"{CONVERSIONS}?select=channel,week_start,conversions.sum()&conversions=gt.0.{{n}}",
        (
            "select channel, week_start, cast(sum(cast(conversions as decimal(38, 18))) as double) "
            "from marketing_conversions where conversions > 0.{n} group by all order by all"
        ),
    ),
}
"""Each as a query of the API and in SQL; the number makes it another one each time."""

ASK = """
local first, path = {start}, [[{path}]]
request = function()
  first = first + 1
  return wrk.format("GET", (path:gsub("{{n}}", first)))
end
"""
"""What makes wrk ask something new each time."""

START = 1000
CLIENTS = 8


@click.command("marts")
@click.option("--days", default=730, show_default=True, help="How many days the demo lake has.")
@rounds_option(5)
@seconds_option(4)
def command(days: int, rounds: int, seconds: int) -> None:
    """New questions to marts over HTTP, against DuckDB alone, and with a probe beside them.

    The rates that are compared are those without the probe: it is a client more, which DuckDB alone
    has not, and wants a core as well. Of the probe two times are told: until its answers arrive,
    and until it has read them, for which it may have to wait for that core.
    """
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is not installed: apt-get install wrk.")
    with tempfile.TemporaryDirectory() as folder:
        room = {"LEADMARTS_QUEUE": str(CLIENTS)}  # for all of them, all the time
        workplace = Workplace(Path(folder) / "data", PRODUCTION | room)
        workplace.run("python", "-m", "lake", "demo", "--days", str(days))
        workplace.run("dbt", "build")
        workplace.add_user(*USER)
        store = Store(workplace.data / "publications")
        manifest = store.current()
        assert manifest is not None
        click.echo(f"{PROCESSES} threads, {CLIENTS} clients")
        with ExitStack() as stack:
            url = stack.enter_context(workplace.server("api.app:create_app", factory=True))
            connection = stack.enter_context(connect(store.path(manifest), threads=1))
            headers = {"Authorization": f"Bearer {access_token(url, *USER)}"}
            numbers = itertools.count(START, 1_000_000)
            for name, (path, sql) in QUESTIONS.items():
                theirs, ours, quiet, busy = [], [], [], []
                for _ in range(rounds):
                    theirs.append(alone(connection, sql, next(numbers), seconds))
                    with clients(url, folder, path, next(numbers), headers, seconds) as asking:
                        ours.append(rate(asking.communicate()[0]))
                    quiet.append(probe(url, seconds))
                    with clients(url, folder, path, next(numbers), headers, seconds + 1) as asking:
                        busy.append(probe(url, seconds))
                        rate(asking.communicate()[0])  # none of them failed
                own, base = statistics.median(ours), statistics.median(theirs)
                click.echo(
                    f"{name:<14} over HTTP {own:>6,.0f}/s  DuckDB alone {base:>6,.0f}/s"
                    f"  ratio {ratio(ours, theirs):.2f}"
                )
                for line in compared(busy, quiet):
                    click.echo(f"{'':<14} {line}")


def alone(connection: duckdb.DuckDBPyConnection, sql: str, start: int, seconds: int) -> float:
    """Ask DuckDB from as many threads as the server has; answers per second."""
    deadline = time.monotonic() + seconds

    def ask(first: int) -> int:
        for done, n in enumerate(itertools.count(first, PROCESSES)):
            if time.monotonic() > deadline:
                return done
            with connection.cursor() as cursor:
                cursor.execute(sql.replace("{n}", str(n))).fetchall()
        raise AssertionError

    with ThreadPoolExecutor(PROCESSES) as pool:
        return sum(pool.map(ask, range(start, start + PROCESSES))) / seconds


def clients(  # noqa: PLR0913, PLR0917 -- who asks what, and for how long
    url: str, folder: str, path: str, start: int, headers: dict[str, str], seconds: int
) -> subprocess.Popen[str]:
    """Start clients that ask over HTTP."""
    script = Path(folder) / "ask.lua"
    script.write_text(ASK.format(start=start, path=path))
    fields = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds}s", "-s", str(script), *fields, url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def rate(report: str) -> float:
    """Read the answers per second off a report of wrk.

    Raises:
        RuntimeError: A request failed or was answered by an error.
    """
    found = re.search(r"Requests/sec:\s+([\d.]+)", report)
    if found is None or "Socket errors" in report or "Non-2xx" in report:
        raise RuntimeError(report)
    return float(found[1])

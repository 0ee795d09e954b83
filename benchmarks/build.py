"""What the models cost on millions of leads, against the bare daily count alone."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

import click

from benchmarks.workplace import Workplace, rounds_option

BARE = """
import sys, time
import duckdb
from lake.pinned import pin
from lake.contracts import LEAD_EVENT_DATES

connection = duckdb.connect(sys.argv[2])
connection.execute("set TimeZone = 'Europe/Paris'")
connection.register("leads", pin("leads", sys.argv[1]).scan)
branches = (
    f"select '{event}' as event_type, {event} as event_date, count(*) as leads from leads "
    f"where deleted is not true and {event} is not null group by {event}"
    for event in LEAD_EVENT_DATES
)
columns = ", ".join(LEAD_EVENT_DATES)
one_scan = (
    f"select coalesce({columns}) as event_date, count(*) as leads from leads "
    f"where deleted is not true group by grouping sets (({columns.replace(', ', '), (')}))"
)
count = "create or replace table counted as "
count += " union all ".join(branches) if sys.argv[3] == "branches" else one_scan
started = time.perf_counter()
connection.execute(count)
print(time.perf_counter() - started)
"""
"""The daily count by itself, over the same table read the same way, in a process of its own.

Once with a branch for each event column, once with all of them in one scan, as the model does it.
"""


def models_seconds(workplace: Workplace) -> dict[str, float]:
    """Read what dbt's run_results.json says each model took that counts leads."""
    results = json.loads((workplace.data / "target" / "run_results.json").read_text())["results"]
    return {
        r["unique_id"]: float(r["execution_time"])
        for r in results
        if r["unique_id"].startswith("model.") and "lead" in r["unique_id"].split(".")[-1]
    }


def total(rounds: list[dict[str, float]]) -> float:
    """Add up each model's median: one slow start of one model does not count for all."""
    return sum(statistics.median(r[model] for r in rounds) for model in rounds[0])


def bare_seconds(workplace: Workplace, way: str) -> float:
    """Run the bare count once, in ``branches`` or in ``one-scan``."""
    table, file = workplace.data / "lake" / "leads", workplace.data / "bare.duckdb"
    workplace.run("python", "-c", BARE, str(table), str(file), way)
    return float(workplace.data.with_suffix(".log").read_text())


@click.command("build")
@click.option("--leads", default=5_000_000, show_default=True, help="How many leads.")
@rounds_option(21)
def command(leads: int, rounds: int) -> None:
    """Models' time less that on an empty lake, against the bare daily count; peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        full, empty = Workplace(Path(folder) / "full"), Workplace(Path(folder) / "empty")
        full.run("python", "-m", "lake", "demo", "--leads", str(leads))
        empty.run("python", "-m", "lake", "demo", "--leads", "0")
        models: list[dict[str, float]] = []
        nothing: list[dict[str, float]] = []
        bare: dict[str, list[float]] = {"branches": [], "one-scan": []}
        empty.run("dbt", "build")
        memory = full.run("dbt", "build")[1]
        for _ in range(rounds):
            # Without the tests, whose Python would compete with the models' for the interpreter.
            empty.run("dbt", "run")
            nothing.append(models_seconds(empty))
            full.run("dbt", "run")
            models.append(models_seconds(full))
            for way, seconds in bare.items():
                seconds.append(bare_seconds(full, way))
    own = total(models) - total(nothing)
    whole = statistics.median(sum(r.values()) for r in models) - statistics.median(
        sum(r.values()) for r in nothing
    )
    click.echo(f"leads                            {leads:>12,}")
    click.echo(f"models                           {total(models):>12.3f} s")
    click.echo(f"models on an empty lake          {total(nothing):>12.3f} s")
    for way, seconds in bare.items():
        base = statistics.median(seconds)
        click.echo(f"bare daily count, {way:<14} {base:>12.3f} s")
        click.echo(f"(models - empty) / bare, {way:<8}{own / base:>12.2f}")
        click.echo(f"the same by whole rounds, {way:<8}{whole / base:>11.2f}")
    click.echo(f"peak memory of dbt, with tests   {memory / 2**20:>12,.0f} MiB")

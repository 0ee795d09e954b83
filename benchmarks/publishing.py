"""Publishing marketing conversions, against a bare sorted copy of the same rows into a file."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
import duckdb

from benchmarks.ratios import ratio
from benchmarks.workplace import ROOT, rounds_option, rows_option
from publication import Column, Store, builder
from publication.run import BuiltMart, Run

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY = "512MB"
"""DuckDB's limit, as ``LEADMARTS_MEMORY`` has it by default."""

GRAIN = ("product", "campaign_type", "campaign", "channel", "date")
TYPES = {
    **dict.fromkeys(GRAIN[:4], "VARCHAR"),
    "date": "DATE",
    "week_start": "DATE",
    "conversions": "DOUBLE",
}
MADE = """
    create table {table} as
    select
        'product ' || n % 20 as product, 'type ' || n // 20 % 5 as campaign_type,
        'campaign ' || n // 100 % 50 as campaign, 'channel ' || n // 5000 % 8 as channel,
        date '2015-01-01' + (n // 40000)::integer as date,
        date_trunc('week', date)::date as week_start, (hash(n) % 1000000) / 997 as conversions
    from (select i * 7919 % {rows} as n from range({rows}) r(i))
"""
"""Rows that lie in no order, since 7919 is a prime."""


@click.command("publishing")
@rows_option("the mart")
@rounds_option(3)
def command(sizes: tuple[int, ...], rounds: int) -> None:
    """Publish a mart, and again unchanged, against a bare sorted copy; and the memory."""
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), rows, rounds)


def measure(folder: Path, rows: int, rounds: int) -> None:
    """Measure one size, each time in a process of its own, and print three lines."""
    apart(make, folder, rows)
    steps: dict[str, Callable[[Path], float]] = {
        "bare copy": copy,
        "published": publish_anew,
        "unchanged": publish,
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    memory = dict.fromkeys(steps, 0)
    for _ in range(rounds):
        for name, step in steps.items():
            seconds, peak = apart(step, folder)
            times[name].append(seconds)
            memory[name] = max(memory[name], peak)
    for name in steps:
        click.echo(
            f"{rows:>11,} rows  {name:<9}  {statistics.median(times[name]):6.2f} s"
            f"  ratio {ratio(times[name], times['bare copy']):.2f}"
            f"  peak memory {memory[name] / 2**20:.0f} MB"
        )


def apart(step: Callable[..., float], *arguments: object) -> tuple[float, int]:
    """Run a step in a fresh process; return its seconds and the process's peak memory in bytes."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(_measured, step, *arguments).result()


def _measured(step: Callable[..., float], *arguments: object) -> tuple[float, int]:
    seconds = step(*arguments)
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def warehouse(folder: Path) -> duckdb.DuckDBPyConnection:
    """Open the warehouse as dbt does."""
    connection = duckdb.connect(folder / "warehouse.duckdb", config={"memory_limit": MEMORY})
    connection.execute("set enable_progress_bar = false")
    return connection


def make(folder: Path, rows: int) -> float:
    """Fill the warehouse with one mart."""
    with warehouse(folder) as connection:
        connection.execute(MADE.format(table="conversions", rows=rows))
    return 0.0


def copy(folder: Path) -> float:
    """Copy the mart, sorted, and do nothing else."""
    file = folder / "bare.duckdb"
    file.unlink(missing_ok=True)
    with warehouse(folder) as connection:
        started = time.perf_counter()
        connection.execute(f"attach '{file}' as bare (storage_version 'v1.2.0')")
        connection.execute(
            f"create table bare.conversions as from conversions order by {', '.join(GRAIN)}"
        )
        connection.execute("detach bare")
        return time.perf_counter() - started


def publish_anew(folder: Path) -> float:
    """Publish the mart as if nothing had been published before."""
    return publish(folder, full_refresh=True)


def publish(folder: Path, *, full_refresh: bool = False) -> float:
    """Publish the mart as the hook of a dbt build does."""
    mart = BuiltMart(
        name="conversions",
        description="Conversions as they were measured.",
        grain=GRAIN,
        scope="marketing:read",
        columns=tuple(
            Column(name=name, type=type_, nullable=False, description="A column.")
            for name, type_ in TYPES.items()
        ),
        tests=(),
        relation="warehouse.main.conversions",
        keys=("config.meta.scope",),
    )
    run = Run(
        project_dir=str(ROOT),
        invocation_id="benchmark",
        command="dbt build",
        full_refresh=full_refresh,
        tests="passed",
        marts=(mart,),
    )
    store = Store(folder / "publications", folder / "marts.duckdb", 1, timedelta())
    with warehouse(folder) as connection:
        started = time.perf_counter()
        builder.publish(store, connection, run, ())
        return time.perf_counter() - started

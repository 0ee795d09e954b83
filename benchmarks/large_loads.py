"""What a first load of many marketing conversions costs, against DuckDB and delta-rs alone."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import click

from benchmarks.ratios import ratio
from benchmarks.workplace import Workplace, rounds_option, rows_option

FILE = """
import sys
import duckdb

duckdb.sql(f\"\"\"
    select
        'product ' || i % 40 as product,
        'type ' || i % 5 as campaign_type,
        'campaign ' || hash(i) % 200_000 as campaign,
        ['facebook', 'google', 'radio', 'tv'][1 + i % 4] as channel,
        date '2020-01-01' + (i % 2000)::int as date,
        (hash(i + 7) % 1_000_000 / 100)::double as conversions
    from range({sys.argv[1]}) as numbers (i) order by hash(i * 3)
\"\"\").write_parquet(sys.argv[2])
"""
"""Write a Parquet file of conversions in no order, of which one in a hundred has another's key."""

REFERENCE = """
import sys
import duckdb
from deltalake import WriterProperties, write_deltalake

database = duckdb.connect(sys.argv[2] + ".duckdb")
database.execute("set memory_limit = '512MB'")
key = "product, campaign_type, campaign, channel, date"
rows = database.sql(f"from '{sys.argv[1]}' order by {key}")
write_deltalake(
    sys.argv[2],
    rows.to_arrow_reader(10_000),
    configuration={"delta.enableChangeDataFeed": "true"},
    writer_properties=WriterProperties(compression="SNAPPY"),
)
"""
"""Sort the same rows and write them as a Delta table: nothing is checked, and none is added up."""


@click.command("large-loads")
@rows_option("the file")
@rounds_option(3)
def command(sizes: tuple[int, ...], rounds: int) -> None:
    """A first load of marketing conversions: seconds and peak memory, against the bare minimum.

    And a `dbt build` of them, which has no reference.
    """
    click.echo("       rows              load         sort and write   ratio             build")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            click.echo(measured(Path(folder), size, rounds))


def measured(folder: Path, size: int, rounds: int) -> str:
    """Measure one size, by turns, and return a line of the table."""
    path = folder / "conversions.parquet"
    Workplace(folder / "made").run("python", "-c", FILE, str(size), str(path))
    ours, theirs, builds = [], [], []
    for number in range(rounds):
        workplace = Workplace(folder / f"data-{number}")
        reference = folder / f"reference-{number}"
        theirs.append(workplace.run("python", "-c", REFERENCE, str(path), str(reference)))
        ours.append(workplace.run("python", "-m", "lake", "load", "marketing", str(path)))
        builds.append(workplace.run("dbt", "build"))
    costs = [
        f"{statistics.median(s for s, _ in runs):>7.1f} s "
        f"{max(memory for _, memory in runs) / 2**20:>6,.0f} MiB"
        for runs in (ours, theirs, builds)
    ]
    times = ratio([seconds for seconds, _ in ours], [seconds for seconds, _ in theirs])
    return f"{size:>11,}{costs[0]}{costs[1]:>23}{times:>8.2f}{costs[2]:>18}"

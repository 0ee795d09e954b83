"""What it costs to load changes into tables of many sizes: seconds, and memory above all."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from benchmarks.workplace import Workplace, changed_option, sizes_option

CHANGED = """
import sys
import duckdb
from deltalake import DeltaTable

table, wanted, where, path = DeltaTable(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
leads = table.to_pyarrow_dataset()
if where == "together":
    ids = [*leads.get_fragments()][-1].head(wanted, columns=["id"])
else:
    ids = duckdb.sql(f"select id from leads using sample reservoir({wanted} rows) repeatable (7)")
    ids = ids.to_arrow_table()
duckdb.register("ids", ids)
duckdb.sql("select id, 'the same for all' as owner from ids").write_parquet(path)
"""
"""Choose leads, together in one file of the table or spread over all, and give them an owner."""


@click.command("loads")
@sizes_option
@changed_option
def command(sizes: tuple[int, ...], changed: int) -> None:
    """A load of leads that changed: seconds and peak memory, and of the same load again."""
    click.echo("      leads  changed                  load                     again")
    for leads in sizes:
        for number, where in ((changed, "together"), (changed, "spread"), (10, "spread")):
            with tempfile.TemporaryDirectory() as folder:
                click.echo(measured(Workplace(Path(folder) / "data"), leads, number, where))


def measured(workplace: Workplace, leads: int, changed: int, where: str) -> str:
    """Measure one size and return a line of the table."""
    workplace.run("python", "-m", "lake", "demo", "--leads", str(leads))
    table, path = workplace.data / "lake" / "leads", workplace.data / "changed.parquet"
    workplace.run("python", "-c", CHANGED, str(table), str(changed), where, str(path))
    costs = []
    for expected in (f"{changed:,} updated", f"{changed:,} unchanged"):
        seconds, memory = workplace.run(
            "python", "-m", "lake", "load", "leads", str(path), "--no-events"
        )
        said = workplace.data.with_suffix(".log").read_text()
        assert expected in said, said
        costs.append(f"{seconds:>8.1f} s {memory / 2**20:>8,.0f} MiB")
    return f"{leads:>11,} {changed:>8,} {where:<10}{costs[0]}    {costs[1]}"

"""What a build costs when little changed, against a count of all leads, on tables of many sizes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from benchmarks.build import models_seconds, total
from benchmarks.workplace import Workplace, changed_option, rounds_option, sizes_option

CHANGE = """
import sys
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from lake import exchange, places

table, wanted = DeltaTable(sys.argv[1]), int(sys.argv[2])
last = [*table.to_pyarrow_dataset().get_fragments()][-1]
leads = last.head(wanted)
days = leads["date_prise_contact"].cast(pa.int32())
later = pc.add(days, pa.scalar(1, pa.int32())).cast(pa.date32())
column = leads.schema.get_field_index("date_prise_contact")
leads = leads.set_column(column, "date_prise_contact", later)
exchange.exchange(places.at(sys.argv[1]), table, leads, "id")
print(leads.num_rows)
"""
"""Move the first contact of some leads to the next day, in one commit and a process of its own."""


@click.command("ledger")
@sizes_option
@changed_option
@rounds_option(5)
def command(sizes: tuple[int, ...], changed: int, rounds: int) -> None:
    """Models' time: all leads counted, nothing changed, some changed; memory of a full build."""
    click.echo(
        "      leads       full    nothing    changed  (changed - nothing) / (full - nothing)      "
        "peak memory"
    )
    for leads in sizes:
        with tempfile.TemporaryDirectory() as folder:
            click.echo(measured(Workplace(Path(folder) / "data"), leads, changed, rounds))


def measured(workplace: Workplace, leads: int, changed: int, rounds: int) -> str:
    """Measure one size and return a line of the table.

    Each round counts everything, then nothing, then what changed, each time in a `dbt run`: the
    tests' Python would compete with the models' for the interpreter.
    """
    workplace.run("python", "-m", "lake", "demo", "--leads", str(leads))
    # The tests of all leads are part of what a full build needs memory for.
    memory = workplace.run("dbt", "build")[1]
    full: list[dict[str, float]] = []
    nothing: list[dict[str, float]] = []
    some: list[dict[str, float]] = []
    for _ in range(rounds):
        workplace.run("dbt", "run", "--full-refresh")
        full.append(models_seconds(workplace))
        workplace.run("dbt", "run")
        nothing.append(models_seconds(workplace))
        table = workplace.data / "lake" / "leads"
        workplace.run("python", "-c", CHANGE, str(table), str(changed))
        log = workplace.data.with_suffix(".log").read_text()
        assert int(log) == changed, log
        workplace.run("dbt", "run")
        log = workplace.data.with_suffix(".log").read_text()
        assert "what changed from version" in log, log
        some.append(models_seconds(workplace))
    rest = total(nothing)
    share = (total(some) - rest) / (total(full) - rest)
    return (
        f"{leads:>11,} {total(full):>8.3f} s {rest:>8.3f} s {total(some):>8.3f} s "
        f"{total(some) - rest:>9.3f} s / {total(full) - rest:>6.3f} s = {share:>6.4f} "
        f"{memory / 2**20:>12,.0f} MiB"
    )

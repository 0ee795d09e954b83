"""The lake's command line: ``python -m lake --help``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

import telemetry
from lake import demo, notion, places
from lake.contracts import LEAD_EVENT_DATES, LEADS, NAMES
from lake.demo.period import Period
from lake.errors import InputRejected, LakeError, reason
from lake.load import load, rejects
from lake.notion import settings
from lake.upkeep import commands as upkeep

if TYPE_CHECKING:
    from datetime import datetime

    from lake.load import Loaded

CENTURY = 36_525


class Commands(click.Group):
    """A group whose commands end on one sentence where a person can put something right."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what a person can put right becomes one line and exit code 1."""
        try:
            return super().invoke(ctx)
        except LakeError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            raise click.ClickException(f"{reason(error)}: see to it and try again.") from None


@click.group(cls=Commands, context_settings={"max_content_width": 100})
@click.pass_context
def main(ctx: click.Context) -> None:
    """Fill the lake, the Delta tables that everything else is made from, and look after it.

    The tables lie in data/lake/leads and data/lake/marketing_conversions. LEADMARTS_DATA moves
    both, LEADMARTS_LEADS_URI and LEADMARTS_MARKETING_URI each one by itself, also into an object
    store: gs://, s3:// or az://, with credentials in the variables that these have for them.

    Exit codes: 0 done; 1 not done, or done with more than a tenth of the rows rejected, and one
    sentence why; 2 the command line cannot be understood.
    """
    ctx.with_resource(telemetry.command("lead-marts-lake", f"lake {ctx.invoked_subcommand}"))


@main.command("demo")
@click.option(
    "--leads",
    type=click.IntRange(0, 1_000_000_000),
    default=20_000,
    show_default=True,
    help="How many leads to make.",
)
@click.option(
    "--days",
    type=click.IntRange(1, CENTURY),
    default=731,
    show_default=True,
    help="How many days they spread over.",
)
@click.option(
    "--end",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The last day (inclusive): nothing happens after it.  [default: today]",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Another seed gives other content; the same seed and end the same content anywhere.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Write over tables that exist, as a new version of each.",
)
def demo_command(leads: int, days: int, end: datetime | None, seed: int, force: bool) -> None:
    """Make a lake of leads and conversions of a company that does not exist.

    No row is about a real person. A table that exists is left alone unless --force is given.
    """
    last = end.date() if end else places.today()
    for written in demo.write(leads, Period(last, days, seed), force=force):
        rows = f"{written.rows:,} row{'' if written.rows == 1 else 's'}"
        click.echo(f"{written.name}: {rows} up to {last} in {written.place}")


@main.command("load")
@click.argument("table", type=click.Choice(list(NAMES)))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--no-events",
    is_flag=True,
    help="Load a file of leads that has no column of an event date.",
)
def load_command(table: str, file: Path, no_events: bool) -> None:
    """Load FILE into the table of leads or of marketing conversions.

    FILE is a CSV (commas, a header), NDJSON or Parquet file, by its name: .csv, .ndjson, .jsonl
    (each also .gz) or .parquet. Rows with a new key are inserted, those with a known key updated
    where they differ; the table is made if there is none. Loading a file again changes nothing.

    The key of leads is id; of several leads with one id in FILE the last wins. The key of
    marketing is product, campaign_type, campaign, channel and date; the conversions of several
    rows with one key in FILE are added up.

    Dates are YYYY-MM-DD, alone or with a time after a T or a space (ISO 8601), in the years 1 to
    9999; one with a zone gets its date in LEADMARTS_TIMEZONE (Europe/Paris). Further columns are
    kept, and added to the table when they first have a value; upper and lower case do not make
    another column. An empty cell makes the value null. A column that FILE does not have (in
    NDJSON: that a line does not have) keeps the values it has.

    Rows that cannot be taken are kept in <table>_rejects beside the table, with their line and
    the reason ("python -m lake rejects" shows them), and the others are loaded. Where more than a
    tenth of all cannot be taken, the exit code is 1; rows before the last with their id do not
    count for that. DuckDB takes LEADMARTS_MEMORY (512MB) for a load, and goes on on disk.
    """
    needed = LEAD_EVENT_DATES if NAMES[table] is LEADS and not no_events else ()
    loaded = load(NAMES[table], file, needed)
    put_right = (
        f"see why with `python -m lake rejects {table}`, put them right and load the file again."
    )
    if loaded.rejected and not loaded.upserted.taken:
        raise InputRejected(
            f"Nothing was loaded from {file}, since not one of its rows could be taken "
            f"({loaded.rejected:,} rejected): {put_right}"
        )
    summed = f"{loaded.summed:,} added to others with the same key" if loaded.summed else ""
    click.echo(_summary(table, loaded, summed))
    if loaded.failed:
        raise InputRejected(
            f"More than a tenth of the rows of {file} could not be taken "
            f"({loaded.rejected - loaded.superseded:,}), and the others are loaded: {put_right}"
        )


@main.command("rejects")
@upkeep.some_tables
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="How many rows of each reason are shown.",
)
def rejects_command(tables: tuple[str, ...], limit: int) -> None:
    """Show the rows that could not be taken into each TABLE; without one, into all of them.

    They are shown by reason, the most frequent first: how many rows there are, and of the first
    rows the file, the line and the content. A row stays here after it was put right.
    """
    for name in tables or NAMES:
        place = places.rejects_place(places.table_place(NAMES[name]))
        found = rejects.grouped(place, limit)
        if not found.rows:
            click.echo(f"{name}: no row was rejected")
            continue
        click.echo(f"{name}: {found.rows:,} rejected, kept in {place}")
        for group in found.groups:
            rows = "row" if group.count == 1 else "rows"
            click.echo(f"\n{group.count:,} {rows}: {_printable(group.reason)}")
            for file, line, full, row in group.rows:
                at = f"{file}, line {line:,}" if line else file
                why = "" if full == group.reason else f"{full}: "
                click.echo(_printable(f"  {at}: {why}{row}"))
            if (more := group.count - len(group.rows)) and limit:
                click.echo(f"  … and {more:,} more (--limit)")
        if less := found.reasons - len(found.groups):
            rest = found.rows - sum(group.count for group in found.groups)
            click.echo(f"\n{rest:,} rows with {less:,} less frequent reasons are not shown")


def _printable(text: str) -> str:
    """Return a text that does nothing to a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@main.group("ingest")
def ingest_group() -> None:
    """Bring leads in from where people keep them."""


@ingest_group.command("notion")
@click.option(
    "--data-source",
    metavar="NAME",
    default="Leads",
    show_default=True,
    help="Which data source of the database, by its name or its id.",
)
@click.option("--full", is_flag=True, help="Read every page whole, whenever it was edited.")
@click.option(
    "--allow-missing",
    is_flag=True,
    help="Go on if an event date has no property; its values stay as they are.",
)
def ingest_notion_command(data_source: str, full: bool, allow_missing: bool) -> None:
    """Bring the pages of a Notion data source into the table of leads.

    NOTION_TOKEN is the secret of an integration that may read the database, NOTION_DATABASE_ID
    the database's link or id. Nothing is written in Notion.

    Each page is a lead whose id is the page's. Five properties are event dates: "Date de prise de
    contact", "Date de réponse du prospect", "Date d'appel proposé", "Date d'appel booké" and "Date
    de relance"; accents, case and the kind of apostrophe do not matter. Of a range the start
    counts, and a time gets its date in LEADMARTS_TIMEZONE (Europe/Paris). Every other property
    becomes a column in snake case.

    Only what was edited since the last time is read whole. A page that is trashed, deleted or
    moved away makes its lead deleted; leads that came from files are left alone. --full also
    brings what changes without an edit, such as formulas and renamed options.

    Pages that cannot be taken are kept in leads_rejects beside the table, with the reason ("python
    -m lake rejects leads" shows them), and the others are loaded. Where more than a tenth of all
    pages cannot be taken, the exit code is 1. The same pages again change nothing.
    """
    done = notion.ingest(
        settings.from_environment(), data_source, full=full, allow_missing=allow_missing
    )
    for warning in done.warnings:
        click.echo(f"Warning: {warning}", err=True)
    click.echo(_summary("notion", done.loaded, f"{done.deleted:,} deleted", done.deleted))
    if done.loaded.added and not done.full:
        click.echo("New columns have values where pages were edited; --full brings the others.")
    if done.failed:
        raise InputRejected(
            f"More than a tenth of the {done.pages:,} pages could not be taken "
            f"({done.loaded.rejected:,}), and the others are loaded: see why with `python -m lake "
            "rejects leads`, put them right in Notion and do this again."
        )


def _summary(what: str, loaded: Loaded, further: str, deleted: int = 0) -> str:
    """Return the one line that says what became of some rows.

    Args:
        what: What they are.
        loaded: What the upsert did.
        further: What else there is to say, if anything.
        deleted: How many of the updated rows were only marked as deleted.
    """
    done = loaded.upserted
    line = (
        f"{what}: {done.inserted:,} inserted, {max(done.updated - deleted, 0):,} updated, "
        f"{done.unchanged:,} unchanged, {loaded.rejected:,} rejected"
    )
    if further:
        line += f"; {further}"
    if loaded.added:
        line += f"; new columns: {', '.join(loaded.added)}"
    if loaded.meant:
        line += f"; did you mean {' and '.join(loaded.meant)}?"
    if loaded.rejected:
        line += f"; see {loaded.rejects}"
    return line


for command in (
    upkeep.status_command,
    upkeep.history_command,
    upkeep.compact_command,
    upkeep.vacuum_command,
):
    main.add_command(command)


if __name__ == "__main__":
    main(prog_name="python -m lake")

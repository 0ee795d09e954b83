"""The lake's command line: ``python -m lake --help``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lake import demo, places
from lake.demo_calendar import Period
from lake.errors import LakeError

if TYPE_CHECKING:
    from datetime import datetime

CENTURY = 36_525


class Commands(click.Group):
    """A group whose commands end on one sentence where a person can put something right."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command and turn a ``LakeError`` into one line and exit code 1."""
        try:
            return super().invoke(ctx)
        except LakeError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=Commands, context_settings={"max_content_width": 100})
def main() -> None:
    """Fill the lake: the Delta tables that everything else is made from.

    The tables lie in data/lake/leads and data/lake/marketing_conversions. LEADMARTS_DATA moves
    both, LEADMARTS_LEADS_URI and LEADMARTS_MARKETING_URI each one by itself.

    Exit codes: 0 done, 1 not done and one sentence why, 2 the command line cannot be understood.
    """


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
        click.echo(f"{written.name}: {written.rows:,} rows up to {last} in {written.folder}")


if __name__ == "__main__":
    main(prog_name="python -m lake")

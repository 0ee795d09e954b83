"""The commands that look after the lake: ``status``, ``history``, ``compact`` and ``vacuum``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from lake import commits
from lake.contracts import NAMES
from lake.errors import LakeError
from lake.upkeep import changes
from lake.upkeep.compaction import compact
from lake.upkeep.found import asked_for, find, place, reading, to_tend
from lake.upkeep.retention import hours, retention, words
from lake.upkeep.status import status
from lake.upkeep.vacuuming import vacuum

if TYPE_CHECKING:
    from datetime import datetime

    from lake.upkeep.found import Found

WIDTH_WITHOUT_A_TERMINAL = 200

some_tables = click.argument(
    "tables", metavar="[TABLE]...", type=click.Choice(list(NAMES)), nargs=-1
)


class Age(click.ParamType[int]):
    """A time in days or hours."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return a time in hours."""
        if (found := hours(str(value))) is None:
            self.fail(f"'{value}' is no time: give days or hours, such as 30d or 36h.", param, ctx)
        return found


@click.command("status")
@some_tables
def status_command(tables: tuple[str, ...]) -> None:
    """Say how each TABLE is; without one, all of them.

    Rows, files and bytes are those of the newest version. The change data feed tells what each
    commit changed; rejects are the rows that could not be taken.
    """
    broken: list[LakeError] = []
    for name in tables or NAMES:
        click.echo(name)
        try:
            _show_status(name)
        except LakeError as error:  # the other tables are shown all the same
            broken.append(error)
    if broken:
        raise LakeError(" ".join(map(str, broken)))


@click.command("history")
@some_tables
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many commits to show.",
)
def history_command(tables: tuple[str, ...], limit: int) -> None:
    """List the newest commits of each TABLE that its log still has; without one, of all.

    The newest come first. The times are what `dbt build --vars '{leads_version:
    2026-01-31T12:00:00Z}'` goes by. Rows are as the writer counted them in the commit; what it does
    not say is a dash.
    """
    found = asked_for(tables)
    for each in found:
        if len(found) > 1:
            click.echo(each.name)
        _show_history(each, limit)


@click.command("compact")
@some_tables
def compact_command(tables: tuple[str, ...]) -> None:
    """Write the small files of each TABLE and of its rejects together; without one, of all.

    One commit a table, which changes no row: builds and readers of the change data feed do not
    notice, older versions stay as they are. What becomes superfluous is removed by `vacuum`.
    """
    for found in to_tend(tables):
        done = compact(found)
        files = f"{_number(done.before, 'file')} before, {done.after:,} after"
        made = f"version {done.version}" if done.version is not None else "nothing to do"
        click.echo(f"{found.name}: {files}; {made}")


@click.command("vacuum")
@some_tables
@click.option(
    "--older-than",
    type=Age(),
    help="How long files are kept after the table needed them last, such as 30d or 36h.  "
    "[default: 7d, or more where the table itself asks for it]",
)
@click.option("--dry-run", is_flag=True, help="Remove nothing; say what would be.")
@click.option(
    "--force",
    is_flag=True,
    help="Allow less than the default, while nobody reads or writes the tables.",
)
def vacuum_command(
    tables: tuple[str, ...], older_than: int | None, dry_run: bool, force: bool
) -> None:
    """Remove files of each TABLE and of its rejects that are no longer needed; without one, of all.

    Those are files that were taken out of the table that long ago, files that a writer left that
    was killed, and the change data feed of that time. Versions from before can then no longer be
    read, nor can what changed between them.
    """
    found = to_tend(tables)
    times = [retention(each, older_than, force=force or dry_run) for each in found]
    for each, time in zip(found, times, strict=True):
        done = vacuum(each, time, dry_run=dry_run)
        removed = "would remove" if dry_run else "removed"
        files = _files(done.files, done.size)
        click.echo(f"{each.name}: {removed} {files}, not needed for {words(time)}")


def _show_status(name: str) -> None:
    if (found := find(name)) is None:
        _line("place", f"{place(name)}, where there is no table yet")
        return
    now = status(found)
    rejects = f"{_number(now.rejects, 'row')} in {now.rejects_place}"
    _line("place", now.place)
    _line("version", f"{now.version}, committed {_time(now.committed_at)}")
    _line("rows", f"{now.rows:,} in {_files(now.files, now.size)}")
    _line("change data feed", "on" if now.change_data_feed else "off")
    _line("table id", now.table_id)
    _line("rejects", rejects if now.rejects_place else "none")


def _show_history(found: Found, limit: int) -> None:
    with reading(found):
        log = commits.kept(found.place, found.table, limit)
    shown = Table(
        *("version", "committed at", "operation", "inserted", "updated", "deleted"),
        *("files added", "files removed"),
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for commit in reversed(log):
        rows = [f"{count:,}" if count is not None else "-" for count in changes.rows(commit)]
        shown.add_row(
            str(commit.version),
            _time(commit.committed_at) if commit.committed_at else "-",
            commit.operation or "-",
            *rows,
            f"{commit.files_added:,}",
            f"{commit.files_removed:,}",
        )
    Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_A_TERMINAL).print(shown)


def _line(title: str, text: str) -> None:
    click.echo(f"  {title:<18}{text}")


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _files(count: int, size: int) -> str:
    return f"{_number(count, 'file')} ({size:,} bytes)"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03} UTC"

"""The publications' command line: ``python -m publication --help``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console
from rich.table import Table

import telemetry
from publication.errors import PublicationError, PublicationNotYet
from publication.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from publication.manifest import Manifest, Test

NOTHING_YET = "Nothing was published yet: run `dbt build` or `make run`."
LOST = "current.json is lost; `rollback N` or `dbt build` makes it anew."
WIDTH_WITHOUT_A_TERMINAL = 200

as_json = click.option("--json", "as_json", is_flag=True, help="For machines: JSON.")


class Commands(click.Group):
    """A group whose commands end on one sentence where a person can put something right."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command and turn a ``PublicationError`` into one line and exit code 1."""
        try:
            return super().invoke(ctx)
        except PublicationError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=Commands, context_settings={"max_content_width": 100})
@click.pass_context
def main(ctx: click.Context) -> None:
    """Look at the publications, verify them, or roll back to an earlier one.

    They lie in data/publications. LEADMARTS_DATA moves them with everything else,
    LEADMARTS_PUBLICATIONS by themselves. `dbt build` makes them.

    Exit codes: 0 done, 1 not done and one sentence why, 2 the command line cannot be understood.
    """
    name = f"publication {ctx.invoked_subcommand}"
    ctx.with_resource(telemetry.command("lead-marts-publication", name))
    ctx.obj = Store.from_environment()


@main.command("list")
@as_json
@click.pass_obj
def list_command(store: Store, *, as_json: bool) -> None:
    """List the publications that are kept, newest first. The newest is the current one.

    What is damaged or lost is said on standard error.
    """
    manifests, broken = store.survey()
    for error in broken:
        click.echo(str(error), err=True)
    if manifests and store.pointer() is None:
        click.echo(LOST, err=True)
    if as_json:
        _print_json(manifests)
    elif not manifests:
        click.echo(NOTHING_YET)
    else:
        _print_table(
            ("number", "published at", "content", "marts", "rows", "tests", "sources", "repeats"),
            [
                (
                    str(manifest.number),
                    _time(manifest.published_at),
                    manifest.digest.removeprefix("sha256:")[:8],
                    str(len(manifest.marts)),
                    f"{sum(mart.rows for mart in manifest.marts):,}",
                    manifest.build.tests,
                    _versions(manifest),
                    str(manifest.rolled_back_to or ""),
                )
                for manifest in manifests
            ],
        )


@main.command("show")
@click.argument("number", type=int, required=False)
@as_json
@click.pass_obj
def show_command(store: Store, number: int | None, *, as_json: bool) -> None:
    """Show what publication NUMBER holds; the current one without a number."""
    manifest = _chosen(store, number)
    if as_json:
        _print_json(manifest)
        return
    again = f", the content of {manifest.rolled_back_to} again" if manifest.rolled_back_to else ""
    commit = f", commit {manifest.build.git_commit}" if manifest.build.git_commit else ""
    click.echo(f"Publication {manifest.number}{again}")
    click.echo(f"file     {store.path(manifest)}")
    click.echo(f"content  {manifest.digest}")
    click.echo(f"since    {_time(manifest.published_at)}")
    click.echo(f"built    {_time(manifest.built_at)} by {manifest.build.command}")
    click.echo(f"project  version {manifest.build.project_version}{commit}")
    click.echo(f"tests    {manifest.build.tests}")
    for source in manifest.sources:
        click.echo(f"source   {source.name} version {source.version} of {source.uri}")
    click.echo()
    _print_table(
        ("mart", "rows", "grain", "scope", "tests"),
        [
            (
                mart.name,
                f"{mart.rows:,}",
                ", ".join(mart.grain),
                mart.scope or "any token",
                _outcomes(mart.tests),
            )
            for mart in manifest.marts
        ],
    )


@main.command("verify")
@click.argument("number", type=int, required=False)
@as_json
@click.pass_obj
def verify_command(store: Store, number: int | None, *, as_json: bool) -> None:
    """Read publication NUMBER whole and compare it with its manifest; the current one without."""
    manifest = _chosen(store, number)
    store.verify(manifest.number)
    if as_json:
        _print_json({"number": manifest.number, "digest": manifest.digest, "whole": True})
    else:
        click.echo(f"Publication {manifest.number} is whole: {store.path(manifest)}")


@main.command("rollback")
@click.argument("number", type=int)
@as_json
@click.pass_obj
def rollback_command(store: Store, number: int, *, as_json: bool) -> None:
    """Publish the content of publication NUMBER again, under the next number."""
    manifest = store.rollback(number)
    if as_json:
        _print_json(manifest)
    else:
        click.echo(f"Published {manifest.number}, which holds what {number} held.")


@main.command("repair")
@click.pass_obj
def repair_command(store: Store) -> None:
    """Put right what killed runs left: half files, and a link that leads nowhere.

    The next `dbt build` does so too.
    """
    for sentence in store.repair() or ["There is nothing to repair."]:
        click.echo(sentence)


def _chosen(store: Store, number: int | None) -> Manifest:
    manifest = store.current() if number is None else store.manifest(number)
    if manifest is None:
        raise PublicationNotYet(LOST if store.manifests() else NOTHING_YET)
    return manifest


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _versions(manifest: Manifest) -> str:
    return ", ".join(f"{source.name} {source.version}" for source in manifest.sources)


def _outcomes(tests: Iterable[Test]) -> str:
    statuses = [test.status for test in tests]
    counts = {status: statuses.count(status) for status in sorted(set(statuses))}
    return ", ".join(f"{count} {status}" for status, count in counts.items()) or "none"


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(*head, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_A_TERMINAL).print(table)


def _print_json(value: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value)))


if __name__ == "__main__":
    main(prog_name="python -m publication")

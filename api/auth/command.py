"""``python -m api users``: who may sign in."""

from __future__ import annotations

import sys

import click

from api.auth import users as file
from api.auth.passwords import HASHER
from api.auth.settings import users_path
from publication.manifest import SCOPE

SHORTEST = 8
"""Characters of a password (NIST SP 800-63B §5.1.1.2)."""


@click.group()
def users() -> None:
    """Say who may sign in. LEADMARTS_USERS names the file (by default data/users.json).

    A running server sees every change at once. Tokens of a user who was removed or changed end.
    """


@users.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("marketing:read",),
    show_default=True,
    help="What the user may do; repeat it for several.",
)
@click.option("--no-scope", is_flag=True, help="The user may read only what any user may.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def add(name: str, scopes: tuple[str, ...], no_scope: bool, password_stdin: bool) -> None:
    """Add a user, or change the password and the scopes of one."""
    if not file.NAME.fullmatch(name):
        raise click.ClickException(
            "A user's name has 1 to 200 characters, no colon and no control characters."
        )
    for scope in scopes:
        if not SCOPE.fullmatch(scope):
            raise click.ClickException(
                f"{scope!r} is no scope; write it without spaces, quotes and backslashes, "
                "such as marketing:read."
            )
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if len(password) < SHORTEST:
        raise click.ClickException(f"The password needs {SHORTEST} characters or more.")
    granted = () if no_scope else tuple(sorted(set(scopes)))
    path = users_path()
    try:
        with file.changing(path) as known:
            done = "Changed" if name in known else "Added"
            known[name] = file.User(name=name, password_hash=HASHER.hash(password), scopes=granted)
    except file.UsersBroken as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{done} {name} in {path}, who may: {' '.join(granted) or 'nothing special'}.")


@users.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove a user."""
    path = users_path()
    try:
        with file.changing(path) as known:
            if name not in known:
                raise click.ClickException(f"There is no user {name} in {path}.")
            del known[name]
    except file.UsersBroken as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Removed {name} from {path}.{'' if known else ' Nobody may sign in now.'}")


@users.command("list")
def list_users() -> None:
    """List the users and what they may do."""
    path = users_path()
    try:
        known = file.read(path)
    except file.UsersBroken as error:
        raise click.ClickException(str(error)) from None
    if not known:
        click.echo(f"There are no users in {path}.", err=True)
    for user in sorted((known or {}).values(), key=lambda user: user.name):
        click.echo(f"{user.name}\t{' '.join(user.scopes)}")

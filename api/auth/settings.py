"""What the environment says about users and tokens, read once at start."""

from __future__ import annotations

import os
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from api.auth import keys
from api.auth.passwords import HASHER, fits
from api.auth.users import User, Users, UsersBroken, read
from api.auth.writers import is_foreign, writable_by_others
from api.errors import SettingsError
from api.variables import read_all, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from telemetry import Environment

DEMO_NAME = "marketing_op"
DEMO_PASSWORD = "marketing_op_supersecret"  # noqa: S105 -- documented, and refused in production

LONGEST_TOKEN = 24 * 3600
"""Seconds. Who needs longer has refresh tokens."""


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of users and tokens.

    Attributes:
        key: What tokens are signed with: ``LEADMARTS_SIGNING_KEY`` or the content of
            ``LEADMARTS_SIGNING_KEY_FILE``; in development otherwise a new one.
        key_is_ephemeral: Whether it is that new one.
        users: The users' file, ``LEADMARTS_USERS``, or ``users.json`` below ``LEADMARTS_DATA``.
        demo: Whether the demo user may sign in as long as there is no such file: in development.
        token_seconds: How long an access token lasts: ``LEADMARTS_TOKEN_SECONDS``, or an hour.
        rate_client: How many tokens one client may ask for in a minute:
            ``LEADMARTS_TOKEN_RATE_CLIENT``, or 60.
        rate_user: How often a minute somebody may fail to sign in as one user:
            ``LEADMARTS_TOKEN_RATE_USER``, or 20.
    """

    key: bytes
    key_is_ephemeral: bool
    users: Path
    demo: bool
    token_seconds: int
    rate_client: int
    rate_user: int

    @classmethod
    def from_environment(cls, environment: Environment) -> AuthSettings:
        """Read the settings. A variable that is empty counts as not set.

        Raises:
            SettingsError: One is wrong, or unsafe in production.
        """
        production = environment == "production"
        parts: dict[str, Callable[[], object]] = {
            "key": partial(_key, production),
            "users": partial(_users, production),
            "token_seconds": partial(whole_number, "LEADMARTS_TOKEN_SECONDS", 3600, LONGEST_TOKEN),
            "rate_client": partial(whole_number, "LEADMARTS_TOKEN_RATE_CLIENT", 60, 1_000_000),
            "rate_user": partial(whole_number, "LEADMARTS_TOKEN_RATE_USER", 20, 1_000_000),
        }
        told = read_all(parts)
        key = told.pop("key")
        return cls(
            key=key or keys.ephemeral(), key_is_ephemeral=key is None, demo=not production, **told
        )

    def open_users(self) -> Users:
        """Open the users.

        Raises:
            SettingsError: The file became unreadable.
        """
        try:
            return Users(self.users, (_demo_user(),) if self.demo else ())
        except UsersBroken as error:
            raise SettingsError(str(error)) from error

    @property
    def warnings(self) -> list[str]:
        """What somebody who starts the server should know."""
        found = []
        if self.key_is_ephemeral:
            found.append(
                f"{keys.VARIABLE} is not set: tokens are signed with a key that ends with this "
                "server."
            )
        if not read(self.users):
            add = f"`python -m api users add NAME` adds users to {self.users}"
            if self.demo and not self.users.exists():
                found.append(
                    f"The demo user {DEMO_NAME} with the password {DEMO_PASSWORD} may sign in, "
                    f"because there are no others; {add}, and that ends it."
                )
            else:
                found.append(f"Nobody can sign in, because there are no users; {add}.")
        return found


def users_path() -> Path:
    """Where the users' file is, as the environment says."""
    data = Path(os.environ.get("LEADMARTS_DATA") or "data")
    return Path(os.environ.get("LEADMARTS_USERS") or data / "users.json")


def _key(production: bool) -> bytes | None:
    key = keys.configured()
    if key is None and production:
        raise SettingsError(
            f"{keys.VARIABLE} or {keys.FILE_VARIABLE} must be set in production: tokens are "
            f"signed with it. Make one: {keys.MAKE_ONE}"
        )
    if production and (file := keys.file()):
        _refuse_writable(file, f"{keys.FILE_VARIABLE} names {file}, which")
    return key


def _users(production: bool) -> Path:
    path = users_path()
    try:
        if os.environ.get("LEADMARTS_USERS") and not path.exists():
            raise SettingsError(
                f"LEADMARTS_USERS names {path}, which is not there; "
                "`python -m api users add NAME` makes it."
            )
        demo = Users(path).get(DEMO_NAME)
        if production:
            _refuse_writable(path, f"{path}, which says who may sign in,")
    except (UsersBroken, OSError) as error:
        raise SettingsError(str(error)) from error
    if production and demo and fits(DEMO_PASSWORD, demo.password_hash):
        raise SettingsError(
            f"{path} has the demo user, whose password everyone knows; in production run "
            f"`python -m api users remove {DEMO_NAME}`, or give it another password with "
            f"`python -m api users add {DEMO_NAME}`."
        )
    return path


def _refuse_writable(file: Path, which: str) -> None:
    """Refuse a file that other users of the machine could change or replace.

    Args:
        file: The file.
        which: How a sentence about it begins.

    Raises:
        SettingsError: They could.
    """
    cause = writable_by_others(file)
    if cause is None:
        return
    place, found = shlex.quote(str(cause)), cause.stat()
    could = "other users of this machine could change"
    if not file.exists():
        could = "is not there yet, and other users of this machine could make it"
    if is_foreign(cause):
        owner = found.st_uid if found.st_uid not in {0, os.geteuid()} else cause.lstat().st_uid
        why = f"belongs to the user with the number {owner}"
        what = f"have root run `chown -h {os.geteuid()} {place}`"
    else:
        why = f"has mode {found.st_mode & 0o7777:04o}"
        what = f"run `chmod go-w {place}`"
    raise SettingsError(
        f"{which} {could}, because {cause} {why}; {what}, or move the file where only its owner "
        "can write."
    )


def _demo_user() -> User:
    # The same in every worker, so that each takes the others' tokens. Everyone knows the password.
    hashed = HASHER.hash(DEMO_PASSWORD, salt=DEMO_NAME.encode())
    return User(name=DEMO_NAME, password_hash=hashed, scopes=("marketing:read",))

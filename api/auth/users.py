"""Users, and the file they live in."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import msgspec
from loguru import logger
from msgspec import Meta

from api.quoting import counted
from publication import durable
from publication.manifest import SCOPE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOK_EVERY = 0.25
"""Seconds between two looks at the file, while somebody asks."""

NAME = re.compile(r"[^\x00-\x1f\x7f:]{1,200}")
"""A user's name: HTTP Basic ends it at the first colon and forbids control codes (RFC 7617 §2)."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody, or some program, that may sign in.

    Attributes:
        name: Unique.
        password_hash: Argon2id, in the PHC string format.
        scopes: What the user may do, such as ``marketing:read``; sorted.
    """

    name: Annotated[str, Meta(pattern=f"^{NAME.pattern}$")]
    password_hash: Annotated[str, Meta(pattern=r"^\$argon2id\$")]
    scopes: tuple[Annotated[str, Meta(pattern=f"^{SCOPE.pattern}$")], ...]


class UsersBroken(Exception):
    """The file of users cannot be read; the text says why and what to do."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    users: tuple[User, ...]


def read(path: Path) -> dict[str, User] | None:
    """Read the users by their names, or None if there is no file.

    Raises:
        UsersBroken: The file is there but cannot be read.
    """
    try:
        users = msgspec.json.decode(path.read_bytes(), type=_File).users
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsersBroken(
            f"The users in {path} cannot be read ({error}); repair the file, or move it away and "
            "add the users again with `python -m api users add NAME`."
        ) from error
    return {user.name: user for user in users}


@contextmanager
def changing(path: Path) -> Iterator[dict[str, User]]:
    """Change the users in the block; the file is replaced in one step when it ends well.

    One process at a time. Only the owner may read the file.

    Raises:
        UsersBroken: The file cannot be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with durable.exclusive(path.with_name(f".{path.name}.lock")):
            users = read(path) or {}
            yield users
            listed = _File(tuple(users[name] for name in sorted(users)))
            text = msgspec.json.format(msgspec.json.encode(listed), indent=2)
            durable.write(path, text + b"\n", mode=0o600)
    except OSError as error:
        raise UsersBroken(
            f"The users in {path} cannot be written: {error.strerror}; set LEADMARTS_USERS to "
            "another place, or its folder's permissions."
        ) from error


class Users:
    """The users as the file has them at the moment, seen within a quarter of a second."""

    def __init__(self, path: Path, otherwise: tuple[User, ...] = ()) -> None:
        """Read them for the first time.

        Args:
            path: The file, which need not exist.
            otherwise: Who there is as long as it does not.

        Raises:
            UsersBroken: The file is there but cannot be read.
        """
        self._path = path
        self._otherwise = {user.name: user for user in otherwise}
        self._seen = _stamp(path)
        found = read(path)
        self._users = self._otherwise if found is None else found
        self._look_again = time.monotonic() + LOOK_EVERY

    def get(self, name: str) -> User | None:
        """Look a user up. A user who was changed is another object than before.

        A file that cannot be read any more changes nothing but a line in the log.
        """
        if time.monotonic() >= self._look_again:
            self._look()
        return self._users.get(name)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._users)

    def _look(self) -> None:
        self._look_again = time.monotonic() + LOOK_EVERY
        stamp = _stamp(self._path)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            found = read(self._path)
        except UsersBroken as error:
            logger.error("The users stay as they were: {}", error)
            return
        new = self._otherwise if found is None else found
        # Who is the same stays the same object: tokens that were verified need no second look.
        same = {name: old for name, old in self._users.items() if new.get(name) == old}
        self._users = {**new, **same}
        logger.info("The users were read again: {}.", counted(len(new), "user"))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes with every new version of a file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns

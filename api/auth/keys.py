"""The key that tokens are signed with."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from api.errors import SettingsError
from api.quoting import counted

VARIABLE = "LEADMARTS_SIGNING_KEY"
FILE_VARIABLE = "LEADMARTS_SIGNING_KEY_FILE"

SHORTEST = 32
"""Bytes: as many as the hash has (RFC 7518 §3.2)."""

FEWEST_DISTINCT = 8
"""Of 32 random hexadecimal digits, fewer than 8 different ones come once in ten million."""

MAKE_ONE = 'python -c "import secrets; print(secrets.token_hex(32))"'


PLACEHOLDERS = (
    *("changeme", "changethis", "replaceme", "replacethis", "placeholder", "example"),
    *("password", "supersecret", "yoursecret", "yourkey", "tokenhex"),
)
"""What stands in keys that were copied from somewhere, such as the command that makes a good one:
letters and digits alone, in lower case. One random key in about a thousand million has any of them.
"""


def configured() -> bytes | None:
    """Read the key from the environment or from the file that it names.

    Raises:
        SettingsError: Both are set, the file cannot be read, or the key is weak.
    """
    text, name = os.environ.get(VARIABLE), os.environ.get(FILE_VARIABLE)
    if text and name:
        raise SettingsError(f"{VARIABLE} and {FILE_VARIABLE} are both set; set one of them.")
    if text:
        return _strong(os.fsencode(text), VARIABLE)
    if name:
        try:
            return _strong(Path(name).read_bytes().strip(b"\r\n"), FILE_VARIABLE)
        except OSError as error:
            raise SettingsError(
                f"{FILE_VARIABLE} names {name}, which cannot be read: {error.strerror}."
            ) from error
    return None


def file() -> Path | None:
    """The file that the key is read from, if it is."""
    name = os.environ.get(FILE_VARIABLE)
    return Path(name) if name and not os.environ.get(VARIABLE) else None


def ephemeral() -> bytes:
    """Make a key that lasts as long as this server. Text, so that an environment can hold it."""
    return secrets.token_hex(SHORTEST).encode()


def _strong(key: bytes, variable: str) -> bytes:
    """Pass a key on unless it can be guessed."""
    if len(key) < SHORTEST:
        weakness = f"has {counted(len(key), 'byte')} and needs {SHORTEST}"
    elif len(set(key)) < FEWEST_DISTINCT:
        weakness = f"has only {counted(len(set(key)), 'different byte')}"
    elif (key + key).find(key, 1) < len(key):
        weakness = "repeats itself"
    elif any(known in _letters(key) for known in PLACEHOLDERS):
        weakness = "is a placeholder, which others know"
    else:
        return key
    raise SettingsError(
        f"The key of {variable} is weak: it {weakness}. Make another one: {MAKE_ONE}"
    )


def _letters(key: bytes) -> str:
    return "".join(filter(str.isalnum, key.decode("latin-1").lower()))

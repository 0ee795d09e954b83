"""What may stand in a log: no character that forges a line, and no secret."""

from __future__ import annotations

import os
import re
from functools import lru_cache

HIDDEN = "***"

OFTEN = 200
"""Up to how many characters a text is remembered as it was cleaned."""

SECRET_NAME = re.compile(r"key|token|secret|passw|credential|sas|headers", re.ASCII | re.IGNORECASE)
"""Environment variables with such a word in their name hold secrets."""

SHORTEST = 8
"""A shorter value is no secret: numbers and switches have such names too."""

SCHEMES = re.compile(r"\b(bearer|basic)(\s+|%20)[\w.~+/=-]{12,}", re.ASCII | re.IGNORECASE)
"""What stands in ``Authorization``."""

NAMED = re.compile(
    r"""((?<![^\W_]) (?: password | passwd | (?: client )? secret | sig | signature
             | (?: access | refresh | id )? [_-]? token
             | (?: api | account | signing | private | access | secret ) [_-]? key
             | x-amz-credential | authorization ) ["']? \s*)
        (?: (= | %3d) \s* ["']? [^\s&;,"'<>]+ | (: | %3a) \s* ["']? [^\s&;,"'<>]{8,} )""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
"""A secret behind its name, as queries, connection strings, settings, headers and JSON have it.

The name may be the last part of a longer one, behind ``_`` or ``-``.
"""

IN_URLS = re.compile(r"(://[^\s/@:]*:)[^\s/]+(?=@)")
"""A password in front of a host; it may have an ``@`` that ought to be escaped."""

SHAPES = re.compile(
    r"""(?<! [\w-] ) (?= [\w-]+ \. [\w-] )
            [\w-]*? (?<![^\W_]) eyJ [\w-]+ \. [\w-]+ (?: \. [\w-]* )?
      | \b (?: ntn | secret | pylf | ghp ) _ [\w-]{12,}
      | -----BEGIN [^-]* PRIVATE\ KEY----- .*? (?: -----END [^-]* PRIVATE\ KEY----- | \Z )""",
    re.ASCII | re.VERBOSE | re.DOTALL,
)
"""What can be told by itself: tokens of JWT, Notion, Logfire and GitHub, and private keys.

Anybody can have a text cleaned, so no pattern here may take more than a time that grows as the text
does: a JWT is looked for once in each run of its characters, and only if a dot follows that.
"""

_told: set[str] = set()


def hide(secret: str) -> None:
    """Have a secret hidden wherever it would stand in a log.

    Args:
        secret: One that no environment variable holds.
    """
    if len(secret) >= SHORTEST:
        _told.add(secret)
        _known.cache_clear()
        _remembered.cache_clear()


def without_secrets(text: str) -> str:
    """Hide what is known to be a secret, and what looks like one."""
    return _remembered(text) if len(text) <= OFTEN else _hidden(text)


def _hidden(text: str) -> str:
    if (known := _known()) is not None:
        text = known.sub(HIDDEN, text)
    if text.isalnum():
        return text  # it has no name, no scheme and no dot
    text = SHAPES.sub(HIDDEN, IN_URLS.sub(rf"\1{HIDDEN}", text))
    text = SCHEMES.sub(rf"\1 {HIDDEN}", text)
    return NAMED.sub(lambda found: f"{found[1]}{found[2] or found[3]}{HIDDEN}", text)


_remembered = lru_cache(1024)(_hidden)
"""Most texts come again: methods, paths, sentences."""


@lru_cache(1)
def _known() -> re.Pattern[str] | None:
    """All secrets that are known, the longest first: one may begin like another."""
    held = {
        value
        for name, value in os.environ.items()
        if SECRET_NAME.search(name) and not name.endswith("_FILE") and len(value) >= SHORTEST
    }
    secrets = sorted(held | _told, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, secrets))) if secrets else None


def on_one_line(text: str) -> str:
    """Write every character that is not to be seen as its escape: a line stays one line."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(one: str) -> str:
    return one.encode("unicode_escape").decode()


def clean(value: object) -> object:
    """Make a value fit for a log; numbers, truth values and None are."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return on_one_line(without_secrets(str(value)))

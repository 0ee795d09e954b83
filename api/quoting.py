"""How sentences repeat what others said: short, on one line, and without what is private."""

import re
from urllib.parse import quote

from telemetry.cleaning import on_one_line

URL_SAFE = "/%:@!$&'()*+,;=?~"
"""What may stand in a path or a query as it is (RFC 3986 §3.3, §3.4)."""

FOLDERS = re.compile(r"(?<![\w:/.])/(?:[^/\s\"']+/)+")
"""The folders of a file's path, from the root on: where things are is the operator's business."""

LONGEST_SHOWN = 100
"""How many characters of what a client sent are repeated to it and to the log."""

LONGEST_LOGGED = 500
"""How many characters of a request's path, and of its query, stand in the log."""


def shown(given: str) -> str:
    """Repeat in a sentence what a client sent: on one line, without control codes, and not long."""
    quoted = quote(given[: LONGEST_SHOWN + 1], safe=URL_SAFE)
    return quoted if len(quoted) <= LONGEST_SHOWN else f"{quoted[:LONGEST_SHOWN]}…"


def repeated(sentence: str) -> str:
    """Repeat a sentence of DuckDB's: without control codes, and not long."""
    begun = on_one_line(sentence[: 3 * LONGEST_SHOWN])
    return begun if len(sentence) <= 3 * LONGEST_SHOWN else f"{begun}…"


def logged(quoted: str, separator: str) -> str:
    """Shorten what a client sent for the log, which looks through every character of it.

    Args:
        quoted: A path or a query.
        separator: What stands between its parts. The one that is too much is left out whole: half
            a secret would not be known as one.
    """
    if len(quoted) <= LONGEST_LOGGED:
        return quoted
    whole, found, _ = quoted[:LONGEST_LOGGED].rpartition(separator)
    return f"{whole}{found}…"


def counted(number: float, noun: str) -> str:
    """Say how many there are of something, such as `1 user` and `2 users`."""
    return f"{number:.15g} {noun}" if number == 1 else f"{number:.15g} {noun}s"


def public(sentence: str) -> str:
    """Say to everybody what is written for the operator: files by their names alone."""
    return FOLDERS.sub("", sentence)

"""Whatever a client sends, reading it takes no more than in proportion to its length.

All is read on the event loop, where everybody else waits meanwhile. Time is that of the processor
in this thread, so other work on the machine does not count.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from functools import partial
from itertools import product

import pytest
from litestar.config.cors import CORSConfig
from litestar.exceptions import HTTPException

from api.accepted import choose, read_accept
from api.asking import Window
from api.auth.basic import read_basic
from api.auth.bearer import CREDENTIALS
from api.auth.oauth import granted
from api.dialect.parsing import parse
from api.dialect.values import read_decimal, read_value
from api.gate import wrong_with
from api.hosts import Hosts
from api.negotiation import choose_coding, is_current
from api.parameters import IN_BRACKETS, nearest
from api.preferences import read_preferences
from api.protocol import refusal_of
from api.quoting import logged, shown
from api.request_ids import request_id
from api.wanted import PROVIDED
from publication import Column
from telemetry.cleaning import clean
from telemetry.tracing import Trace

SIZE = 4_000
"""Characters of the shorter text; the longer one has four times as many."""

MOST = 8
"""How many times as long the longer one may take: in proportion it is 4, quadratic 16."""

UNSEEN = 0.004
"""Seconds that are too short to be measured; what grows quadratically takes a hundred times as
long."""


PLAIN = 0.5
"""Seconds that need not be measured twice."""


class Asking:
    """A request, as far as a parser looks at it."""

    def __init__(self, **headers):
        self.headers = headers


def column(kind):
    return Column(name="c", type=kind, nullable=True, description="")


def gate(**said):
    scope = {"raw_path": b"/", "path": "/", "query_string": b"", "headers": []}
    wrong_with({**scope, **said})


PARSERS = {
    "Prefer": read_preferences.__wrapped__,
    "Accept": lambda text: choose(read_accept(text), PROVIDED),
    "Accept-Encoding": lambda text: choose_coding(text, 1 << 20),
    "If-None-Match": lambda text: is_current(text.encode(), b'"a"'),
    "Range": lambda text: Window().of(text),
    "Host": lambda text: Hosts(None, ["a"])._is_known(text.encode()),
    "Origin": CORSConfig(allow_origins=["https://*.example", "https://a"]).is_origin_allowed,
    "Authorization": lambda text: CREDENTIALS.fullmatch(b"bearer " + text.encode()),
    "Basic": lambda text: read_basic(Asking(authorization=f"basic {text}")),
    "X-Request-ID": lambda text: request_id(text.encode()),
    "traceparent": Trace.parse,
    "target": lambda text: refusal_of("1.1", text.encode(), [b"a"]),
    "path": lambda text: gate(raw_path=text.encode()),
    "query": lambda text: gate(query_string=text.encode()),
    "fields": lambda text: gate(headers=[(b"prefer", text.encode())]),
    "brackets": lambda text: IN_BRACKETS.sub(b"", text.encode()),
    "nearest": lambda text: nearest(text, ("channels", "page_size")),
    "scope": lambda text: granted({"scope": text}, frozenset({"a"})),
    "shown": shown,
    "logged": lambda text: clean(logged(text, "&")),
    "filter": lambda text: parse([(text, "eq.1")]),
    "is": lambda text: parse([("a", f"is.{text}")]),
    "operator": lambda text: parse([("a", text)]),
    **{
        name: lambda text, name=name: parse([(name, text)])
        for name in ("select", "order", "limit", "offset", "and", "not.or")
    },
    "in": lambda text: parse([("a", f"in.({text})")]),
    "in a tree": lambda text: parse([("and", f"(a.in.({text}))")]),
    "value in a tree": lambda text: parse([("or", f"(a.eq.{text})")]),
    "alias": lambda text: parse([("select", f"{text}:a")]),
    "cast": lambda text: parse([("select", f"a::{text}")]),
    "call": lambda text: parse([("select", f"sum({text})")]),
    **{
        kind: partial(read_value, column(kind))
        for kind in ("DOUBLE", "FLOAT", "BIGINT", "BOOLEAN", "DATE", "TIME", "BLOB", "VARCHAR")
    },
    "DECIMAL": partial(read_decimal, column("DECIMAL(38,10)")),
}

BEGINNINGS = ("", "a", "1", '"', "(", "a(", "a:", "-", "\\x", "//", "%")
PUMPS = (
    *(" ", "\t", "a", "1", "0", '"', "\\", ",", "(", ")", ".", ":", ";", "-", "/", "%", "&", "["),
    *(
        "a,",
        "a.",
        "a ",
        " ,",
        "1.",
        '""',
        '","',
        "\\x",
        "a:",
        "::",
        "()",
        "((",
        "%41",
        "a=b&",
        "=;",
    ),
    *("and(", "in.(", "not.", "a.eq.1,", "é", "q=0,", "a;q=0.1,", "{", "{}", "->", "token=", "://"),
)
ENDS = ("", "x", '"', ")", "\x00", "=", " x", "e", ";")
CASES = tuple(product(BEGINNINGS, PUMPS, ENDS))

KNOWN = [
    ("a", " ", "b"),  # Prefer took 14.5 s with 100,000 blanks
    ("", "1", "x"),  # a number took 54 s with 32,000 digits
]


def seconds(parser, text):
    """Seconds of the processor's that a parser takes: the least of some."""
    taken = []
    for _ in range(3):
        begun = time.thread_time()
        with suppress(HTTPException, ValueError):
            parser(text)
        taken.append(time.thread_time() - begun)
        if not UNSEEN < taken[-1] < PLAIN:
            break
    return min(taken)


def too_slow(parser, case):
    """Tell by how much more a text takes that is four times as long, if that is too much."""
    beginning, pump, end = case
    short, long = (beginning + pump * (size // len(pump)) + end for size in (SIZE, 4 * SIZE))
    if (taken := seconds(parser, long)) < UNSEEN:
        return None
    grown = taken / max(seconds(parser, short), 1e-6)
    return grown if grown > MOST else None


def all_too_slow(parser, cases):
    found = {case: grown for case in cases if (grown := too_slow(parser, case))}
    return {case: grown for case in found if (grown := too_slow(parser, case))}


@pytest.mark.parametrize("name", PARSERS)
def test_reading_takes_no_more_than_in_proportion(name):
    some = random.Random(name).sample(CASES, 60)  # noqa: S311 -- the same cases each time
    assert all_too_slow(PARSERS[name], [*KNOWN, *some]) == {}


@pytest.mark.soak
@pytest.mark.parametrize("name", PARSERS)
def test_reading_anything_takes_no_more_than_in_proportion(name):
    assert all_too_slow(PARSERS[name], CASES) == {}


def test_what_is_quadratic_is_found():
    def quadratic(text):
        for begin in range(0, len(text), 40):
            list(text[begin:])

    assert too_slow(quadratic, ("", "a", "")) > MOST

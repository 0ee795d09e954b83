"""What schemathesis loads before it asks: what any request may say, who may sign in, a count."""

import atexit
import json
import os
import threading
from collections import Counter, defaultdict
from pathlib import Path

import schemathesis
from hypothesis import strategies as st
from schemathesis.core import NOT_SET
from schemathesis.generation.meta import TestPhase

COUNTS = Path(os.environ["FUZZED_COUNTS"])
NAME, PASSWORD = json.loads(os.environ["FUZZED_USER"])

# What HTTP itself describes and no document repeats. An operation without parameters would have
# one case otherwise.
OF_HTTP = st.fixed_dictionaries(
    {},
    optional={
        "Accept": st.sampled_from(
            [
                *("*/*", "application/json", "text/csv;q=0.5, */*;q=0.1", "text/*", "", "x"),
                *("application/openmetrics-text; version=1.0.0", "a/b;q=2"),
            ]
        ),
        "Accept-Encoding": st.lists(
            # Not zstd, which the client of schemathesis cannot decode.
            st.sampled_from(
                ["gzip", "br", "identity;q=0", "*;q=0", "zstd;q=0, *", "gzip;q=x", ","]
            ),
            max_size=3,
        ).map(", ".join),
        "Accept-Language": st.sampled_from(["fr", "de, en;q=0.1", "*"]),
        "Cache-Control": st.sampled_from(["no-cache", "max-age=0", "only-if-cached"]),
        "If-Modified-Since": st.sampled_from(["Sat, 01 Jan 2000 00:00:00 GMT", "yesterday", "0"]),
        "Prefer": st.sampled_from(["count=exact", "count=planned", "return=minimal"]),
        "Range": st.sampled_from(["0-9", "5-", "bytes=0-1", "9-0"]),
        "Origin": st.sampled_from(["https://pages.example", "null", "https://evil.example"]),
        "X-Request-ID": st.text('abcXYZ019-_.: "=', max_size=40).map(str.strip),
        "X-Forwarded-For": st.sampled_from(["192.0.2.1", "x, y", "127.0.0.1"]),
        "traceparent": st.text("0123456789abcdef-", max_size=60),
    },
)

# Nobody guesses a password: without these no case would ever get a token, nor follow a link of one.
OF_USER = {"grant_type": "password", "username": NAME, "password": PASSWORD}
OF_PROGRAM = {"grant_type": "client_credentials", "client_id": NAME, "client_secret": PASSWORD}
GRANTS = st.sampled_from([OF_USER, OF_PROGRAM, {**OF_USER, "scope": "marketing:read"}])

# A made-up text is hardly ever a condition. No `select`: with it the rows have other columns.
QUESTIONS = st.fixed_dictionaries(
    {},
    optional={
        "order": st.sampled_from(["week_start.desc", "week_start", "month_start.asc.nullslast"]),
        "limit": st.integers(0, 30),
        "offset": st.integers(0, 400),
        "publication": st.integers(1, 3),
        "since": st.integers(1, 2),
        "week_start": st.sampled_from(["gte.2020-01-01", "is.null", "in.(2024-12-30,2025-01-06)"]),
        "month_start": st.sampled_from(["gte.2020-01-01", "not.is.null", "lt.2025-06-01"]),
        "date_relance": st.sampled_from(["gte.0", "not.eq.7", "is.null"]),
        "channel": st.sampled_from(["eq.tv", "like.t*", "not.in.(tv,facebook)"]),
        "or": st.sampled_from(["(week_start.gt.2021-01-04,week_start.is.null)", "(x.eq.1)"]),
    },
)

MARTS = st.sampled_from(
    ["lead_event_counts_weekly", "lead_event_counts_monthly.csv", "marketing_conversions.json"]
)

_lock = threading.Lock()
_counts: dict[str, Counter[str]] = defaultdict(Counter)
_asked: dict[str, set[int]] = defaultdict(set)


def is_not_written_as_whole(case):
    """Whether no parameter is a list of one whole number, which is written as that number is.

    Where a number is wanted it is no wrong one then, though it was made up as one; 0.0 is whole to
    JSON Schema, too.
    """
    lists = [one for one in (case.query or {}).values() if isinstance(one, list) and len(one) == 1]
    return not any(isinstance(one, float) and one.is_integer() for (one,) in lists)


@schemathesis.hook
def before_generate_case(context, strategy):
    @st.composite
    def completed(draw):
        case = draw(strategy.filter(is_not_written_as_whole))
        form = case.method == "POST" and isinstance(case.body, dict)
        if form and "refresh_token" not in case.body and draw(st.integers(0, 3)) == 0:
            case.body = draw(GRANTS)
        # What a link says stays as it is.
        made_up = case.meta.phase.name is TestPhase.FUZZING
        if made_up and case.path.startswith("/api/v1/marts/") and draw(st.booleans()):
            known = {parameter.name for parameter in context.operation.query}
            case.query = {name: one for name, one in draw(QUESTIONS).items() if name in known}
            if "mart" in case.path_parameters:
                case.path_parameters["mart"] = draw(MARTS)
            for name in ("Range", "Prefer", "Accept-Profile"):
                case.headers.pop(name, None)
        for name, value in draw(OF_HTTP).items():
            case.headers.setdefault(name, value)
        return case

    return completed()


@schemathesis.hook
def after_call(context, case, response):
    # Neither what a check asks besides, nor methods that are not described.
    if case.meta is None or case.method.upper() != context.operation.method.upper():
        return
    asked = response.request
    body = None if case.body is NOT_SET else asked.body
    one = hash((asked.url, tuple(sorted(asked.headers.items())), body))
    with _lock:
        counted = _counts[context.operation.label]
        counted["cases"] += 1
        counted[case.meta.generation.mode.value] += 1
        counted[case.meta.phase.name.value] += 1
        counted[str(response.status_code)] += 1
        _asked[context.operation.label].add(one)


@atexit.register
def write():
    for label, asked in _asked.items():
        _counts[label]["different"] = len(asked)
    COUNTS.write_text(json.dumps(_counts))

"""A mart with a column of every type that may be published, and what Python has for each cell."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import inf, nan
from typing import Any
from uuid import UUID

GREATEST = 10**38 - 1

TEXTS = {
    """'a,"b"'""": 'a,"b"',
    r"E'line\r\nbreak\ttab'": "line\r\nbreak\ttab",
    "''": "",
    "'é漢🎉'": "é漢🎉",
    "'null'": "null",
    "'NaN, Infinity'": "NaN, Infinity",
    "' spaces '": " spaces ",
    "chr(8238) || 'x' || chr(0)": "\u202ex\0",
}
REALS = {
    "'0.1'": 0.1,
    "'1e300'": 1e300,
    "'5e-324'": 5e-324,
    "'-0.0'": -0.0,
    "'nan'": nan,
    "'inf'": inf,
    "'-inf'": -inf,
    "123456789": 123456789.0,
}
BEYOND_REAL = {"'1e300'", "'5e-324'"}
MOMENTS = {
    "'2024-02-29 12:34:56'": datetime(2024, 2, 29, 12, 34, 56),  # noqa: DTZ001 -- it has no zone
    "'0001-01-01 00:00:00'": datetime(1, 1, 1),  # noqa: DTZ001
    "'9999-12-31 23:59:59'": datetime(9999, 12, 31, 23, 59, 59),  # noqa: DTZ001
}
FINE = {"'1969-12-31 00:00:00.5'": datetime(1969, 12, 31, 0, 0, 0, 500_000)}  # noqa: DTZ001

SAMPLES: dict[str, dict[str, Any]] = {
    **{
        name: {str(2**bits - 1): 2**bits - 1, str(-(2**bits)): -(2**bits)}
        for name, bits in (("TINYINT", 7), ("SMALLINT", 15), ("INTEGER", 31), ("BIGINT", 63))
    },
    **{
        name: {"0": 0, str(2**bits - 1): 2**bits - 1}
        for name, bits in (("UTINYINT", 8), ("USMALLINT", 16), ("UINTEGER", 32), ("UBIGINT", 64))
    },
    "HUGEINT": {str(GREATEST): GREATEST, f"'-{GREATEST}'": -GREATEST},
    "UHUGEINT": {f"'{GREATEST}'": GREATEST, str(2**64): 2**64},
    "FLOAT": {sql: value for sql, value in REALS.items() if sql not in BEYOND_REAL}
    | {"'4957.02'": 4957.02, "'3.4028235e38'": 3.4028235e38, "123456789": 123456790.0},
    "DOUBLE": REALS,
    "DECIMAL(4,2)": {"-0.5": Decimal("-0.5"), "99.99": Decimal("99.99")},
    "DECIMAL(18,4)": {"'99999999999999.9999'": Decimal("99999999999999.9999")},
    "DECIMAL(38,37)": {
        f"'1.{'1' * 37}'": Decimal(f"1.{'1' * 37}"),
        f"'-.{'0' * 36}1'": Decimal(f"-0.{'0' * 36}1"),
    },
    "BOOLEAN": {"true": True, "false": False},
    "VARCHAR": TEXTS,
    "ENUM('low', 'hi''gh', 'a, b')": {"'low'": "low", "'hi''gh'": "hi'gh", "'a, b'": "a, b"},
    "UUID": {
        "'36705c10-df6c-48aa-a67e-76022dbae570'": UUID("36705c10-df6c-48aa-a67e-76022dbae570")
    },
    "BLOB": {r"'\x00\xFF'": b"\x00\xff", "''": b"", "'NaN'": b"NaN"},
    "DATE": {
        "'2024-02-29'": date(2024, 2, 29),
        "'0001-01-01'": date(1, 1, 1),
        "'9999-12-31'": date(9999, 12, 31),
    },
    "TIME": {
        "'12:34:56'": time(12, 34, 56),
        "'23:59:59.999999'": time(23, 59, 59, 999_999),
        "'00:00'": time(),
    },
    "TIMESTAMP": MOMENTS | FINE,
    "TIMESTAMP_S": MOMENTS,
    "TIMESTAMP_MS": MOMENTS | FINE,
    "TIMESTAMP_NS": {"'2024-02-29 12:34:56.123456789'": 1_709_210_096_123_456_789},
    "TIMESTAMP WITH TIME ZONE": {
        "'2024-02-29 12:34:56.789+02:30'": datetime(2024, 2, 29, 10, 4, 56, 789_000, UTC),
        "'9999-12-31 23:59:59+00'": datetime(9999, 12, 31, 23, 59, 59, 0, UTC),
    },
    "INTERVAL": {
        "'1 month 2 days 3.5 seconds'": "1 month 2 days 00:00:03.5",
        "'-1 day'": "-1 day",
        "'30 days'": "30 days",
    },
    "INTEGER[]": {"[1, null]": [1, None], "[]": []},
    "DOUBLE[]": {"['nan', '-inf', '0.1', null, '-0.0']": [nan, -inf, 0.1, None, -0.0], "[]": []},
    "FLOAT[]": {"['nan', '-inf', '0.1', null, '-0.0']": [nan, -inf, 0.1, None, -0.0], "[]": []},
    "VARCHAR[][]": {"""[['a', null, 'b"'], null, []]""": [["a", None, 'b"'], None, []]},
    "UHUGEINT[]": {f"['{GREATEST}', '1']": [GREATEST, 1]},
    "BLOB[]": {r"['\x00\xFF', null]": [b"\x00\xff", None]},
    "TIMESTAMP[]": {"['2024-02-29 12:34:56', null]": [MOMENTS["'2024-02-29 12:34:56'"], None]},
    "TIMESTAMP WITH TIME ZONE[]": {
        "['2024-02-29 12:34:56+02']": [datetime(2024, 2, 29, 10, 34, 56, 0, UTC)]
    },
    "INTERVAL[]": {"['1 day', null]": ["1 day", None]},
    "DECIMAL(38,20)[]": {"['0.12345678901234567891']": [Decimal("0.12345678901234567891")]},
    "ENUM('a', 'b')[]": {"['b', null]": ["b", None]},
    'STRUCT(a DOUBLE, "b c" DECIMAL(38,20), added INTERVAL, NaN VARCHAR)': {
        "{'a': 'inf', 'b c': '0.12345678901234567891', 'added': '1 day', 'NaN': 'Infinity'}": {
            "a": inf,
            "b c": Decimal("0.12345678901234567891"),
            "added": "1 day",
            "NaN": "Infinity",
        },
        "{'a': null, 'b c': null, 'added': null, 'NaN': null}": {
            "a": None,
            "b c": None,
            "added": None,
            "NaN": None,
        },
    },
    "STRUCT(f FLOAT, l FLOAT[])": {
        "{'f': '535.41', 'l': ['1e-45', null]}": {"f": 535.41, "l": [1e-45, None]},
        "{'f': 'nan', 'l': null}": {"f": nan, "l": None},
    },
    "STRUCT(d DATE, l STRUCT(i BLOB[])[])": {
        r"{'d': '2024-02-29', 'l': [{'i': ['\x00', null]}, null, {'i': null}]}": {
            "d": date(2024, 2, 29),
            "l": [{"i": [b"\0", None]}, None, {"i": None}],
        }
    },
    "MAP(VARCHAR, INTEGER)": {"map {'a': 1, '': null}": {"a": 1, "": None}, "map {}": {}},
    "MAP(VARCHAR, FLOAT)": {"map {'a': '4957.02', 'b': 'inf'}": {"a": 4957.02, "b": inf}},
    "MAP(VARCHAR, DOUBLE[])": {"map {'a\"b': ['nan'], 'c': null}": {'a"b': [nan], "c": None}},
}
"""By the type: SQL of a value, and the value. An interval is its text."""

TYPES = {"n": "BIGINT"} | {f"c{place}": kind for place, kind in enumerate(SAMPLES)}
"""The mart's columns. The first is its grain."""


def rows() -> list[dict[str, Any]]:
    """The rows, one for each sample of the type that has most; the last of nulls."""
    most = max(map(len, SAMPLES.values()))
    samples = [list(one.values()) for one in SAMPLES.values()]
    return [
        {"n": n} | {f"c{c}": dict(enumerate(one)).get(n) for c, one in enumerate(samples)}
        for n in range(most + 1)
    ]


def sql() -> str:
    """The mart as a query."""
    columns = []
    for place, (kind, samples) in enumerate(SAMPLES.items()):
        cases = " ".join(f"when {n} then cast({text} as {kind})" for n, text in enumerate(samples))
        columns.append(f"cast(case n {cases} end as {kind}) as c{place}")
    return f"select n, {', '.join(columns)} from range({len(rows())}) as numbers(n)"

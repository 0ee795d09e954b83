"""Equal content has an equal digest, however it was written; any changed value has another."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from publication import Column, Mart
from publication.connection import MartFile
from publication.digest import content_digest, mart_digest

TYPES = {
    "id": "BIGINT",
    "whole": "BIGINT",
    "real": "DOUBLE",
    "text": "VARCHAR",
    "day": "DATE",
    "moment": "TIMESTAMP WITH TIME ZONE",
    "money": "DECIMAL(18,3)",
    "bytes": "BLOB",
    "list": "DOUBLE[]",
}
MART = Mart(
    name="mart",
    description="One mart.",
    grain=("id",),
    scope=None,
    columns=tuple(
        Column(name=name, type=type_, nullable=True, description="A column.")
        for name, type_ in TYPES.items()
    ),
    tests=(),
    rows=0,
)
REALS = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, math.nan])
VALUES = {
    "whole": st.integers(-(2**63), 2**63 - 1),
    "real": REALS,
    "text": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
    | st.sampled_from(["null", "NaN", '","', "\n", "é", "é"]),
    "day": st.dates(),
    "moment": st.datetimes(
        datetime(1900, 1, 1),  # noqa: DTZ001 the bounds have to be without a zone
        datetime(2200, 1, 1),  # noqa: DTZ001
        timezones=st.just(UTC),
    ),
    "money": st.decimals(-(10**12), 10**12, places=3),
    "bytes": st.binary(max_size=6),
    "list": st.lists(st.none() | REALS, max_size=3),
}
ROWS = st.lists(
    st.tuples(*(st.none() | values for values in VALUES.values())), min_size=1, max_size=8
)
COLUMNS = list(VALUES)


CONNECTION = duckdb.connect(config={"threads": 4})
CONNECTION.execute("set global timezone = 'UTC'")


def digest(rows, *, threads=1, mart=MART):
    """Write rows (with their own ids) into a fresh table and digest them."""
    columns = ", ".join(f'"{name}" {type_}' for name, type_ in TYPES.items())
    places = ", ".join("?" for _ in TYPES)
    CONNECTION.execute(f"set threads = {threads}; create or replace table mart ({columns})")
    for row in rows:
        CONNECTION.execute(f"insert into mart values ({places})", row)
    return digest_of(CONNECTION, msgspec.structs.replace(mart, rows=len(rows)))


def digest_of(connection, mart):
    return mart_digest(MartFile.of(connection), mart)


def numbered(rows):
    return [(number, *row) for number, row in enumerate(rows)]


@settings(max_examples=40, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_and_the_threads_do_not_matter(rows, random):
    rows = numbered(rows)
    shuffled = random.sample(rows, len(rows))
    assert digest(rows) == digest(shuffled, threads=4)


@settings(max_examples=80, deadline=None)
@given(ROWS, st.data())
def test_any_changed_value_matters(rows, data):
    rows = numbered(rows)
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.sampled_from(COLUMNS))
    value = data.draw(st.none() | VALUES[column])
    position = list(TYPES).index(column)
    assume(repr(value) != repr(rows[row][position]))
    changed = [list(each) for each in rows]
    changed[row][position] = value
    assert digest(rows) != digest(changed)


def test_rows_that_are_missing_or_more_matter():
    rows = numbered([(1, 1.0, "a", date(2024, 1, 1), None, Decimal(1), b"", [])] * 3)
    assert len({digest(rows), digest(rows[:2]), digest([]), digest(rows[1:])}) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"grain": ("id", "whole")},
        {"columns": MART.columns[:-1]},
        {"columns": (*MART.columns[:-1], msgspec.structs.replace(MART.columns[-1], type="JSON"))},
    ],
)
def test_the_schema_matters(change):
    rows = numbered([(1, 1.0, "a", date(2024, 1, 1), None, Decimal(1), b"", [])])
    with duckdb.connect() as connection:
        connection.execute("create table mart as select 1 as id")
        connection.execute("create table other as select 1 as id")
        for name, type_ in list(TYPES.items())[1:]:
            connection.execute(f"alter table mart add column {name} {type_}")
            connection.execute(f"alter table other add column {name} {type_}")
        before = digest_of(connection, MART)
        assert digest_of(connection, msgspec.structs.replace(MART, **change)) != before
    assert digest(rows) == digest(rows)


def test_the_spelling_of_a_json_text_matters():
    mart = msgspec.structs.replace(
        MART,
        columns=(
            MART.columns[0],
            Column(name="document", type="JSON", nullable=True, description="A column."),
        ),
    )
    seen = set()
    for document in ("[1.0]", "[1.00]", "[ 1.0]", '"[1.0]"'):
        CONNECTION.execute(
            "create or replace table mart as select 1 as id, ?::json as document", [document]
        )
        seen.add(digest_of(CONNECTION, mart))
    assert len(seen) == 4


def test_descriptions_and_tests_do_not_matter():
    rows = numbered([(1, 1.0, "a", date(2024, 1, 1), None, Decimal(1), b"", [])])
    assert digest(rows) == digest(
        rows, mart=msgspec.structs.replace(MART, description="x", scope="open")
    )


def test_names_with_quotes_are_read_as_they_are():
    column = Column(name='a "b"', type="INTEGER", nullable=False, description="A column.")
    mart = msgspec.structs.replace(
        MART, name="o'cl\"ock", grain=('a "b"',), columns=(column,), rows=1
    )
    with duckdb.connect() as connection:
        connection.execute("""create table "o'cl""ock" as select 1 as "a ""b\"\"\" """)
        assert digest_of(connection, mart).startswith("sha256:")


def test_the_rule_is_the_one_that_is_documented():
    """Made here as docs say it, of values whose JSON Python writes alike, over several batches."""
    columns = (("id", "BIGINT"), ("text", "VARCHAR"), ("real", "DOUBLE"))
    mart = msgspec.structs.replace(
        MART,
        columns=tuple(
            Column(name=name, type=type_, nullable=True, description="A column.")
            for name, type_ in columns
        ),
        rows=300_000,
        sorted=True,
    )
    rows = [[n, None if n % 7 == 0 else f'é "{n}"\n', n / 4] for n in range(mart.rows)]
    head = {"mart": "mart", "grain": ["id"], "columns": columns, "rows": mart.rows}
    lines = [json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in [head, *rows]]
    expected = hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
    made = (
        "create or replace table mart as select n as id, "
        "case when n % 7 > 0 then 'é \"' || n || '\"' || chr(10) end as text, n / 4 as real "
        f"from range({mart.rows}) r(n)"
    )
    CONNECTION.execute(f"set threads = 4; {made}")
    assert digest_of(CONNECTION, mart) == f"sha256:{expected}"
    CONNECTION.execute(f"{made} order by hash(n)")
    assert digest_of(CONNECTION, msgspec.structs.replace(mart, sorted=False)) == (
        f"sha256:{expected}"
    )
    other = msgspec.structs.replace(mart, name="a", digest="sha256:00")
    marts = [msgspec.structs.replace(mart, digest=f"sha256:{expected}"), other]
    whole = f'["a","sha256:00"]\n["mart","sha256:{expected}"]\n'
    assert content_digest(marts) == f"sha256:{hashlib.sha256(whole.encode()).hexdigest()}"
    assert content_digest(marts[::-1]) == content_digest(marts)


def test_a_known_content_keeps_its_digest():
    """Another digest for the same rows would make every ETag in the world stale: see why first."""
    rows = [
        (1, -7, 0.1, 'é"\n', date(2024, 2, 29), datetime(2024, 1, 1, 12, 30, 0, 123456, UTC),
         Decimal("1.100"), b"\x00a\\", [1e300, math.nan, -0.0, None]),
        (0, None, math.inf, "", None, None, None, None, None),
    ]  # fmt: skip
    assert digest(rows) == (
        "sha256:d669e9759dc2bce39d5137bc6f9677e2da887ef18a7907d4cffb09fa167dc027"
    )

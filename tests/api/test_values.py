"""What filters find and sums give, against what PostgreSQL's rules say, on every type of number."""

import asyncio
import gc
import json
import random
from contextlib import ExitStack, suppress
from decimal import Decimal
from fractions import Fraction

import duckdb
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from api.asking import EVERYTHING, Asked
from api.dialect.parsing import parse
from api.dialect.question import Refused
from api.dialect.values import ADVICE

BITS = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64, "hugeint": 128}

LIMITS = {kind: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for kind, bits in BITS.items()}
LIMITS |= {f"u{kind}": (0, 2**bits - 1) for kind, bits in BITS.items()}

PUBLISHED = 10**38 - 1
"""A mart holds no whole number that is larger than this, or less than its opposite."""

WITHIN = {
    kind: (max(least, -PUBLISHED), min(most, PUBLISHED)) for kind, (least, most) in LIMITS.items()
}

COLUMNS = {
    "money": ("decimal(10, 2)", "2.48", "-3"),
    "wide": ("decimal(38, 18)", "12345678901234567890.123456789012345678", "0"),
    "f": ("float", "0.1", "-0.1"),
    "d": ("double", "0.5", "nan"),
    "day": ("date", "9999-12-31", "2020-01-01"),
    "at": ("timestamp", "9999-12-31 23:59:59.999999", "2020-01-01 12:00"),
    "atz": ("timestamptz", "0001-01-01", "2020-01-01"),
    "ns": ("timestamp_ns", "2020-01-01 00:00:00.123456789", "2262-01-01"),
    "clock": ("time", "12:00:00.123456", "00:00:00"),
    "s": ("timestamp_s", "2020-01-01 00:00:01", "1970-01-01"),
    "b": ("boolean", "true", "false"),
    "bytes": ("blob", "AB\\x00", ""),
    "id2": ("uuid", f"{'0' * 8}-0000-0000-0000-{10:012x}", f"{'1' * 8}-0000-0000-0000-{10:012x}"),
    "a name": ("varchar", "a(b", "tv "),
    "a-b": ("varchar", "x", ""),
    "a.b": ("varchar", "y", ""),
    "odd": ("varchar", '(, "', ""),
    "format": ("varchar", "csv", "json"),
}
"""The types of a mart's columns, and what they hold; in a third row all are null."""


def table(columns):
    """SQL of a mart: an id that counts up from 1, and these columns."""
    count = len(next(iter(columns.values()))) - 1
    rows = (
        ", ".join([str(row), *(f"'{values[row]}'::{values[0]}" for values in columns.values())])
        for row in range(1, count + 1)
    )
    names = ", ".join(f'"{name}"' for name in columns)
    return f"select * from (values {', '.join(f'({row})' for row in rows)}) v(id, {names})"


WHOLE = table({f"n_{kind}": (kind, least, 2, most) for kind, (least, most) in WITHIN.items()})
OTHERS = f"{table(COLUMNS)} union all select 3{', null' * len(COLUMNS)}"


@pytest.fixture(scope="module")
def publish(tmp_path_factory, make_publication, open_current):
    """Publishes marts made of SQL, and asks them without a server: rows, or objects of JSON."""
    with asyncio.Runner() as runner, ExitStack() as stack:

        def publish(marts):
            folder = tmp_path_factory.mktemp("values")
            make_publication(folder, [], more=marts)
            opened = open_current(folder)
            publication = runner.run(opened.__aenter__())
            stack.callback(lambda: runner.run(opened.__aexit__(None, None, None)))

            async def answer(mart, pairs, *, objects):
                asked = Asked(publication, publication.marts[mart], parse(pairs))
                with publication.work() as work:
                    if not objects:
                        return await asked.rows(work, EVERYTHING)
                    return (await asked.array(work, EVERYTHING, 10**6)).body.decode()

            return lambda mart, *pairs, objects=False: runner.run(
                answer(mart, pairs, objects=objects)
            )

        yield publish


@pytest.fixture(scope="module")
def find(publish):
    """The ids of what a query finds in one of two marts."""
    ask = publish({"whole": WHOLE, "others": OTHERS})
    return lambda mart, *pairs: [id_ for (id_,) in ask(mart, ("select", "id"), *pairs)]


@pytest.mark.parametrize("kind", LIMITS)
def test_whole_numbers_are_not_rounded(find, kind):
    least, most = LIMITS[kind]
    column = f"n_{kind}"

    def found(text):
        return find("whole", (column, text))

    smallest, largest = WITHIN[kind]
    assert [found(f"eq.{one}") for one in (smallest, 2, largest)] == [[1], [2], [3]]
    assert found(f"in.( 2 , {largest})") == [2, 3]
    assert found(f"gt.{largest - 1}") == [3]
    assert found(f"gt.{most}") == found(f"lt.{least}") == []
    assert [found(text) for text in ("eq. 2", "eq.+2", "eq. 2 ", "eq.002")] == [[2]] * 4
    for text in ("1.5", "2.0", "2e0", "0x2", "2_0", "", " ", "+", "٢", "--2", "nan"):
        with pytest.raises(Refused, match=f"{column} is {kind.upper()}, and .* is none") as refused:
            found(f"eq.{text}")
        assert refused.value.code == "22P02"
    for outside in (most + 1, least - 1, "9" * 5000):
        with pytest.raises(Refused, match="is out of range") as refused:
            found(f"eq.{outside}")
        assert refused.value.code == "22003"


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        ("money", "eq.2.48", [1]),
        ("money", "eq.2.480", [1]),
        ("money", "eq. +248e-2 ", [1]),
        ("money", "eq.2.481", []),
        ("money", "not.eq.2.481", [1, 2]),
        ("money", "neq.2.481", [1, 2]),
        ("money", "not.neq.2.481", []),
        ("money", "gt.2.479", [1]),
        ("money", "gte.2.481", []),
        ("money", "lt.2.481", [1, 2]),
        ("money", "lte.2.479", [2]),
        ("money", "lt.1e30", [1, 2]),
        ("money", "not.lt.1e30", []),
        ("money", "gt.-1e30", [1, 2]),
        ("money", "lte.-1e30", []),
        ("money", "lt.Infinity", [1, 2]),
        ("money", "gt.-inf", [1, 2]),
        ("money", "lt.nan", [1, 2]),
        ("money", "eq.nan", []),
        ("money", "in.(2.481,-3)", [2]),
        ("money", "not.in.(2.481,-3)", [1]),
        ("money", "in.(2.481)", []),
        ("money", "not.in.(2.481)", [1, 2]),
        ("money", "not.in.()", [1, 2, 3]),
        ("money", f"lt.1e{'9' * 5}", [1, 2]),
        ("money", "gt.-1e-99999", [1]),
        ("wide", "eq.12345678901234567890.123456789012345678", [1]),
        ("wide", "eq.12345678901234567890.1234567890123456781", []),
        ("wide", "gt.12345678901234567890.1234567890123456779", [1]),
        ("f", "eq.0.1", [1]),
        ("d", "eq.NaN", [2]),
        ("d", "eq.0.50", [1]),
        ("d", "gt.1e300", [2]),
        ("d", "lt.infinity", [1]),
        ("day", "eq.infinity", []),
        ("day", "lt.infinity", [1, 2]),
        ("day", "eq.9999-12-31", [1]),
        ("day", "eq. 2020-01-01 ", [2]),
        ("at", "gt.infinity", []),
        ("at", "gt.-infinity", [1, 2]),
        ("at", "eq.9999-12-31T23:59:59.999999", [1]),
        ("at", "eq.2020-01-01T12:00:00", [2]),
        ("atz", "lte.-infinity", []),
        ("atz", "gt.-infinity", [1, 2]),
        ("atz", "eq.2020-01-01T01:00:00+01:00", [2]),
        ("ns", "eq.2020-01-01 00:00:00.123456789", [1]),
        ("ns", "eq.2020-01-01 00:00:00.123456788", []),
        ("ns", "in.(2020-01-01T00:00:00.123456789,2020-01-01 00:00:00.123456788)", [1]),
        ("clock", "eq.12:00:00.123456", [1]),
        ("clock", "lt.12:00:00.123456", [2]),
        ("s", "eq.2020-01-01T00:00:01", [1]),
        ("s", "eq.2020-01-01T00:00:01.4", []),
        ("b", "eq.yes", [1]),
        ("b", "eq. OFF ", [2]),
        ("b", "in.(1,fal)", [1, 2]),
        ("bytes", "eq.\\x414200", [1]),
        ("id2", "eq.{00000000-0000-0000-0000-00000000000A}", [1]),
        ("a name", "eq.a(b", [1]),
        ("a name", "in.(a(b, tv)", [1]),
        ("a name", "in.(x,tv )", [2]),
        ("and", "(a name.eq.a(b)", [1]),
        ("and", "( a name .eq.a(b,b.is.true)", [1]),
        ("and", '("a name".in.("a(b"))', [1]),
        ("or", "(a-b.eq.x, money.eq.-3)", [1, 2]),
        ("or", "(a name.eq.tv , id.eq.1)", [1, 2]),
        ("and", "( and ( id.in.( 1, 2, 3 ) , not.or ( b.is.true , b.is.null ) ) )", [2]),
        ("a-b", "eq.x", [1]),
        ('"a-b"', "eq.x", [1]),
        ('"a.b"', "eq.y", [1]),
        ("and", '("a.b".eq.y)', [1]),
        ("or", '(odd.eq."(, \\"",odd.eq."x"y)', [1]),
        ("odd", 'in.("(, \\"","x"y)', [1]),
        ("format", "eq.csv", [1]),
    ],
)
def test_what_a_filter_finds(find, column, text, expected):
    assert find("others", (column, text)) == expected


@pytest.mark.parametrize(
    ("column", "text", "code"),
    [
        ("money", "eq.many", "22P02"),
        ("money", "eq.1_0", "22P02"),
        ("money", "eq.1e999999", "22003"),
        ("d", "eq.1e400", "22003"),
        ("d", "eq.1e-400", "22003"),
        ("d", "eq.1_0", "22P02"),
        ("d", "eq.٣", "22P02"),
        ("f", "eq.1e39", "22003"),
        ("f", "eq.1e-60", "22003"),
        ("b", "eq.o", "22P02"),
        ("day", "eq.2020-02-30", "22P02"),
        ("at", "eq.noon", "22P02"),
        ("ns", "in.(2020-01-01,noon)", "22P02"),
        ("clock", "eq.2020-01-01", "22P02"),
    ],
)
def test_what_no_value_is(find, column, text, code):
    with pytest.raises(Refused, match=f"{column} is ") as refused:
        find("others", (column, text))
    assert refused.value.code == code


NUMBERS = st.one_of(
    st.decimals(-400, 400, places=4),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from([Decimal("99.99"), Decimal(100), Decimal("-99.99"), Decimal("-99.995")]),
)

COMPARE = {
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


HELD = [Decimal(n) / 100 for n in (-9999, -9998, -1, 0, 1, 100, 9998, 9999)]


@pytest.fixture(scope="module")
def cents(publish):
    """Asks a mart whose column is a DECIMAL(4, 2), with its largest numbers and a few others."""
    return publish({"cents": table({"n": ("decimal(4, 2)", *HELD)})})


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(number=NUMBERS, operator=st.sampled_from(list(COMPARE)), negated=st.booleans())
def test_decimals_are_compared_exactly(cents, number, operator, negated):
    """As Python compares them, whatever precision the number has."""
    assume(abs(number.adjusted()) < 100_000)
    found = cents("cents", ("select", "id"), ("n", f"{'not.' * negated}{operator}.{number}"))
    true = [n for n, one in enumerate(HELD, 1) if COMPARE[operator](one, number) != negated]
    assert [n for (n,) in found] == true


SUMS = {
    "nan": (["nan", "1"], "nan", "nan"),
    "inf": (["inf", "1", "-1e30"], "inf", "inf"),
    "minus_inf": (["-inf", "1"], "-inf", "-inf"),
    "both": (["inf", "-inf"], "nan", "nan"),
    "huge": (["1e300", "1"], "1e300", "5e299"),
    "large": (["1e20", "1e20", "2"], "2e20", "6.666666666666667e19"),
    "together_large": (["9e19", "9e19"], "1.8e20", "9e19"),
    "small": (["0.1", "0.2"], "0.3", "0.15"),
}


@pytest.fixture(scope="module")
def summed(publish):
    """Asks marts of some numbers each, with a null in the last row."""
    return publish(
        {
            f"{name}_{kind}": f"{table({'x': (kind, *numbers)})} union all select 99, null"
            for kind in ("double", "float")
            for name, (numbers, *_) in SUMS.items()
            if (name, kind) != ("huge", "float")
        }
    )


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("kind", ["double", "float"])
def test_sums_of_any_number(summed, name, kind):
    _, total, mean = SUMS[name]
    if (name, kind) == ("huge", "float"):
        return
    selected = ("select", "x.sum(),x.avg(),n:x.count()")
    ((found, middle, _),) = summed(f"{name}_{kind}", selected)
    exactness = 1e-6 if kind == "float" else 1e-15
    assert found == pytest.approx(float(total), rel=exactness, nan_ok=True)
    assert middle == pytest.approx(float(mean), rel=exactness, nan_ok=True)
    assert summed(f"{name}_{kind}", selected, ("id", "eq.99")) == [(None, None, 0)]
    text = summed(f"{name}_{kind}", ("select", "x.sum()"), objects=True)
    words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    shown = words.get(total)
    assert json.loads(text) == {"sum": shown or pytest.approx(float(total), rel=exactness)}


def test_sums_do_not_depend_on_the_order_of_rows(publish):
    chance = random.Random(5)  # noqa: S311 the same numbers each time, nothing secret
    numbers = [chance.uniform(-1, 1) * 10 ** chance.randrange(-6, 14) for _ in range(1500)]
    orders = [chance.sample(numbers, len(numbers)) for _ in range(3)]
    marts = {f"m{n}": table({"x": ("double", *order)}) for n, order in enumerate(orders)}
    ask = publish(marts)
    (found,) = {ask(mart, ("select", "x.sum()"))[0] for mart in marts}
    assert found[0] == pytest.approx(float(sum(map(Fraction, numbers))), rel=1e-12)


def test_sums_and_means_are_those_of_the_numbers_as_they_are_written(publish):
    """The double that is nearest to the exact sum of what the shortest texts say."""
    chance = random.Random(7)  # noqa: S311 the same numbers each time, nothing secret
    lists = {"invoice": [2259.87, 1087.93], "tenths": [0.1, 0.1, 0.1], "below": [-0.1, -0.2, 0.05]}
    for n in range(40):
        drawn = (chance.uniform(-5000, 5000) for _ in range(chance.randrange(1, 60)))
        lists[f"m{n}"] = [round(one, chance.randrange(10)) for one in drawn]
    ask = publish({name: table({"x": ("double", *map(repr, ns))}) for name, ns in lists.items()})
    for name, numbers in lists.items():
        exact = sum(Fraction(repr(number)) for number in numbers)
        found = ask(name, ("select", "x.sum(),x.avg()"))
        assert found == [(float(exact), float(exact / len(numbers)))], numbers


@pytest.mark.parametrize("kind", sorted(ADVICE.keys() - {"BOOLEAN", "ENUM"}))
def test_values_are_read_as_the_advice_says(kind):
    example = ADVICE[kind].rpartition(" as ")[2]
    assert duckdb.execute(f"select try_cast(? as {kind}) is not null", [example]).fetchone()[0]


@pytest.mark.parametrize(
    "query",
    [
        [("n_integer", "gte.2"), ("order", "n_bigint.desc"), ("limit", "3")],
        [("or", "(n_integer.is.null,and(id.gt.1,n_integer.in.(1,2)))")],
        [("id", "not.eq.1")],
    ],
)
def test_a_question_leaves_no_cycle(find, query):
    """Python looks for cycles now and then, and everybody waits meanwhile."""
    find("whole", *query)  # what is kept for the next question is no garbage
    gc.collect()
    gc.disable()
    try:
        find("whole", *query)
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "text",
    ["a:{}(", "a:{}", "sum({}", "sum({}x", "{}.x(", "x::{}", "a:sum( {}", 'sum("{}', 'sum("{}"('],
)
def test_blanks_are_read_in_no_time(text):
    """Quadratically read, these would take minutes; the whole suite notices that."""
    with suppress(Refused):
        parse([("select", text.format(" x " * 2 + " " * 60_000))])

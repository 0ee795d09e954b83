"""What must not be published is refused in one sentence, and nothing changes."""

from __future__ import annotations

import duckdb
import msgspec
import pytest

from publication import Column, DraftRejected
from publication.properties import QUERY_WORDS, check_properties

MONTHS = "create table months as select date '2024-01-01' as month_start, 1::bigint as leads"
WEEKLY = (
    "create table weekly as select date '2024-01-01' as week_start, '2024-W01' as semaine, "
    "1::bigint as leads"
)


@pytest.fixture
def refused(store, publish, draft, files):
    """Publish once, then something else, and return the sentence that refused it."""

    def refused(sql=MONTHS, *, marts=None, **changes):
        publish()
        pointer = (store.folder / "current.json").read_bytes()
        before = files(store)
        mart = msgspec.structs.replace(
            draft.marts[0],
            **{
                "name": "months",
                "grain": ("month_start",),
                "columns": (
                    Column(
                        name="month_start", type="date", nullable=False, description="A column."
                    ),
                    Column(name="leads", type="int8", nullable=True, description="A column."),
                ),
                **changes,
            },
        )
        with pytest.raises(DraftRejected) as refusal:
            publish(sql=sql, marts=(mart,) if marts is None else marts(mart))
        assert (store.folder / "current.json").read_bytes() == pointer
        assert files(store) == before
        store.verify(1)
        return str(refusal.value)

    return refused


def columns(*named):
    return tuple(
        Column(name=name, type=type_, nullable=True, description="A column.")
        for name, type_ in named
    )


def test_the_example_itself_is_published(publish, draft):
    mart = msgspec.structs.replace(
        draft.marts[0],
        name="months",
        grain=("month_start",),
        columns=columns(("month_start", "date"), ("leads", "bigint")),
    )
    assert publish(sql=MONTHS, marts=(mart,)).number == 1


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("create view v as from months", 'the view "main.v"'),
        ("create table t (a int)", 'the table "main.t"'),
        ("create schema s; create table s.t (a int)", 'the table "s.t"'),
        ("create sequence s", 'the sequence "main.s"'),
        ("create macro m(a) as a", 'the macro "main.m"'),
        ("create type t as enum ('a')", 'the type "main.t"'),
    ],
)
def test_nothing_but_marts(refused, more, what):
    assert f"holds {what}, which is no mart" in refused(f"{MONTHS}; {more}")


def test_a_schema_named_meta_is_ours(refused):
    assert "cannot be finished" in refused(f"{MONTHS}; create schema meta")


def test_a_mart_that_is_a_view(refused):
    assert "cannot be finished" in refused(MONTHS.replace("table", "view"))


def test_a_mart_that_is_missing(refused):
    assert 'Mart "months" is missing' in refused("select 1")


@pytest.mark.parametrize(
    "contracted",
    [
        columns(("leads", "bigint"), ("month_start", "date")),
        columns(("month_start", "date"), ("leads", "integer")),
        columns(("month_start", "date")),
        columns(("month_start", "date"), ("leads", "bigint"), ("more", "text")),
        columns(("month_start", "date"), ("Leads", "bigint")),
    ],
)
def test_columns_in_name_order_and_type(refused, contracted):
    sentence = refused(columns=contracted)
    assert 'Mart "months" has the columns month_start DATE, leads BIGINT, but' in sentence


@pytest.mark.parametrize("type_", ["", "nonsense", "date)); drop table months; select ((1"])
def test_a_type_that_is_none(refused, type_):
    sentence = refused(columns=columns(("month_start", "date"), ("leads", type_)))
    assert "is no type of DuckDB's" in sentence


@pytest.mark.parametrize(
    ("type_", "spelled", "nearest"),
    [
        ("bit", "BIT", "VARCHAR"),
        ("bignum", "BIGNUM", "VARCHAR"),
        ("json", "JSON", "VARCHAR"),
        ("union(a int)", "UNION(a INTEGER)", "VARCHAR"),
        ("variant", "VARIANT", "VARCHAR"),
        ("geometry", "GEOMETRY", "VARCHAR"),
        ("timetz", "TIME WITH TIME ZONE", "TIME"),
        ("time_ns", "TIME_NS", "TIME"),
        ("timestamptz_ns", "TIMESTAMPTZ_NS", "TIMESTAMP WITH TIME ZONE"),
        ("decimal(18, 18)", "DECIMAL(18,18)", "DECIMAL(19,18)"),
        ("decimal(38, 38)", "DECIMAL(38,38)", "DECIMAL(38,37)"),
        ("int[2]", "INTEGER[2]", "INTEGER[]"),
        ("map(int, bit)", "MAP(INTEGER, BIT)", "MAP(VARCHAR, VARCHAR)"),
        ("struct(a bit, b date)[]", "STRUCT(a BIT, b DATE)[]", "STRUCT(a VARCHAR, b DATE)[]"),
    ],
)
def test_a_type_that_not_every_format_writes_alike(store, draft, type_, spelled, nearest):
    mart = msgspec.structs.replace(
        draft.marts[0], columns=(*draft.marts[0].columns, *columns(("odd", type_)))
    )
    with pytest.raises(DraftRejected) as refusal:
        store.publish(store.stage("9d1f"), msgspec.structs.replace(draft, marts=(mart,)))
    assert str(refusal.value) == (
        f'Column "odd" of mart "weekly" is {spelled}, which JSON, CSV, Arrow and Parquet do not '
        f"write alike; cast it to {nearest}."
    )
    nearer = msgspec.structs.replace(mart, columns=(*mart.columns[:-1], *columns(("odd", nearest))))
    check_properties([nearer])


@pytest.mark.parametrize(
    ("type_", "given", "held"),
    [
        ("date", "'infinity'", "infinity"),
        ("date", "'0044-03-15 (BC)'", "0044-03-15 (BC)"),
        ("date", "'10000-01-01'", "10000-01-01"),
        ("timestamp", "'-infinity'", "-infinity"),
        ("timestamp_s", "'10000-01-01 00:00:00'", "10000-01-01 00:00:00"),
        ("timestamp_ms", "'infinity'", "infinity"),
        ("timestamp_ns", "'infinity'", "infinity"),
        ("timestamptz", "'-infinity'", "-infinity"),
        ("time", "'24:00:00'", "24:00:00"),
        ("hugeint", str(10**38), str(10**38)),
        ("uhugeint", f"'{10**38}'", str(10**38)),
        ("date[]", "['2024-01-01', null, 'infinity']", "[2024-01-01, NULL, infinity]"),
        ("struct(a date)", "{'a': 'infinity'}", "{'a': infinity}"),
        ("map(varchar, time[])", "map {'a': ['24:00:00']}", "{a=['24:00:00']}"),
    ],
)
def test_a_value_that_not_every_format_writes_alike(refused, type_, given, held):
    sql = (
        "create table months as select date '2024-01-01' + n::int as month_start, "
        f"case n when 2 then cast({given} as {type_}) end as odd from range(4) r(n)"
    )
    sentence = refused(
        sql.replace("{", "{{").replace("}", "}}"),
        columns=columns(("month_start", "date"), ("odd", type_)),
    )
    assert sentence == (
        f'Column "odd" of mart "months" holds {held}, and what is published ends where a format '
        "does: at the years 1 and 9999, at 24:00:00, and at numbers of 38 digits; make it null or "
        "another type."
    )


@pytest.mark.parametrize("word", [*sorted(QUERY_WORDS), "Select"])
def test_columns_named_like_a_query_word(draft, word):
    mart = msgspec.structs.replace(
        draft.marts[0], columns=(*draft.marts[0].columns, *columns((word, "date")))
    )
    with pytest.raises(DraftRejected, match=f'Column "{word}" of mart "weekly"'):
        check_properties([mart])


def test_query_words_include_those_of_the_design():
    assert {
        "select", "order", "limit", "offset", "and", "or", "not", "start", "end", "dense",
        "date_cols", "publication", "since", "columns", "on_conflict",
    } <= QUERY_WORDS  # fmt: skip


def test_a_mart_without_a_grain(refused):
    assert refused(grain=()) == (
        'Mart "months" does not name its grain; add config.meta.grain to its YAML.'
    )


def test_a_grain_that_names_no_column(refused):
    assert 'The grain of mart "months" names "mois", which is none' in refused(grain=("mois",))


def test_a_grain_that_repeats(refused):
    sentence = refused(f"{MONTHS} from range(2)")
    assert sentence == (
        'The grain of mart "months" ("month_start") is not unique: '
        "(2024-01-01) is there more than once."
    )


@pytest.mark.parametrize("nullable", [True, False])
def test_a_grain_that_is_null(refused, nullable):
    sentence = refused(
        MONTHS.replace("date '2024-01-01'", "null::date"),
        columns=(
            Column(name="month_start", type="date", nullable=nullable, description="A column."),
            *columns(("leads", "bigint")),
        ),
    )
    assert "is null in a row" in sentence


def test_no_mart_and_twice_the_same(refused):
    assert "There is no public mart" in refused(marts=lambda _: ())


def test_two_marts_of_one_name(refused):
    again = lambda mart: (mart, msgspec.structs.replace(mart, name="Months"))  # noqa: E731 short
    assert refused(marts=again) == 'Two marts are named "Months"; rename one.'


def test_a_file_that_older_tools_cannot_open(store, draft):
    staged = store.stage("9d1f")
    staged.unlink()
    with duckdb.connect(staged) as connection:
        connection.execute(WEEKLY)
    with pytest.raises(DraftRejected, match=r"has storage version v2.*; make it with v1\.2\.0"):
        store.publish(staged, draft)


def test_a_file_that_is_none(store, draft):
    staged = store.stage("9d1f")
    staged.write_text("nonsense" * 4096)
    with pytest.raises(DraftRejected, match="cannot be finished"):
        store.publish(staged, draft)


def test_a_file_that_somebody_still_writes(store, publish, draft):
    staged = store.stage("9d1f")
    with duckdb.connect() as connection:
        connection.execute(f"attach '{staged}' as staged")
        with pytest.raises(DraftRejected, match="cannot be finished"):
            store.publish(staged, draft)

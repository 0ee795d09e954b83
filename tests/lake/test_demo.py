"""The demo lake: the same everywhere, lifelike, and never over someone's own rows."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import demo
from lake.contracts import LEAD_EVENT_DATES, LEADS, MARKETING_CONVERSIONS
from lake.demo.leads import DemoLeads
from lake.demo.marketing import DemoMarketing
from lake.demo.period import Period
from lake.errors import PlaceInvalid, TableExists

END = date(2025, 6, 30)


def leads(count=20_000, days=731, seed=1, end=END, size=100_000):
    return pa.Table.from_batches(DemoLeads(count, Period(end, days, seed)).batches(size))


def marketing(days=731, seed=1, end=END):
    return pa.Table.from_batches(DemoMarketing(Period(end, days, seed)).batches())


def test_the_content_is_the_one_it_always_was():
    """Frozen: other machines made these rows too."""
    assert [str(value) for value in leads().slice(9_000, 1).to_pylist()[0].values()] == [
        "b92779b98597be6f",
        "2024-07-10",
        "2024-07-12",
        "2024-07-15",
        "None",
        "2024-07-19",
        "False",
        "organic search",
        "services",
        "team south",
        "lost",
        "5300.0",
    ]
    digests = [hashlib.sha256(repr(made.to_pylist()).encode()) for made in (leads(), marketing())]
    assert [digest.hexdigest()[:16] for digest in digests] == [
        "1e5557bf34f84b5b",
        "1471abb967c7d357",
    ]


def test_another_seed_makes_another_lake():
    assert leads() == leads()
    assert marketing() == marketing()
    assert not set(leads(1_000)["id"].to_pylist()) & set(leads(1_000, seed=2)["id"].to_pylist())
    assert marketing()["conversions"] != marketing(seed=2)["conversions"]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400), st.integers(1, 60), st.integers(0, 2**70), st.integers(1, 90))
def test_the_content_does_not_depend_on_how_it_is_cut(count, days, seed, size):
    whole = leads(count, days, seed).combine_chunks()
    assert leads(count, days, seed, size=size).combine_chunks() == whole
    assert len(set(whole["id"].to_pylist())) == count


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400), st.dates(date(1900, 1, 1), date(2200, 1, 1)))
def test_everything_happens_within_the_period(days, end):
    first = end - timedelta(days - 1)
    made = leads(300, days, end=end)
    happened = [day for name in LEAD_EVENT_DATES for day in made[name].to_pylist() if day]
    happened += marketing(days, end=end)["date"].to_pylist()
    assert all(first <= day <= end for day in happened)


def test_leads_fall_through_the_funnel_in_order():
    for lead in leads().to_pylist():
        first, reply, proposed, booked, follow_up = (lead[name] for name in LEAD_EVENT_DATES)
        funnel = [first, reply, proposed, booked]
        came = [day for day in funnel if day]
        assert funnel[: len(came)] == came, "no step without the one before"
        assert came == sorted(came)
        assert follow_up is None or follow_up >= came[-1]
        assert came or lead["status"] == "new"
        assert lead["status"] not in {"won", "call booked"} or booked


def test_the_demo_is_lifelike():
    made = leads()
    reached = [len(made) - made[name].null_count for name in LEAD_EVENT_DATES]
    assert reached[0] > reached[1] > reached[2] > reached[3] > len(made) / 10
    assert 100 < sum(made["deleted"].to_pylist()) < 400
    weekdays = Counter(day.weekday() for day in made["date_prise_contact"].to_pylist() if day)
    assert max(weekdays[5], weekdays[6]) * 4 < min(weekdays[day] for day in range(5))
    months = Counter(day.strftime("%Y-%m") for day in made["date_prise_contact"].to_pylist() if day)
    assert months["2024-08"] * 1.5 < months["2024-10"]
    assert all(len(made[name].unique()) > 1 for name in made.column_names)


def test_marketing_rows_have_a_key_each_and_campaigns_their_season():
    rows = marketing().to_pylist()
    keys = {tuple(row[name] for name in MARKETING_CONVERSIONS.key) for row in rows}
    assert len(keys) == len(rows) > 10_000
    assert {row["date"].month for row in rows if row["campaign"] == "black friday"} == {11}
    assert all(row["conversions"] > 0 for row in rows)


def test_both_tables_are_written_as_their_contracts_say(lake):
    demo.write(500, Period(END, 90, 1), force=False)
    for contract in (LEADS, MARKETING_CONVERSIONS):
        table = lake.table(contract.name)
        schema = pa.schema(table.schema().to_arrow())
        assert [field.type for field in contract.schema] == [
            schema.field(field.name).type for field in contract.schema
        ]
        assert not any(schema.field(name).nullable for name in contract.key)
        assert table.metadata().configuration["delta.enableChangeDataFeed"] == "true"
        for file in table.file_uris():
            group = pq.ParquetFile(file).metadata.row_group(0)
            assert group.column(0).compression == "SNAPPY"
    assert [row["id"] for row in lake.rows()] == sorted(leads(500, 90)["id"].to_pylist())
    feed = pa.table(lake.table().load_cdf(starting_version=0))
    assert feed["_change_type"].unique().to_pylist() == ["insert"]


@pytest.mark.parametrize("table", ["leads", "marketing_conversions"])
def test_a_demo_never_replaces_rows_unless_forced(lake, table):
    header = ",".join({"leads": LEADS, "marketing_conversions": MARKETING_CONVERSIONS}[table].key)
    lake.load("own.csv", f"{header}\n{','.join(['2024-01-01'] * (header.count(',') + 1))}\n", table)
    own = lake.rows(table)
    with pytest.raises(TableExists, match="--force"):
        demo.write(10, Period(END, 90, 1), force=False)
    assert lake.rows(table) == own
    assert lake.versions() == {table: 0}

    demo.write(10, Period(END, 90, 1), force=True)
    assert lake.versions() == {table: 1} | {
        name: 0 for name in ("leads", "marketing_conversions") if name != table
    }
    assert "2024-01-01" not in {row.get("id", row.get("product")) for row in lake.rows(table)}
    lake.table(table).load_as_version(0)


def test_a_place_that_is_not_local_is_refused(lake, monkeypatch):
    monkeypatch.setenv("LEADMARTS_LEADS_URI", "s3://key:secret@bucket/leads")
    with pytest.raises(PlaceInvalid, match="s3://bucket/leads is given with more than a place"):
        demo.write(10, Period(END, 90, 1), force=False)
    assert not (lake.data / "lake").exists()


def test_a_table_can_be_elsewhere(lake, monkeypatch):
    elsewhere = lake.data / "with a space" / "leads"
    monkeypatch.setenv("LEADMARTS_LEADS_URI", elsewhere.as_uri())
    demo.write(10, Period(END, 90, 1), force=False)
    assert (elsewhere / "_delta_log").is_dir()
    assert [folder.name for folder in (lake.data / "lake").iterdir()] == ["marketing_conversions"]

"""What a cell is as a value of its column, or why it is none."""

from __future__ import annotations

import io
import json
import math
from datetime import date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.errors import PlaceInvalid
from lake.load.csv_file import CELL_LIMIT


def test_dates_timestamps_and_zones(lake):
    lake.load(
        "leads.csv",
        "id,date_prise_contact,date_reponse_prospect,date_appel_propose,date_appel_booke,date_relance\n"
        "a,2018-01-29,2018-01-29 11:26:57,2018-01-29T23:30:00Z,2018-07-29T22:30:00+00:00,\n"
        "b, 2024-02-29 ,2018-01-29T23:59:59.999999,2018-01-29T02:00:00+09:00,"
        "2018-01-29T23:00:00+01:00,  \n",
    )
    assert lake.by_id() == {
        "a": {
            "date_prise_contact": date(2018, 1, 29),
            "date_reponse_prospect": date(2018, 1, 29),
            "date_appel_propose": date(2018, 1, 30),
            "date_appel_booke": date(2018, 7, 30),
        },
        "b": {
            "date_prise_contact": date(2024, 2, 29),
            "date_reponse_prospect": date(2018, 1, 29),
            "date_appel_propose": date(2018, 1, 28),
            "date_appel_booke": date(2018, 1, 29),
        },
    }


def test_the_time_zone_can_be_set(lake, monkeypatch):
    monkeypatch.setenv("LEADMARTS_TIMEZONE", "America/New_York")
    lake.load("leads.csv", "id,date_relance\na,2018-01-29T02:00:00Z\nb,2018-01-29T02:00:00\n")
    assert [row["date_relance"] for row in lake.rows()] == [date(2018, 1, 28), date(2018, 1, 29)]
    monkeypatch.setenv("LEADMARTS_TIMEZONE", "Europe/Atlantis")
    with pytest.raises(PlaceInvalid, match="'Europe/Atlantis', which is no time zone"):
        lake.load("leads.csv", "id\na\n")


def test_large_cells(lake):
    large, too_large = "y" * 200_000, "z" * (CELL_LIMIT + 1)
    content = f'id,x\na,{large}\nb,{too_large}\nc,"{too_large}"\nd,"{large}\n"\n'
    assert lake.counts("leads.csv", content) == (2, 0, 0, 2)
    assert lake.by_id() == {"a": {"x": large}, "d": {"x": f"{large}\n"}}
    reason = "a cell has more than 16,777,216 characters"
    assert lake.rejected() == [(3, reason), (4, reason)]


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-01x10:00",
        "2025-W01-1",
        "20250101",
        "2025-01-01T",
        "2025-1-1",
        "\u0662\u0660\u0662\u0665-\u0660\u0661-\u0660\u0661",
    ],
)
def test_other_ways_to_write_a_date_are_rejected(lake, text):
    assert lake.counts("leads.csv", f"id,date_relance\na,{text}\n") == (0, 0, 0, 1)


def test_the_values_of_ndjson_decide_the_types_of_new_columns(lake):
    lake.load(
        "leads.jsonl",
        '{"id": 1, "whole": 1, "number": 1, "truth": true, "nested": {"a": [1]}, "mixed": 1}\n'
        '{"id": 2, "whole": -9, "number": 2.5, "text": "x", "mixed": "one", "nothing": null}\n'
        '{"id": 3, "huge": 123456789012345678901234567890}\n',
    )
    assert lake.by_id() == {
        "1": {"whole": 1, "number": 1.0, "truth": True, "nested": '{"a":[1]}', "mixed": "1"},
        "2": {"whole": -9, "number": 2.5, "text": "x", "mixed": "one"},
        "3": {"huge": "123456789012345678901234567890"},
    }
    types = pa.schema(lake.table().schema().to_arrow())
    assert types.field("whole").type == pa.int64()
    assert types.field("number").type == pa.float64()
    assert types.field("truth").type == pa.bool_()
    assert "nothing" not in types.names


def test_text_is_parsed_to_the_type_the_table_has(lake):
    lake.load("typed.ndjson", '{"id": "a", "n": 1, "x": 0.5, "ok": true, "name": "x"}\n')
    content = (
        "id,n,x,ok,name\nb,2,1e3,VRAI,2\nc,2.5,1,true,3\nd,3,a_b,no,4\ne,,,,\n"
        "f,99999999999999999999,inf,,\n"
    )
    assert lake.counts("leads.csv", content) == (2, 0, 0, 3)
    assert lake.by_id()["b"] == {"n": 2, "x": 1000.0, "ok": True, "name": "2"}
    assert lake.by_id()["e"] == {}
    assert lake.rejected() == [
        (3, "n: '2.5' is no whole number"),
        (4, "x: 'a_b' is no number"),
        (
            6,
            "n: '99999999999999999999' is too large for a column of int64; x: 'inf' is no number",
        ),
    ]


def test_for_ever_is_a_day_that_counts_as_too_late(lake):
    """In Paris those moments are in the years 10000 and 0, which no calendar here has."""
    lake.load(
        "leads.csv",
        "id,date_relance\na,9999-12-31T23:59:59Z\nb,0001-01-01T00:30:00+05:00\n"
        "c,9999-12-31\nd,20313-12-24\ne,0000-12-31\n",
    )
    assert {key: lead["date_relance"] for key, lead in lake.by_id().items()} == {
        "a": date(9999, 12, 31),
        "b": date(1, 1, 1),
        "c": date(9999, 12, 31),
    }
    assert [line for line, _ in lake.rejected()] == [5, 6]


def test_a_moment_that_utc_does_not_have_is_rejected(lake):
    naive = pa.array([datetime(1, 1, 1), datetime(9999, 12, 31, 23)], pa.timestamp("us"))  # noqa: DTZ001
    buffer = io.BytesIO()
    pq.write_table(pa.table({"id": ["a", "b"], "seen": naive}), buffer)
    assert lake.counts("leads.parquet", buffer.getvalue()) == (1, 0, 0, 1)
    reason = "seen: '0001-01-01T00:00:00' is outside of the years 1 to 9999 in UTC"
    assert lake.rejected() == [(1, reason)]


ADDENDS = [1e25, math.nan, math.inf, -math.inf, 1e13, 1e12, -1e12, 5e-324, None, 1.5]


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_conversions_that_cannot_be_added_up_are_rejected(lake, kind):
    rows = [
        {"product": "p", "campaign_type": "t", "campaign": f"{n}", "channel": "tv"}
        | {"date": "2024-01-01", "conversions": number}
        for n, number in enumerate(ADDENDS)
    ]
    if kind == "parquet":
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), buffer)
        content = buffer.getvalue()
    elif kind == "ndjson":
        lines = [
            {k: repr(v) if isinstance(v, float) else v for k, v in row.items()} for row in rows
        ]
        content = "\n".join(map(json.dumps, lines))
    else:
        lines = [",".join("" if v is None else str(v) for v in row.values()) for row in rows]
        content = "\n".join([",".join(rows[0]), *lines])
    assert lake.counts(f"m.{kind}", content, "marketing_conversions") == (5, 0, 0, 5)
    kept = [row["conversions"] for row in lake.rows("marketing_conversions")]
    assert kept == [1e12, -1e12, 5e-324, None, 1.5]
    quoted = [reason.split("'")[1] for _, reason in lake.rejected("marketing_conversions")]
    assert [float(text) for text in quoted[:1] + quoted[2:]] == [1e25, math.inf, -math.inf, 1e13]
    assert quoted[1] == "nan"

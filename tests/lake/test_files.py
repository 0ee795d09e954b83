"""Every kind of input file: what is taken, what is rejected, and on which line."""

from __future__ import annotations

import gzip
import io
import json
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from lake.errors import ContractBroken, InputRejected
from lake.load import load
from lake.load.chunks import ROWS
from lake.load.csv_file import CELL_LIMIT
from lake.load.files import open_file
from tests.lake.conftest import CONTRACTS


def parquet(table):
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", ["", "newline"])
def test_csv_lines_are_exact(lake, newline, mark, last):
    lines = [
        "id,date_relance,note",
        'a,2024-01-01,"two',
        'lines"',
        "",
        "b,31/12/2024,",
        "c,2024-01-01",
        "c,2024-01-01,x,y",
        ",2024-01-01,x",
        'd"x,2024-01-01,a quote within a bare cell is text',
        '"e"x,2024-01-01,',
        'f,2024-01-01,"""quoted"", with, commas',
        "",
        'and a blank line"',
        "g,2024-02-30,x",
    ]
    content = mark + newline.join(lines) + (newline if last else "")
    assert lake.counts("leads.csv", content) == (3, 0, 0, 6)
    assert lake.rejected() == [
        (
            5,
            "date_relance: '31/12/2024' is no date (YYYY-MM-DD, or with a time after T or a space)",
        ),
        (6, "2 cells where the header has 3"),
        (7, "4 cells where the header has 3"),
        (8, "id: empty, but every row needs one"),
        (10, """its quotes cannot be read: ',' expected after '"'"""),
        (
            14,
            "date_relance: '2024-02-30' is no date (YYYY-MM-DD, or with a time after T or a space)",
        ),
    ]
    notes = {key: lead["note"] for key, lead in lake.by_id().items()}
    assert notes == {
        "a": f"two{newline}lines",
        'd"x': "a quote within a bare cell is text",
        "f": f'"quoted", with, commas{newline}{newline}and a blank line',
    }
    raw = [json.loads(row["row"]) for row in lake.rows("leads_rejects")]
    assert raw[0] == {"id": "b", "date_relance": "31/12/2024", "note": None}
    assert raw[2] == ["c", "2024-01-01", "x", "y"]
    assert raw[4].startswith('"e"x,2024-01-01,')


def test_lines_are_exact_beyond_one_chunk(lake):
    bad = {3, ROWS - 1, ROWS, ROWS + 1, ROWS + 2, 2 * ROWS + 1}
    rows = [f"{line},{'never' if line in bad else '2024-01-01'}" for line in range(2, 2 * ROWS + 3)]
    assert lake.counts("leads.csv", "\n".join(["id,date_relance", *rows]))[0] == len(rows) - len(
        bad
    )
    assert {line for line, _ in lake.rejected()} == bad
    assert all(
        int(json.loads(row["row"])["id"]) == row["line"] for row in lake.rows("leads_rejects")
    )


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("leads.csv", "", "is empty: its first line must name the columns"),
        ("leads.csv", "\n\n", "is empty"),
        ("leads.csv", "Ids,x\n1,2\n", "has no column id: its columns are Ids, x"),
        ("leads.csv", "id;x\n1;2\n", "has ';' between its cells where a comma must be"),
        ("leads.csv", "id\tx\n1\t2\n", r"has '\\t' between its cells"),
        ("leads.csv", "id,x,x\n1,2,3\n", "has two columns called x"),
        ("leads.csv", "id,,x\n1,2,3\n", "no name for column 2"),
        ("leads.csv", "id,x,X\n1,2,3\n", "called X where there is one called x"),
        ("leads.csv", "id,_change_type\n1,2\n", "called '_change_type'"),
        ("leads.csv", "id,_LINE\n1,2\n", "called '_LINE'"),
        ("leads.csv", "id,_Present\n1,2\n", "called '_Present'"),
        ("leads.csv", "id,x\0y\n1,2\n", r"called 'x\\x00y'"),
        ("leads.ndjson", '{"id": 1, "x\\u001by": 2}\n', r"called 'x\\x1by'"),
        ("leads.csv", ",".join(["id", *(f"c{i}" for i in range(994))]), "called c992, with which"),
        ("leads.csv", 'id,x\n1,2\n3,"4\n5,6\n', "line 3: a quoted cell opens there"),
        ("leads.csv", '"id"x,y\n1,2\n', "has a header that cannot be read"),
        ("leads.csv", "id,x\na,b\nc,caf\u00e9\n".encode("latin-1"), r"not in UTF-8 \(line 3"),
        ("leads.csv.gz", b"id\n1\n", "cannot be decompressed"),
        ("leads.csv.gz", gzip.compress(b"id\n1\n" * 9, mtime=0)[:-9], "cannot be decompressed"),
        ("leads.csv", f'id,x\na,"\n{"x" * CELL_LIMIT}\n"\n', "line 2: a quoted cell opens there"),
        ("leads.parquet", b"PAR1 not really", "cannot be read as Parquet"),
        ("leads.parquet", parquet(pa.table({})), "has no columns"),
        ("leads.ndjson", "", "is empty"),
        ("leads.ndjson", '{"id": 1, "": 2}\n', "called ''"),
        ("leads.xlsx", "id\n1\n", "its name must end in .csv"),
        ("leads", "id\n1\n", "of no kind that can be loaded"),
    ],
)
def test_a_file_that_cannot_be_read_whole_changes_nothing(lake, name, content, sentence):
    lake.load("before.csv", "id,x\nold,1\n")
    with pytest.raises(InputRejected, match=sentence):
        lake.load(name, content)
    assert lake.versions() == {"leads": 0}
    assert lake.by_id() == {"old": {"x": "1"}}


def test_a_table_of_as_many_columns_as_may_be(lake):
    """Comparing needs memory for each of them."""
    names = [f"c{number}" for number in range(993)]
    content = ",".join(["id", *names]) + "\na" + ",1" * len(names)
    assert lake.counts("leads.csv", content) == (1, 0, 0, 0)
    assert lake.counts("leads.csv", content) == (0, 0, 1, 0)


@pytest.mark.parametrize("depth", [101, 300, 900, 1_000, 100_000])
def test_what_is_nested_too_deeply_is_rejected(lake, depth):
    lines = [f'{{"id": "{d}", "x": {"[" * (d - 1)}{"]" * (d - 1)}}}' for d in (100, depth)]
    assert lake.counts("leads.ndjson", "\n".join(lines)) == (1, 0, 0, 1)
    assert lake.rejected() == [(2, "objects and lists lie more than 100 deep in each other")]
    assert lake.rows("leads_rejects")[0]["row"] == json.dumps(lines[1])


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([2**30, -(2**30), 0], pa.int32()).cast(pa.date32()),
        pa.array([2**62, -(2**62), 0], pa.int64()).cast(pa.timestamp("us")),
        pa.array([2**62, -(2**62), 0], pa.int64()).cast(pa.timestamp("us", "UTC")),
        pa.array([2**62, -(2**62), 0], pa.int64()).cast(pa.timestamp("ms", "UTC")),
    ],
    ids=lambda cells: str(cells.type),
)
@pytest.mark.parametrize("column", ["date_relance", "new"])
def test_years_that_no_calendar_has_are_rejected(lake, column, cells):
    content = parquet(pa.table({"id": ["a", "b", "c"], column: cells}))
    assert lake.counts("leads.parquet", content) == (1, 0, 0, 2)
    assert [line for line, _ in lake.rejected()] == [1, 2]
    assert all("outside of the years 1 to 9999" in reason for _, reason in lake.rejected())
    assert list(lake.by_id()) == ["c"]


def test_a_missing_file_is_a_sentence(lake):
    with pytest.raises(InputRejected, match="No such file or directory"):
        open_file(lake.data / "nowhere.csv")


def test_a_header_alone_makes_an_empty_table(lake):
    assert lake.counts("leads.csv", "id,date_relance,note") == (0, 0, 0, 0)
    assert lake.rows() == []
    assert "note" not in lake.table().schema().to_arrow().names


def test_gzipped_csv(lake):
    assert lake.counts("leads.csv.gz", gzip.compress(b"id\n1\n2\n", mtime=0)) == (2, 0, 0, 0)


def test_ndjson_takes_each_line_by_itself(lake):
    lines = [
        b'\xef\xbb\xbf{"id": "a", "date_relance": "2024-05-05T22:30:00Z", "deleted": true}',
        b"",
        b'{"id": 7, "deleted": null}',
        b"{nonsense",
        b"[1, 2]",
        b'{"date_relance": "2024-05-05"}',
        b'{"id": true}',
        b'{"id": 1.5}',
        b'{"id": "b", "date_relance": 20240505}',
        b'{"id": "c", "deleted": "perhaps"}',
        b'{"id": "caf\xe9"}',
        b'{"id": "  "}',
        b'{"id": "d", "date_relance": ""}',
    ]
    assert lake.counts("leads.ndjson", b"\n".join(lines)) == (3, 0, 0, 9)
    assert lake.by_id() == {
        "7": {},
        "a": {"date_relance": date(2024, 5, 6), "deleted": True},
        "d": {},
    }
    reasons = dict(lake.rejected())
    assert list(reasons) == [4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert reasons[4].startswith("no JSON")
    assert reasons[5] == "no JSON object"
    assert reasons[6] == "id: empty, but every row needs one"
    assert reasons[7] == "id: 'true' is no text"
    assert reasons[9].startswith("date_relance: '20240505' is no date")
    assert reasons[10] == "deleted: 'perhaps' is neither true nor false"


def test_parquet_keeps_types_and_numbers_its_rows(lake):
    table = pa.table(
        {
            "id": pa.array(["a", "b", None, "d"]).dictionary_encode(),
            "date_prise_contact": pa.array(
                [datetime(2024, 1, 1, 23, 30, tzinfo=UTC), None, None, None],
                pa.timestamp("ns", "UTC"),
            ),
            "date_relance": pa.array(["2024-01-01 10:00:00", "", None, "soon"]),
            "deleted": pa.array([None, True, None, None]),
            "small": pa.array([1, 2, 3, 4], pa.uint8()),
            "price": pa.array([Decimal("1.50"), None, None, None]),
            "seen": pa.array([datetime(2024, 7, 1, 12), None, None, None], pa.timestamp("us")),  # noqa: DTZ001 - as files have them
            "tags": pa.array([["x", "y"], [], None, None]),
            "raw": pa.array([b"\x00\xff", None, None, None]),
            "nothing": pa.nulls(4),
            "score": pa.array([float("nan"), 1.5, None, None]),
        }
    )
    assert lake.counts("leads.parquet", parquet(table)) == (2, 0, 0, 2)
    assert lake.by_id() == {
        "a": {
            "date_prise_contact": date(2024, 1, 2),
            "date_relance": date(2024, 1, 1),
            "small": 1,
            "price": Decimal("1.50"),
            "seen": datetime(2024, 7, 1, 10, tzinfo=UTC),
            "tags": '["x","y"]',
            "raw": b"\x00\xff",
        },
        "b": {"deleted": True, "small": 2, "tags": "[]", "score": 1.5},
    }
    assert [line for line, _ in lake.rejected()] == [3, 4]
    assert lake.counts("again.parquet", parquet(table)) == (0, 0, 2, 2)


def test_a_table_of_another_shape_is_a_sentence(lake):
    write_deltalake(lake.folder("leads"), pa.table({"id": ["a"], "date_relance": [20240101]}))
    with pytest.raises(ContractBroken, match="date_relance"):
        lake.load("leads.csv", "id\nb\n")


def test_int96_has_years_that_nanoseconds_have_not(lake):
    moments = [datetime(year, 1, 1) for year in (1500, 2300, 9999)]  # noqa: DTZ001 - as Spark has
    cells = pa.array(moments, pa.timestamp("us"))
    buffer = io.BytesIO()
    table = pa.table({"id": ["a", "b", "c"], "date_relance": cells, "seen": cells})
    pq.write_table(table, buffer, use_deprecated_int96_timestamps=True)
    assert lake.counts("leads.parquet", buffer.getvalue()) == (3, 0, 0, 0)
    leads = lake.by_id().values()
    assert [lead["date_relance"] for lead in leads] == [moment.date() for moment in moments]
    paris = ZoneInfo("Europe/Paris")
    assert [lead["seen"] for lead in leads] == [m.replace(tzinfo=paris) for m in moments]


def test_a_file_name_that_is_not_utf8_is_kept_with_its_rejects(lake):
    path = lake.data / os.fsdecode(b"clients_\xe9.csv")
    path.write_text("id,date_relance\na,no\nb,2024-01-01\n")
    done = load(CONTRACTS["leads"], path)
    assert (done.upserted.inserted, done.rejected) == (1, 1)
    assert [row["file"] for row in lake.rows("leads_rejects")] == [r"clients_\xe9.csv"]


def test_upper_and_lower_case_are_one_column(lake):
    """A table, a file and the contract may each spell a column otherwise."""
    write_deltalake(
        lake.folder("leads"),
        pa.table({"ID": ["a", "b"], "Date_Relance": [date(2024, 1, 1)] * 2, "Owner": ["x", "y"]}),
        configuration={"delta.enableChangeDataFeed": "true"},
    )
    files = [
        ("1.csv", "id,date_relance,owner\na,2024-02-01,x\nc,2024-03-01,\n", (1, 1, 0, 0)),
        ("2.csv", "ID,Date_Relance,OWNER\na,2024-02-02,x\na,2024-02-03,z\n", (0, 1, 0, 1)),
        ("3.ndjson", '{"Id": "b", "Owner": "w"}\n{"Id": "d"}\n', (1, 1, 0, 0)),
        ("4.csv", "id,New\na,1\n", (0, 1, 0, 0)),
        ("5.csv", "id,NEW\na,2\n", (0, 1, 0, 0)),
    ]
    for name, content, counts in files:
        assert lake.counts(name, content) == counts, name
    rows = pa.table(lake.table().to_pyarrow_table()).sort_by("ID").to_pylist()
    assert [[*row.values()] for row in rows] == [
        ["a", date(2024, 2, 3), "z", "2"],
        ["b", date(2024, 1, 1), "w", None],
        ["c", date(2024, 3, 1), None, None],
        ["d", None, None, None],
    ]
    assert list(rows[0]) == ["ID", "Date_Relance", "Owner", "New"]


def test_a_table_with_a_day_of_no_calendar_can_be_loaded_into(lake):
    """Only another writer leaves such a day; Python's calendar ends with the year 9999."""
    days = pa.array([6_700_000, 19_000], pa.int32()).cast(pa.date32())
    write_deltalake(lake.folder("leads"), pa.table({"id": ["a", "b"], "date_relance": days}))
    content = "id,date_relance\na,2024-01-01\nb,2024-01-01\nc,2024-01-01\n"
    assert lake.counts("1.csv", content) == (1, 2, 0, 0)
    assert {lead["date_relance"] for lead in lake.by_id().values()} == {date(2024, 1, 1)}


@pytest.mark.parametrize(
    ("cells", "kept"),
    [
        (pa.array([1, None], pa.duration("ns")), "P0D"),
        (pa.array([1_500, None], pa.time64("ns")), "00:00:00.000001"),
        (pa.array([2**62, None], pa.timestamp("us", "UTC")), None),
        (pa.array([0, None], pa.timestamp("us", "No/Where")), "1970-01-01T00:00:00Z"),
        (pa.array([10**60, None], pa.decimal256(70, 0)), f"1{'0' * 60}"),
        (pa.array([2**64 - 1, None], pa.uint64()), str(2**64 - 1)),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_what_python_does_not_have_is_kept_as_text_or_rejected(lake, cells, kept):
    """A sentence that says what is wrong with a cell is never taken for the cell."""
    lake.load("before.csv", "id,x\na,1\nb,1\n")
    lake.load("leads.parquet", parquet(pa.table({"id": ["a", "b"], "x": cells})))
    assert lake.by_id() == {"a": {"x": kept or "1"}, "b": {}}
    assert (lake.folder("leads_rejects")).exists() == (kept is None)

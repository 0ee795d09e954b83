"""What is broken around a load ends in one sentence, and leaves the table as it was."""

from __future__ import annotations

import json
import resource
from contextlib import contextmanager

import pyarrow as pa
import pytest

from lake import exchange, places, tables
from lake.contracts import LEADS
from lake.errors import OutOfRoom, TableBroken, TableBusy
from lake.load import load


def is_a_sentence(error):
    return str(error).count("\n") == 0 and "\x1b" not in str(error) and str(error).endswith(".")


@pytest.mark.parametrize("damage", ["lost", "junk"])
@pytest.mark.parametrize("table", ["leads", "leads_rejects"])
def test_a_damaged_data_file_is_a_sentence(lake, table, damage):
    content = "id,date_relance\na,2024-01-01\nb,no\n"
    lake.load("1.csv", content)
    for file in lake.folder(table).glob("*.parquet"):
        file.unlink()
        if damage == "junk":
            file.write_bytes(b"junk" * 99)
    before = lake.versions()
    with pytest.raises(TableBroken, match=rf"{lake.folder(table)} cannot be read ") as raised:
        lake.load("1.csv", content)
    assert is_a_sentence(raised.value)
    assert lake.versions() == before


@contextmanager
def files_of_at_most(size):
    """Let no file of this process grow beyond a size, as a full disk would not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [1_000, 100_000])
def test_a_full_temporary_disk_is_a_sentence(lake, size):
    lake.load("1.csv", "id,x\na,1\n")
    path = lake.file("2.csv", "id,x\n" + "".join(f"{i},{i * 7919}\n" for i in range(20_000)))
    with files_of_at_most(size), pytest.raises(OutOfRoom, match="cannot be sorted") as raised:
        load(LEADS, path)
    assert is_a_sentence(raised.value)
    assert lake.versions() == {"leads": 0}


def test_a_full_disk_under_the_table_is_a_sentence(lake):
    lake.load("1.csv", "id\na\n")
    place = places.at(str(lake.folder("leads")))
    opened = tables.open_table(place)
    rows = pa.table({"id": [str(number**3) for number in range(20_000)]}).to_reader()
    with files_of_at_most(10_000), pytest.raises(TableBroken, match="cannot be written") as raised:
        tables.append(place, opened, rows)
    assert is_a_sentence(raised.value)
    assert lake.versions() == {"leads": 0}


@pytest.mark.parametrize("write", ["append", "merge", "exchange"])
def test_what_was_compared_is_what_is_replaced(lake, write):
    """A commit that came in between is never written over, nor beside, unseen."""
    lake.load("1.csv", "id,owner\na,x\n")
    place = places.at(str(lake.folder("leads")))
    opened = tables.open_table(place)
    lake.load("2.csv", "id,owner\nb,y\n")
    rows = pa.table({"id": ["b"], "owner": ["z"]})
    with pytest.raises(TableBusy) as raised:
        {
            "append": lambda: tables.append(place, opened, rows.to_reader()),
            "merge": lambda: tables.merge(place, opened, rows.to_reader(), ["id"]),
            "exchange": lambda: exchange.exchange(place, opened, rows, "id"),
        }[write]()
    assert str(lake.folder("leads")) in str(raised.value)
    assert [(row["id"], row["owner"]) for row in lake.rows()] == [("a", "x"), ("b", "y")]


def test_a_table_that_cannot_be_written_stays_as_it_was_and_rejects_are_kept(lake):
    """Its log asks of writers what delta-rs does not know, as a newer Spark may."""
    lake.load("1.csv", "id,owner\na,x\n")
    log = lake.folder("leads") / "_delta_log" / f"{0:020}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    asked = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["fromTheFuture"]}
    actions = [{"protocol": asked} if "protocol" in action else action for action in actions]
    log.write_text("\n".join(map(json.dumps, actions)))

    with pytest.raises(TableBroken, match=r"cannot be written .*fromTheFuture"):
        lake.load("2.csv", "id,owner,date_relance\na,y,\nb,z,no\n")
    assert lake.table().version() == 0
    assert [line for line, _ in lake.rejected()] == [3]


def test_a_log_that_cannot_be_read_is_a_sentence(lake):
    lake.load("1.csv", "id\na\n")
    (lake.folder("leads") / "_delta_log" / f"{0:020}.json").write_text("{broken")
    with pytest.raises(TableBroken, match="cannot be opened"):
        lake.load("2.csv", "id\nb\n")

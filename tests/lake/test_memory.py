"""Which amounts of memory a build and a load take, and that a load keeps to it."""

from __future__ import annotations

import os
import subprocess
import sys

import duckdb
import pytest

from lake import memory
from lake.contracts import LEADS, MARKETING_CONVERSIONS
from lake.errors import OutOfRoom, SettingInvalid
from lake.load import load
from tests.lake.conftest import ROOT

CONVERSIONS = """
    select 'p' as product, 't' as campaign_type, 'campaign ' || i as campaign, 'tv' as channel,
        date '2024-01-01' as date, 1.5::double as conversions
    from (select unnest(range({rows})) as i union all select unnest(range({repeated})))
"""

LEAD_ROWS = """
    select 'lead ' || i % {rows} // 10 as id, date '2024-01-01' as date_relance,
        'Company ' || i as x from range({rows}) as numbers (i)
"""


def written(lake, query, name):
    """Write what a query finds as a Parquet file."""
    path = lake.data / name
    duckdb.sql(query).write_parquet(str(path))
    return path


@pytest.fixture
def many_threads(monkeypatch):
    """As on a machine of 16 cores: each thread takes memory of its own."""
    connect = duckdb.connect

    def with_threads(*arguments):
        database = connect(*arguments)
        database.execute("set threads = 16")
        return database

    monkeypatch.setattr(duckdb, "connect", with_threads)


def test_more_keys_than_there_is_memory_for_are_loaded(lake, monkeypatch, many_threads):
    """Lists of 200,000 keys' lines need more than that, and cannot go to disk."""
    path = written(lake, CONVERSIONS.format(rows=200_000, repeated=1000), "m.parquet")
    monkeypatch.setenv("LEADMARTS_MEMORY", "40MB")
    done = load(MARKETING_CONVERSIONS, path)
    assert (done.upserted.inserted, done.summed) == (200_000, 1_000)
    sums = duckdb.from_arrow(lake.table("marketing_conversions").to_pyarrow_table())
    assert sums.aggregate("sum(conversions), max(conversions)").fetchall() == [(301_500.0, 3.0)]


def test_too_little_memory_is_called_so(lake, monkeypatch):
    path = written(lake, CONVERSIONS.format(rows=100_000, repeated=0), "m.parquet")
    monkeypatch.setenv("LEADMARTS_MEMORY", "1MB")
    sentence = r"cannot be sorted out in 1MB of memory \(.*\): set LEADMARTS_MEMORY to more"
    with pytest.raises(OutOfRoom, match=sentence):
        load(MARKETING_CONVERSIONS, path)
    monkeypatch.setenv("LEADMARTS_MEMORY", "lots")
    with pytest.raises(SettingInvalid, match=r'LEADMARTS_MEMORY .* is "lots"'):
        load(MARKETING_CONVERSIONS, path)


LOAD = """
import re
import sys
from pathlib import Path
import duckdb
from lake.contracts import TABLES
from lake.load import load

connect = duckdb.connect
def with_threads(*arguments):
    database = connect(*arguments)
    database.execute("set threads = 16")
    return database
duckdb.connect = with_threads
done = load(TABLES[sys.argv[1]], Path(sys.argv[2]))
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(done.upserted.inserted, done.rejected, peak)
"""
"""Load with 16 threads, and say how much memory the process had at most.

``getrusage`` would count the test's own memory, which a new process has for a moment."""


@pytest.mark.soak
@pytest.mark.parametrize(
    ("table", "query", "counts"),
    [
        (MARKETING_CONVERSIONS, CONVERSIONS.format(rows=8_000_000, repeated=0), (8_000_000, 0)),
        (LEADS, LEAD_ROWS.format(rows=3_000_000), (300_000, 2_700_000)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_load_of_millions_takes_less_than_a_gigabyte(lake, table, query, counts):
    path = written(lake, query, f"{table.name}.parquet")
    done = subprocess.run(
        [sys.executable, "-c", LOAD, table.name, path],
        cwd=ROOT,
        env=os.environ | {"LEADMARTS_DATA": str(lake.data)},
        capture_output=True,
        text=True,
        check=True,
    )
    inserted, rejected, kilobytes = map(int, done.stdout.split()[-3:])  # behind DuckDB's own bar
    assert (inserted, rejected) == counts
    assert kilobytes < 2**20


@pytest.mark.parametrize(
    "amount", ["1MB", "512MB", "4GB", "4gb", "4G", "1.5 GiB", "0.5GB", "999999TiB"]
)
def test_an_amount_is_one_to_duckdb_too(amount):
    memory.check(amount)
    with duckdb.connect() as connection:
        connection.execute("set memory_limit = ?", [amount])


@pytest.mark.parametrize(
    "amount",
    ["lots", "4", "0", "0MB", "0.0GB", "-4GB", "1KB", "4GBx", "4Gi", "1e3MB", "٤GB", "4GB\n"],
)
def test_what_is_none_is_named(amount):
    with pytest.raises(SettingInvalid, match=r'^LEADMARTS_MEMORY .* is "') as refused:
        memory.check(amount)
    assert f'"{amount}"' in str(refused.value)

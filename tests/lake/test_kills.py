"""`lake load` killed at any point: nothing is lost or doubled, and the next run sets it right."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lake import exchange
from lake.load import load
from lake.upkeep.found import need
from lake.upkeep.vacuuming import vacuum
from tests.lake.conftest import CONTRACTS, ROOT

DRIVER = Path(__file__).with_name("load_when_told.py")
ROWS, REJECTS = 1500, 7
TABLES = {"leads": "leads", "marketing": "marketing_conversions"}


@dataclass
class Expected:
    """What a table has to hold: the value of each key, and which lines of which file it refused."""

    rows: dict[str, object] = field(default_factory=dict)
    rejected: int = 0
    loads: int = 0


def leads_file(number, known, draw):
    """Leads with a new date: some known, most new; and lines that cannot be taken."""
    ids = draw.sample(sorted(known), min(len(known), ROWS // 3))
    ids += [f"{number}-{i}" for i in range(ROWS - len(ids))]
    day = date(2020, 1, 1) + timedelta(days=number)
    bad = "".join(f"bad-{number}-{i},never\n" for i in range(REJECTS))
    content = "id,date_relance\n" + "".join(f"{key},{day}\n" for key in ids) + bad
    return content, dict.fromkeys(ids, day)


def marketing_file(number, known, draw):
    """Conversions by campaign, each in two lines that are added up; and lines without any."""
    campaigns = draw.sample(sorted(known), min(len(known), ROWS // 6))
    campaigns += [f"{number}-{i}" for i in range(ROWS // 2 - len(campaigns))]
    lines = [f"p,t,{key},tv,2024-01-01,{number + 0.25}\n" for key in campaigns for _ in range(2)]
    lines += [f"p,t,bad-{i},tv,2024-01-01,many\n" for i in range(REJECTS)]
    head = "product,campaign_type,campaign,channel,date,conversions\n"
    return head + "".join(lines), dict.fromkeys(campaigns, 2 * number + 0.5)


def held(lake, table):
    """What a table holds, by key, and how many rows it has."""
    if not (lake.folder(TABLES[table]) / "_delta_log").exists():
        return {}, 0
    rows = lake.table(TABLES[table]).to_pyarrow_table().to_pylist()
    key, value = ("id", "date_relance") if table == "leads" else ("campaign", "conversions")
    return {row[key]: row[value] for row in rows}, len(rows)


def entries(folder):
    """The commits and data files that are there."""
    return {*folder.glob("_delta_log/*.json"), *folder.glob("*.parquet")}


def start(lake, table, path, large):
    """Start a loader and wait until it has imported everything."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LEADMARTS")}
    loader = subprocess.Popen(
        [sys.executable, DRIVER, str(large), table, path],
        cwd=ROOT,
        env=inherited
        | {
            "LEADMARTS_DATA": str(lake.data),
            "TMPDIR": str(lake.data),
            "PYTHONPATH": str(ROOT),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert loader.stdout.readline() == b"ready\n"
    return loader


def kill(loader, moment):
    """Let a loader go, kill it after some seconds or when a function says so.

    Returns whether it was still at work.
    """
    loader.stdin.write(b"\n")
    loader.stdin.flush()
    started = time.monotonic()
    come = moment if callable(moment) else lambda: time.monotonic() - started >= moment
    while loader.poll() is None and not come():
        time.sleep(0.0005)
    loader.kill()
    _, _ = loader.communicate()
    return loader.returncode == -9


def when_there_is_more_in(folder):
    """The moment at which a file or a commit is new in a table."""
    before = entries(folder)
    return lambda: entries(folder) - before


@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=pytest.mark.soak)])
def test_a_killed_load_loses_and_doubles_nothing(lake, monkeypatch, kills):
    """Some of the tables count as large: their rows are exchanged, those of others merged."""
    draw = random.Random(kills)  # noqa: S311 -- where to kill is no secret
    expected = {table: Expected() for table in TABLES}
    usual, ended, seen = 0.5, [], set()
    for number in itertools.count():
        if ended.count(True) >= kills:
            break
        large = draw.choice((0, exchange.LARGE))
        table = "marketing" if number % 3 == 2 else "leads"
        folder, state = lake.folder(TABLES[table]), expected[table]
        made = leads_file if table == "leads" else marketing_file
        content, changes = made(number, state.rows, draw)
        path = lake.file(f"{number}.csv", content)
        moment = [
            when_there_is_more_in(folder.with_name(f"{folder.name}_rejects")),
            when_there_is_more_in(folder),
            draw.uniform(0, usual),
        ][number % 3 if number < 3 else draw.choice((0, 1, 2, 2, 2))]

        ended.append(kill(start(lake, table, path, large), moment))

        # Whatever the moment: all of the file, or nothing of it.
        before, after = state.rows, state.rows | changes
        now, count = held(lake, table)
        assert now in (before, after)
        assert count == len(now)
        seen.add(now == after)

        started = time.monotonic()
        with monkeypatch.context() as as_large:
            as_large.setattr(exchange, "LARGE", large)
            loaded = load(CONTRACTS[TABLES[table]], path)
        usual = max(usual, time.monotonic() - started) if now == before else usual
        state.rows, state.rejected = after, state.rejected + REJECTS
        state.loads += 1
        assert held(lake, table) == (after, len(after))
        assert loaded.rejected == REJECTS
        rejects = lake.rows(f"{folder.name}_rejects")
        assert len(rejects) == state.rejected == len({(r["digest"], r["line"]) for r in rejects})
        for place in (folder, folder.with_name(f"{folder.name}_rejects")):
            assert DeltaTable(place).version() == state.loads - 1, "one commit a file, no more"

    if kills > 20:
        assert seen == {True, False}, "some died before their commit and some after it"
    for table, state in expected.items():  # what the dead left is no part of the table
        vacuum(need(table), 0, dry_run=False)
        assert held(lake, table) == (state.rows, len(state.rows))
        live = {Path(uri) for uri in lake.table(TABLES[table]).file_uris()}
        assert {
            path for path in entries(lake.folder(TABLES[table])) if path.suffix == ".parquet"
        } == live

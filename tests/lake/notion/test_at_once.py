"""Other writers at the same time, and a command that is killed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lake.contracts import LEADS as LEADS_TABLE
from lake.load import load
from lake.notion import ingest
from lake.notion.settings import from_environment
from tests.lake.conftest import ROOT
from tests.lake.notion.oracle import disturb, expected, leads_of

SOAK = pytest.mark.soak


def test_a_file_is_loaded_while_notion_is_read(notion):
    """The load's commit comes after the table was looked at and before the rows are written."""
    there = notion.workspace
    dice = random.Random(1)  # noqa: S311 - of a test
    for turn in range(3):
        disturb(there, dice)
        there.create({"Score": turn})
        there.meanwhile = {
            4: lambda turn=turn: notion.lake.load(f"{turn}.csv", f"id,owner{turn}\nfile-{turn},x\n")
        }
        notion.ingest()
        leads = leads_of(notion.lake)
        assert {key for key in leads if key.startswith("file-")} == {
            f"file-{n}" for n in range(turn + 1)
        }
        assert leads == expected(leads, there)
        assert len(leads) >= len(there.live())


def bring_in_a_process(data: str, what: str, start: float) -> int:
    """Wait for the moment, then write; return how many leads were inserted."""
    os.environ["LEADMARTS_DATA"] = data
    time.sleep(max(start - time.time(), 0))
    if what == "notion":
        return ingest(from_environment(), "Leads").loaded.upserted.inserted
    return load(LEADS_TABLE, Path(what)).upserted.inserted


@pytest.mark.parametrize("rounds", [2, pytest.param(30, marks=SOAK)])
def test_load_and_ingest_at_once_lose_nothing(notion, rounds):
    """The first round makes the table, the others change it; two processes, one moment."""
    there = notion.workspace
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for turn in range(rounds):
            for score in range(20):
                there.create({"Score": score})
            rows = "".join(f"file-{turn}-{n},{n}\n" for n in range(200))
            path = notion.lake.file(f"{turn}.csv", "id,owner\nfile-0-0,again\n" + rows)
            start = time.time() + (2.0 if turn == 0 else 0.2)
            work = [(str(notion.lake.data), what, start) for what in ("notion", str(path))]
            assert pool.starmap(bring_in_a_process, work, chunksize=1) == [20, 200]
            assert len(notion.lake.rows()) == 220 * (turn + 1)
            assert leads_of(notion.lake).keys() >= there.pages.keys()


@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=SOAK)])
def test_killed_at_any_moment(notion, kills):
    """Nothing is lost or doubled, and the next run needs no help."""
    there = notion.workspace
    dice = random.Random(kills)  # noqa: S311 - of a test
    environment = os.environ | {"LEADMARTS_DATA": str(notion.lake.data)}
    killed = 0
    while killed < kills:
        for _ in range(6):
            disturb(there, dice)
        there.create({"Date de prise de contact": {"start": "2026-02-30"}})
        before = leads_of(notion.lake)
        process = subprocess.Popen(
            [sys.executable, "-m", "lake", "ingest", "notion"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        asked = threading.Event()
        there.meanwhile = {1: asked.set}
        assert asked.wait(20)
        time.sleep(dice.uniform(0, 0.35))  # at any moment, which is what this is about
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        there.meanwhile = {}
        after = leads_of(notion.lake)
        assert after in (before, expected(before, there))
        notion.ingest()
        assert leads_of(notion.lake) == expected(before, there)
        assert len(notion.lake.rows()) == len(expected(before, there))
        rejects = [(row["digest"], row["line"]) for row in notion.lake.rows("leads_rejects")]
        assert len(rejects) == len(set(rejects))
        versions = notion.lake.versions()
        notion.ingest()
        assert notion.lake.versions() == versions

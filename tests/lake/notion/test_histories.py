"""After each reading the leads are what a plain model of the workspace says."""

from __future__ import annotations

import random
import shutil

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lake import exchange
from tests.lake.notion.oracle import disturb, expected, leads_of
from tests.lake.notion.workspace import Workspace, error

UNSHRUNK = [Phase.explicit, Phase.reuse, Phase.generate]
"""A history takes seconds to live through again, and its seed says as much as a shorter one."""

SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

runs = st.fixed_dictionaries(
    {
        "deeds": st.integers(0, 6),
        "full": st.sampled_from([False, False, False, True]),
        "file": st.booleans(),
        "again": st.sampled_from([False, False, True]),
        "faults": st.lists(
            st.sampled_from(
                [
                    error(429, "rate_limited", "Slow down.", Retry_After="0"),
                    error(500, "internal_server_error", "Sorry."),
                    error(503, "service_unavailable", "Later."),
                    (502, {"Content-Type": "text/html"}, b"<html>Bad gateway</html>"),
                    (200, {}, b'{"results": '),
                    "close",
                    "expire",
                ]
            ),
            max_size=2,
        ),
        "meanwhile": st.dictionaries(st.integers(3, 12), st.integers(1, 2), max_size=3),
    }
)


def follow(notion, seed: int, history: list[dict]) -> None:
    """Live through a history, and hold every quiet reading against the model."""
    large = seed % 2 == 0  # whether rows are exchanged as in a large table, or merged
    notion.monkeypatch.setattr(exchange, "LARGE", 0 if large else 1000)
    shutil.rmtree(notion.lake.data / "lake", ignore_errors=True)
    dice = random.Random(seed)  # noqa: S311 - of a test
    there = notion.server.workspace = Workspace(page_size=3, query_limit=9)
    files = 0
    for run in history:
        for _ in range(run["deeds"]):
            disturb(there, dice)
        if run["file"]:
            files += 1
            notion.lake.load(f"{files}.csv", f"id,owner\nfile-{files},x\n")
        before = leads_of(notion.lake)
        if run["meanwhile"]:
            there.meanwhile = {
                n: lambda deeds=deeds: [disturb(there, dice) for _ in range(deeds)]
                for n, deeds in run["meanwhile"].items()
            }
            notion.ingest(full=run["full"])
            there.meanwhile = {}
            during = leads_of(notion.lake)
            assert before.keys() <= during.keys(), "no lead is ever lost"
            of_files = {key: row for key, row in before.items() if "owner" in row}
            assert {key: during[key] for key in of_files} == of_files
            before = during
        there.faults = list(run["faults"])
        notion.ingest(full=run["full"])
        assert leads_of(notion.lake) == expected(before, there)
        if run["again"] or run is history[-1]:
            versions = notion.lake.versions()
            notion.ingest(full=run["full"])
            assert notion.lake.versions() == versions, "the same pages again change nothing"
        there.tick(60)


@settings(max_examples=7, deadline=None, suppress_health_check=SLOW, phases=UNSHRUNK)
@given(seed=st.integers(0, 2**32), history=st.lists(runs, min_size=2, max_size=4))
def test_some_histories(notion, seed, history):
    follow(notion, seed, history)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))  # so that several cores share them
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW, phases=UNSHRUNK)
@given(seed=st.integers(0, 2**32), history=st.lists(runs, min_size=2, max_size=5))
def test_many_histories(notion, part, seed, history):
    follow(notion, seed, history)

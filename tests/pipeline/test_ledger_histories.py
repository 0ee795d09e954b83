"""The ledger against a count in full, after long random histories of a table and its builds.

The count in full is plain Python over an account of the leads that the test keeps itself. Builds
are dbt runs of every model up to the counts by day. Some of them are killed, fail, stop half-way or
ask for an older version.
"""

from __future__ import annotations

import shutil
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from tests.pipeline.kept_leads import CHANGES, UPHEAVALS, UPKEEP, KeptLeads, count

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    from tests.pipeline.quick_dbt import QuickDbt

COUNTS = ("run", "-s", "+int_lead_events_daily")
LEDGER_ONLY = ("run", "-s", "+int_lead_event_ledger")

OPERATIONS = st.sampled_from(4 * CHANGES + UPKEEP + UPHEAVALS)
BUILDS = st.one_of(
    st.just(("whole", 0)),
    st.tuples(
        st.sampled_from(["whole", "dies", "older", "breaks", "ledger", "refresh", "empty"]),
        st.integers(1, 60),
    ),
)


def chapters(most: int) -> st.SearchStrategy[Any]:
    """Some operations on the table and then a build, again and again."""
    chapter = st.tuples(st.lists(OPERATIONS, max_size=4), BUILDS)
    return st.lists(chapter, min_size=2, max_size=most)


def daily(warehouse: Path) -> Counter[tuple[str, date]]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        rows = connection.sql(
            "select event_type, event_date, leads from intermediate.int_lead_events_daily"
        ).fetchall()
    counted = Counter({(event, day): leads for event, day, leads in rows})
    assert len(counted) == len(rows)
    return counted


def entries(warehouse: Path) -> Counter[tuple[Any, ...]]:
    if not warehouse.exists():
        return Counter()
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        try:
            return Counter(connection.sql("from intermediate.int_lead_event_ledger").fetchall())
        except duckdb.CatalogException:
            return Counter()


class History:
    """One lake and one warehouse, and what happens to them."""

    def __init__(self, dbt: QuickDbt, seed: int, zoned: bool, partitioned: bool) -> None:
        self.dbt = dbt
        shutil.rmtree(dbt.data, ignore_errors=True)
        dbt.data.mkdir()
        self.chance = Random(seed)  # noqa: S311 - it keeps no secret
        folder = dbt.data / "lake" / "leads"
        self.lake = KeptLeads(folder, self.chance, zoned=zoned, partitioned=partitioned)
        self.lake.make()
        self.warehouse = dbt.data / "warehouse.duckdb"

    def build(self, kind: str, number: int) -> None:
        before = entries(self.warehouse)
        if kind == "older":
            self.build_older(before)
        elif kind == "dies":
            assert self.dbt.run(*COUNTS, dies=number).code in {-9, 0}
        elif kind == "breaks":
            done = self.dbt.run(*COUNTS, breaks=True)
            if done.code != 0:
                assert "the disk is on fire" in done.output
                assert entries(self.warehouse) == before
        elif kind == "empty":
            assert self.dbt.run(*COUNTS, "--empty").code == 0
            assert entries(self.warehouse) == before
        elif kind == "ledger":
            done = self.dbt.run(*LEDGER_ONLY)
            assert done.code == 0, done.output
        else:
            self.build_whole("--full-refresh" if kind == "refresh" else None)
        if kind != "refresh":
            assert not before - entries(self.warehouse)  # it is only ever added to

    def build_whole(self, option: str | None = None) -> None:
        done = self.dbt.run(*COUNTS, *([option] if option else []))
        assert done.code == 0, done.output
        for mode in ("in full", "what changed", "already"):
            if f" {mode}" in done.output:
                event(f"counted {mode}")
        assert daily(self.warehouse) == count(self.lake.leads)
        again = entries(self.warehouse)
        if option:
            assert len({row[0] for row in again}) == 1

    def build_older(self, before: Counter[tuple[Any, ...]]) -> None:
        version = self.chance.choice(sorted(self.lake.versions))
        done = self.dbt.run(*COUNTS, "--vars", f"{{leads_version: {version}}}")
        if done.code != 0:  # it was vacuumed or forgotten
            assert "no longer kept" in done.output or "of its data files" in done.output
        else:
            assert daily(self.warehouse) == count(self.lake.versions[version])
        if done.code != 0 or "for this run only" in done.output:
            assert entries(self.warehouse) == before


@pytest.fixture(scope="module")
def live(quick_dbt: QuickDbt) -> Callable[..., None]:
    """Live a history through to its end."""

    def lived(seed: int, story: list[Any], zoned: bool, partitioned: bool) -> None:
        history = History(quick_dbt, seed, zoned, partitioned)
        for operations, build in story:
            for operation in operations:
                getattr(history.lake, operation)()
                event(operation)
            history.build(*build)
            event(f"a build: {build[0]}")
        if build[0] not in {"whole", "refresh"}:
            history.build_whole()

    return lived


def examples(number: int, most: int) -> Callable[..., Any]:
    arguments = given(
        seed=st.integers(0, 2**32 - 1),
        story=chapters(most),
        zoned=st.booleans(),
        partitioned=st.booleans(),
    )
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    return lambda test: settings(
        max_examples=number,
        deadline=None,
        suppress_health_check=checks,
        database=None,
        phases=[Phase.generate],  # shrinking a history takes minutes
    )(arguments(test))


@examples(10, most=2)
def test_the_ledger_counts_what_a_count_in_full_counts(
    live: Callable[..., None], seed: int, story: list[Any], zoned: bool, partitioned: bool
) -> None:
    live(seed, story, zoned, partitioned)


@pytest.mark.soak
@examples(200, most=12)
def test_the_ledger_counts_what_a_count_in_full_counts_over_long_histories(
    live: Callable[..., None], seed: int, story: list[Any], zoned: bool, partitioned: bool
) -> None:
    live(seed, story, zoned, partitioned)

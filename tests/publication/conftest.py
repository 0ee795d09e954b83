"""A store in a folder of its own, and marts to publish in it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import duckdb
import msgspec
import pytest

from publication import Build, Column, Draft, MartDraft, Source, Store
from publication.manifest import Test

WEEKLY = MartDraft(
    name="weekly",
    description='It\'s the "weeks"; one row per ISO week.',
    grain=("week_start",),
    scope="open",
    columns=(
        Column(name="week_start", type="date", nullable=False, description="A week's Monday."),
        Column(name="semaine", type="text", nullable=False, description="YYYY-Www."),
        Column(name="leads", type="bigint", nullable=True, description="How many."),
    ),
    tests=(Test(name="grain_weekly", status="passed"),),
)
WEEKLY_SQL = """
    create table weekly as
    select
        date '2024-12-30' + 7 * range::int as week_start,
        strftime(week_start, '%G-W%V') as semaine,
        {leads} + range::bigint as leads
    from range(10) order by 1
"""


_watching = []


def _audit(event, args):
    if _watching:
        watch = _watching.pop()  # what it does itself is not watched
        try:
            watch(event, args)
        finally:
            _watching.append(watch)


sys.addaudithook(_audit)  # can never be taken back


@pytest.fixture
def watched():
    """Call a function right before all that Python does; what it raises, that step raises."""

    @contextmanager
    def watched(watch):
        _watching.append(watch)
        try:
            yield
        finally:
            _watching.clear()

    return watched


@pytest.fixture
def draft():
    """A draft of one mart, ``weekly``."""
    return Draft(
        build=Build(
            invocation_id="9d1f",
            command="dbt build",
            project_version="1.2.3",
            git_commit="8206860",
            tests="passed",
        ),
        sources=(
            Source(
                name="leads",
                uri="data/lake/leads",
                table_id="4f2a",
                version=7,
                committed_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            ),
        ),
        marts=(WEEKLY,),
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "data" / "publications", tmp_path / "data" / "marts.duckdb")


@pytest.fixture
def publish(store, draft):
    """Publish the mart ``weekly``; other numbers make other content."""

    def publish(leads=0, into=store, sql=WEEKLY_SQL, **changes):
        staged = into.stage("9d1f")
        with duckdb.connect(staged) as connection:
            connection.execute(sql.format(leads=leads))
        return into.publish(staged, msgspec.structs.replace(draft, **changes))

    return publish


@pytest.fixture
def keep_one(store):
    """The same folder, where only the current publication is kept."""
    return Store(store.folder, store.link, keep=1, keep_for=timedelta(0))


@pytest.fixture
def files():
    """The names of everything in a store's folder that a reader may see, and the staged ones."""

    def files(store):
        names = {path.name for path in store.folder.iterdir()} - {".clock", ".lock", ".staging"}
        return names | {path.name for path in (store.folder / ".staging").glob("*")}

    return files

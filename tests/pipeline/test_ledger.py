"""What is counted when: the changes, everything, or nothing, and what dbt says of it."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lake.changes import CHECKSUM, Changes, Mode, Seen, changes_of
from lake.pinned import pin
from tests.pipeline.kept_leads import FEED, KeptLeads, count

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from tests.pipeline.conftest import Project
    from tests.pipeline.quick_dbt import QuickDbt

ROOT = Path(__file__).parents[2]
COUNTS = ("run", "-s", "+int_lead_events_daily")


@pytest.fixture
def leads(tmp_path: Path) -> KeptLeads:
    """A table in version 3, with a copy of its version 2 aside."""
    kept = KeptLeads(tmp_path / "leads", Random(7))  # noqa: S311 - it keeps no secret
    kept.make()
    kept.insert()
    kept.insert()
    kept.back_up()
    kept.insert()
    return kept


def seen_at(kept: KeptLeads, version: int) -> Seen:
    """What a ledger would hold that has seen a version."""
    changes = changes_of(pin("leads", str(kept.folder), str(version)), None)
    return Seen(1, str(kept.table.metadata().id), version, changes.commit, "code", tested=True)


def changes_since(kept: KeptLeads, seen: Seen, version: str = "latest") -> Changes:
    return changes_of(pin("leads", str(kept.folder), version), seen)


def rows(changes: Changes) -> list[tuple[Any, ...]]:
    query = "select id, _change_type from changes order by all"
    with duckdb.connect() as connection:
        connection.register("changes", changes.scan)
        first, second = (connection.execute(query).fetchall() for _ in range(2))
    assert first == second  # it can be read again
    return first


def test_the_changes_since_a_version_are_read_again_and_again(leads: KeptLeads) -> None:
    seen = seen_at(leads, leads.version)
    before = {**leads.leads}
    leads.merge()
    leads.compact()
    leads.delete()
    changes = changes_since(leads, seen)
    assert changes.mode is Mode.CHANGES
    assert changes.reason == f"version {seen.version} has been counted"
    images = rows(changes)
    ends = {one for one, kind in images if kind in {"insert", "update_postimage"}}
    assert {one for one, kind in images if kind in {"delete", "update_preimage"}} <= before.keys()
    assert ends >= leads.leads.keys() - before.keys() != set()
    middle = changes_since(leads, seen, str(seen.version + 1))
    assert "delete" not in {kind for _, kind in rows(middle)} != set()


def test_a_version_that_was_seen_has_no_changes(leads: KeptLeads) -> None:
    changes = changes_since(leads, seen_at(leads, leads.version))
    assert (changes.mode, rows(changes)) == (Mode.SEEN, [])


def test_an_older_version_is_counted_aside(leads: KeptLeads) -> None:
    changes = changes_since(leads, seen_at(leads, 3), "1")
    assert (changes.mode, rows(changes)) == (Mode.ASIDE, [])
    assert changes.reason == "version 3 has been counted already"


def off_and_on(kept: KeptLeads) -> None:
    kept.feed_off()
    kept.insert()
    kept.feed_on()
    kept.insert()


def vacuumed(kept: KeptLeads) -> None:
    kept.merge()
    kept.vacuum()


def entry_lost(kept: KeptLeads) -> None:
    """Lose one entry that no reader of the newest version needs."""
    kept.insert()
    kept.insert()
    kept.table.create_checkpoint()
    (kept.folder / "_delta_log" / f"{kept.version - 1:020}.json").unlink()


def forgotten(kept: KeptLeads) -> None:
    kept.insert()
    kept.forget()


def gone_on_differently(kept: KeptLeads) -> None:
    """Put an older copy back and write to it until the version that was seen has come again."""
    kept.put_back()
    kept.insert()
    kept.insert()


def retyped(kept: KeptLeads) -> None:
    table = pa.table({"id": ["a"], "origin": [1]})
    write_deltalake(kept.folder, table, mode="overwrite", schema_mode="overwrite")


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (KeptLeads.feed_off, "its change data feed is off"),
        (off_and_on, "its change data feed was off in version 4"),
        (vacuumed, "files that tell the changes of version 4"),
        (entry_lost, "the log of its version 4 is gone"),
        (forgotten, "the log of its version 3 is gone"),
        (KeptLeads.make, "the table was made anew"),
        (gone_on_differently, "its version 3 is not the one that was counted"),
        (retyped, "its column date_prise_contact became another in version 4"),
    ],
)
def test_where_the_feed_cannot_be_trusted_everything_is_counted(
    leads: KeptLeads, happens: Callable[[KeptLeads], None], reason: str
) -> None:
    seen = seen_at(leads, 3)
    happens(leads)
    changes = changes_since(leads, seen)
    assert (changes.mode, rows(changes)) == (Mode.FULL, [])
    assert reason in changes.reason


def test_a_feed_that_was_off_at_the_version_that_was_seen_is_not_trusted(leads: KeptLeads) -> None:
    leads.make(feed=False)
    seen = seen_at(leads, 0)
    leads.feed_on()
    leads.insert()
    changes = changes_since(leads, seen)
    assert (changes.mode, changes.reason) == (
        Mode.FULL,
        "its change data feed was off in version 0",
    )


def test_deletion_vectors_and_unknown_features_are_counted_in_full(leads: KeptLeads) -> None:
    seen = seen_at(leads, 3)
    leads.insert()
    entry = leads.folder / "_delta_log" / f"{leads.version:020}.json"
    plain = entry.read_text()
    features = {"minReaderVersion": 3, "minWriterVersion": 7}
    features |= {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    entry.write_text(json.dumps({"protocol": features}) + "\n" + plain)
    assert changes_since(leads, seen).reason == "it uses deletionVectors"
    actions = [json.loads(line) for line in plain.splitlines()]
    for action in actions:
        if "add" in action:
            action["add"]["deletionVector"] = {"storageType": "u", "pathOrInlineDv": "x" * 20}
            action["add"]["deletionVector"] |= {"sizeInBytes": 1, "cardinality": 1}
    entry.write_text("\n".join(map(json.dumps, actions)))
    leads.insert()
    assert changes_since(leads, seen).reason == "its version 4 has deletion vectors"


def test_a_feed_that_lost_a_file_is_counted_in_full(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b"], "origin": ["é/ç", "plain"]})
    write_deltalake(
        tmp_path / "leads", table, partition_by=["origin"], configuration={FEED: "true"}
    )
    kept = KeptLeads(tmp_path / "leads", Random(7))  # noqa: S311 - it keeps no secret
    seen = seen_at(kept, 0)
    DeltaTable(kept.folder).update(updates={"id": "'c'"}, predicate="id = 'a'")
    assert rows(changes_since(kept, seen)) == [("a", "update_preimage"), ("c", "update_postimage")]
    (told,) = kept.folder.glob("_change_data/*/*.parquet")
    told.unlink()
    changes = changes_since(kept, seen)
    assert changes.mode is Mode.FULL
    assert changes.reason == "1 of the files that tell the changes of version 1 is gone"


def test_a_damaged_entry_is_counted_in_full(leads: KeptLeads) -> None:
    seen = seen_at(leads, 2)
    pinned = pin("leads", str(leads.folder))
    (leads.folder / "_delta_log" / f"{3:020}.json").write_text("{broken")
    changes = changes_of(pinned, seen)
    assert changes.mode is Mode.FULL
    assert changes.reason.startswith("its changes cannot be read (")


def counted(warehouse: Path) -> dict[tuple[str, date], int]:
    query = "select event_type, event_date, leads from intermediate.int_lead_events_daily"
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return {(event, day): leads for event, day, leads in connection.sql(query).fetchall()}


class Built:
    """A lake of leads and the warehouse that is built from it."""

    def __init__(self, dbt: QuickDbt) -> None:
        self.dbt = dbt
        shutil.rmtree(dbt.data, ignore_errors=True)
        dbt.data.mkdir()
        self.lake = KeptLeads(dbt.data / "lake" / "leads", Random(7))  # noqa: S311 - no secret
        self.lake.make()
        self.lake.insert()

    def ask(self, sql: str) -> list[Any]:
        with duckdb.connect(str(self.dbt.data / "warehouse.duckdb"), read_only=True) as warehouse:
            return warehouse.sql(sql).fetchall()

    @property
    def ledger(self) -> list[Any]:
        return self.ask("from intermediate.int_lead_event_ledger order by all")

    def run(self, *words: str, **environment: str) -> str:
        """Run the models up to the counts by day; return the line that says what is counted."""
        done = self.dbt.run(*(words or COUNTS), **environment)
        assert done.code == 0, done.output
        (said,) = [
            line for line in done.output.splitlines() if "leads" in line and " counted" in line
        ]
        return said.split("  ")[-1]

    def is_right(self, version: int | None = None) -> bool:
        lake = self.lake
        wanted = lake.leads if version is None else lake.versions[version]
        return counted(self.dbt.data / "warehouse.duckdb") == count(wanted)


@pytest.fixture
def built(quick_dbt: QuickDbt) -> Built:
    """A lake in version 1 that was counted once."""
    built = Built(quick_dbt)
    assert built.run() == "The leads are counted in full: there is no earlier count."
    assert built.is_right()
    return built


def test_what_changed_is_added_to_what_was_counted(built: Built) -> None:
    first = built.ledger
    built.lake.merge()
    built.lake.delete()
    assert built.run() == "Of the leads, what changed from version 1 to 3 is counted."
    second = built.ledger
    assert built.is_right()
    added = [row for row in second if row not in first]
    assert len(second) == len(first) + len(added)
    names = ["entry", "from_version", "to_version", "tested"]
    assert built.ask(
        f"select distinct {', '.join(names)} from intermediate.int_lead_event_ledger "
        "where entry = 2"
    ) == [(2, 1, 3, False)]

    built.lake.order()
    built.run()
    (seen,) = [row for row in built.ledger if row not in second]  # or it would be read every time
    assert seen[:4] == (3, None, None, 0)
    assert built.run() == "The leads are counted already: nothing has changed since version 4."
    assert len(built.ledger) == len(second) + 1

    older = built.run(*COUNTS, "--vars", "{leads_version: 2}")
    assert older.startswith("The leads of version 2 are counted in full, and for this run only:")
    assert built.is_right(version=2)
    assert built.dbt.run(*COUNTS, "--empty").code == 0
    assert built.ask("from intermediate.int_lead_events_daily") == []
    assert len(built.ledger) == len(second) + 1
    built.lake.insert()
    assert built.run() == "Of the leads, what changed from version 4 to 5 is counted."
    assert built.is_right()

    said = built.run(*COUNTS, "--full-refresh")
    assert said == "The leads are counted in full: --full-refresh was asked for."
    assert {row[0] for row in built.ledger} == {5}
    assert built.is_right()


def test_other_code_or_another_time_zone_counts_in_full(built: Built) -> None:
    changed = "The leads are counted in full: the code that counts them has changed."
    assert built.run(*COUNTS, LEADMARTS_TIMEZONE="Asia/Tokyo") == changed
    assert built.run() == changed
    with duckdb.connect(str(built.dbt.data / "warehouse.duckdb")) as warehouse:
        (view,) = warehouse.sql(
            "select sql from duckdb_views() where view_name = 'stg_leads'"
        ).fetchall()[0]
        warehouse.register("leads", pin("leads", str(built.lake.folder)).scan)
        other = view.replace("FROM leads WHERE ", "FROM leads WHERE id != 'lead-1' AND ")
        assert other != view, view
        warehouse.execute(other.replace("CREATE VIEW", "CREATE OR REPLACE VIEW"))
    assert built.run("run", "-s", "int_lead_event_ledger") == changed
    assert built.run("run", "-s", "int_lead_event_ledger") != changed


def test_leads_are_tested_where_they_changed_until_they_have_passed(built: Built) -> None:
    def build() -> tuple[int, bool]:
        done = built.dbt.run("build")
        return done.code, "FAIL 1 unique_stg_leads_lead_id" in done.output

    def insert_twice(identity: str) -> None:
        lead = built.lake._lead(identity)
        rows = built.lake._rows([lead, lead])
        write_deltalake(built.lake.folder, rows, mode="append")

    insert_twice("twice")
    built.run()
    assert build() == (1, True)  # it is counted already, but by a run without tests
    built.lake.table.delete("id = 'twice'")
    assert build() == (0, False)
    passed = built.ledger
    assert {row[0]: row[-2] for row in passed} == {1: False, 2: False, 3: True}
    insert_twice("again")
    assert build() == (1, True)
    assert built.ledger == passed  # what did not pass is not counted, and is tested again


def test_a_lead_without_an_id_that_was_deleted_again_keeps_no_build_red(built: Built) -> None:
    assert built.dbt.run("build").code == 0
    write_deltalake(built.lake.folder, built.lake._rows([{"id": None}]), mode="append")
    red = built.dbt.run("build")
    assert (red.code, "FAIL 1 not_null_stg_leads_lead_id" in red.output) == (1, True)
    built.lake.table.delete("id is null")
    green = built.dbt.run("build")
    assert green.code == 0, green.output
    assert "Of the leads, what changed from version 1 to 3 is counted." in green.output


CHECK = ("test", "-s", "the_ledger_counts_the_leads")


def add_a_thousand(built: Built) -> None:
    """Change one row of the ledger, as nobody should."""
    with duckdb.connect(str(built.dbt.data / "warehouse.duckdb")) as warehouse:
        warehouse.execute(
            "update intermediate.int_lead_event_ledger set leads = leads + 1000 "
            "where rowid = (select min(rowid) from intermediate.int_lead_event_ledger "
            "where event_type is not null)"
        )


def test_a_ledger_that_was_changed_fails_its_test_and_is_counted_anew(built: Built) -> None:
    assert built.dbt.run(*CHECK).code == 0
    add_a_thousand(built)
    assert built.dbt.run(*CHECK).code == 1
    built.lake.insert()
    assert built.dbt.run(*CHECK).code == 1
    build = built.dbt.run("build", "-s", "+int_lead_events_daily")
    assert build.code == 0, build.output
    assert (
        "The leads are counted in full: the ledger is not as the last build left it."
        in build.output
    )
    assert built.is_right()
    built.lake.insert()
    assert built.run() == "Of the leads, what changed from version 2 to 3 is counted."
    assert built.is_right()


def test_the_ledger_is_compared_with_all_leads_at_its_version_and_after_changes(
    built: Built,
) -> None:
    add_a_thousand(built)
    with duckdb.connect(str(built.dbt.data / "warehouse.duckdb")) as warehouse:
        warehouse.execute(
            f"update intermediate.int_lead_event_ledger set checksum = (select {CHECKSUM} "
            "from intermediate.int_lead_event_ledger)"
        )
    forged = built.dbt.run(*CHECK)
    assert (forged.code, "Got 1 result" in forged.output) == (1, True)
    built.lake.merge()
    assert built.dbt.run(*CHECK).code == 1
    assert built.run(*COUNTS, "--full-refresh")
    built.lake.merge()
    built.lake.delete()
    assert built.dbt.run(*CHECK).code == 0


def test_a_ledger_without_a_checksum_is_counted_anew_and_goes_on(built: Built) -> None:
    with duckdb.connect(str(built.dbt.data / "warehouse.duckdb")) as warehouse:
        warehouse.execute("alter table intermediate.int_lead_event_ledger drop column checksum")
    built.lake.insert()
    tested = built.dbt.run(*CHECK)
    assert tested.code == 0, tested.output
    assert built.run().endswith("full: the ledger is of an older version of Lead Marts.")
    assert built.is_right()
    assert {row[0] for row in built.ledger} == {1, 2}
    assert built.run() == "The leads are counted already: nothing has changed since version 2."


def test_an_edit_of_what_makes_an_entry_counts_in_full(project: Project, tmp_path: Path) -> None:
    KeptLeads(project.leads, Random(7)).make()  # noqa: S311 - it keeps no secret
    root = tmp_path / "checkout"
    root.mkdir()
    for name in ("dbt_project.yml", "profiles.yml", "seeds", "tests"):
        (root / name).symlink_to(ROOT / name)
    for name in ("macros", "models"):
        shutil.copytree(ROOT / name, root / name)
    ledger = ("run", "-s", "+int_lead_event_ledger")
    assert "there is no earlier count." in project.dbt(*ledger, cwd=root).stdout
    macro = root / "macros" / "lead_ledger.sql"
    entry = macro.read_text()
    edited = entry.replace(
        "        -leads\n    from {{ ledger }}", "        -1 * leads\n    from {{ ledger }}"
    )
    assert edited != entry
    macro.write_text(edited)
    changed = "The leads are counted in full: the code that counts them has changed."
    assert changed in project.dbt(*ledger, cwd=root).stdout

    model = root / "models" / "intermediate" / "int_lead_event_ledger.sql"
    config, macro_call = model.read_text().split("{{ lead_ledger_entry(")
    model.write_text(
        config + "select * from (\n{{ lead_ledger_entry(" + macro_call + ") as entry\n"
        "where event_date is null or event_date < date '2024-01-01'\n"
    )
    assert changed in project.dbt(*ledger, cwd=root).stdout
    assert changed not in project.dbt(*ledger, cwd=root).stdout


def test_a_build_that_is_killed_counts_nothing_twice_and_loses_nothing(built: Built) -> None:
    built.lake.merge()
    assert built.dbt.run(*COUNTS, dies=50).code == -9
    built.run()
    assert built.is_right()


@pytest.mark.soak
def test_a_build_may_be_killed_before_any_statement(built: Built) -> None:
    killed = 0
    for statement in range(1, 200):
        built.lake.merge()
        code = built.dbt.run(*COUNTS, dies=statement).code
        built.run()
        assert built.is_right(), statement
        if code == 0:
            break
        killed += 1
    assert killed > 40


@pytest.mark.soak
def test_whole_builds_may_be_killed_at_any_moment(project: Project) -> None:
    """With what a person types, `kill -9` from outside, and no step that we chose."""
    chance = Random()  # noqa: S311 - it keeps no secret
    lake = KeptLeads(project.leads, chance)
    lake.make()
    started = time.monotonic()
    assert project.dbt("build").returncode == 0
    whole = time.monotonic() - started
    killed = 0
    while killed < 100:
        lake.merge()
        build = project.start("dbt", "build")
        # Most of the time is spent before anything is done.
        time.sleep(chance.uniform(0.5, 1) * whole)
        build.kill()
        build.communicate()
        killed += build.returncode == -9
        if build.returncode == 0:  # the machine has become quicker
            whole *= 0.9
        if chance.random() < 0.1:
            done = project.dbt("build")
            assert done.returncode == 0, done.stdout
            assert counted(project.data / "warehouse.duckdb") == count(lake.leads)
    done = project.dbt("build")
    assert done.returncode == 0, done.stdout
    assert counted(project.data / "warehouse.duckdb") == count(lake.leads)

"""What crashed runs and people left is put right by the next run, which says so."""

from __future__ import annotations

import os
import shutil

import duckdb
import pytest

from publication import Draft, DraftRejected, Store


@pytest.fixture
def heard():
    return []


@pytest.fixture
def store(tmp_path, heard):
    """In place of the other tests' store: one whose warnings are kept."""
    data = tmp_path / "data"
    return Store(data / "publications", data / "marts.duckdb", warn=heard.append)


def test_nothing_to_repair(store, publish, heard):
    assert store.repair() == []
    publish()
    assert store.repair() == heard == []


def test_what_was_left_is_removed_and_named(store, publish, heard):
    publish()
    left = store.folder / ".staging" / "crashed-1"
    left.mkdir()
    (left / "marts.duckdb").write_text("half")
    (store.folder / "000002-00000000.duckdb").write_text("half")
    (store.folder / ".writing").write_text("half")
    sentence = (
        "Removed what a run that did not end has left: crashed-1, .writing, 000002-00000000.duckdb."
    )
    assert store.repair() == [sentence]
    assert store.repair() == []
    left.mkdir()
    (left / "marts.duckdb").write_text("half")
    assert publish(leads=1).number == 2
    assert heard == ["Removed what a run that did not end has left: crashed-1."]


def lead_astray(link):
    link.unlink()
    link.symlink_to("publications/000001-00000000.duckdb")


def lead_to_itself(link):
    link.unlink()
    link.symlink_to(link.name)


@pytest.mark.parametrize(
    "spoil", [lead_astray, lead_to_itself, lambda link: link.unlink()], ids=["off", "loop", "none"]
)
def test_a_link_that_does_not_lead_to_the_current_one(store, publish, heard, spoil):
    file = store.path(publish())
    spoil(store.link)
    left = store.link.with_name(".marts.duckdb.writing")
    left.symlink_to("publications/of-a-run-that-was-killed.duckdb")
    sentence = f"{store.link} did not lead to the current publication; now it does."
    assert store.repair() == [sentence]
    assert store.link.resolve() == file.resolve()
    assert not os.path.lexists(left)
    spoil(store.link)
    store.discard(store.stage("a run that will fail"))
    assert heard == [sentence]
    assert store.link.resolve() == file.resolve()


def test_a_half_link_beside_one_that_is_right(store, publish):
    """Its run was killed before it replaced the link, or the pointer."""
    file = store.path(publish())
    left = store.link.with_name(".marts.duckdb.writing")
    left.symlink_to("publications/of-a-run-that-was-killed.duckdb")
    assert store.repair() == [
        "Removed what a run that did not end has left: .marts.duckdb.writing."
    ]
    assert not os.path.lexists(left)
    assert store.link.resolve() == file.resolve()


def test_the_current_one_stays_though_its_manifest_was_lost(store, publish, heard):
    """No publisher leaves it so. With the manifest back it is what it was."""
    publish(leads=1)
    newest = publish(leads=2)
    manifest = store.path(newest).with_suffix(".json")
    whole = manifest.read_bytes()
    manifest.unlink()
    (sentence,) = store.repair()
    assert sentence.startswith(f"The manifest of the current publication, {manifest}, is missing")
    staged = store.stage("a run that will fail")
    with pytest.raises(DraftRejected):
        store.publish(staged, Draft(build=newest.build, sources=(), marts=()))
    assert heard == [sentence]
    manifest.write_bytes(whole)
    manifest.chmod(0o444)
    store.verify(2)
    manifest.unlink()
    assert publish(leads=3).number == 3
    assert store.repair() == [f"Removed what a run that did not end has left: {newest.file}."]


def test_numbers_rise_though_the_folder_was_deleted(store, publish, heard):
    for number in (1, 2, 3):
        assert publish(leads=number).number == number
    shutil.rmtree(store.folder)
    assert publish(leads=4).number == 4
    assert [manifest.number for manifest in store.manifests()] == [4]


def test_a_file_that_an_analyst_made_by_a_link_to_nothing(store, publish, heard):
    """DuckDB makes a file where a link leads nowhere, unless it is opened read-only."""
    publish(leads=1)
    newest = publish(leads=2)
    store.path(newest).unlink()
    store.path(newest).with_suffix(".json").unlink()
    with duckdb.connect(store.link) as connection:
        connection.execute("create table mine as select 1")
    assert store.path(newest).exists()
    assert publish(leads=3).number == 3
    assert [sentence.partition(",")[0] for sentence in heard] == [
        "The manifest of the current publication"
    ]
    with duckdb.connect(store.link, read_only=True) as connection:
        assert connection.execute("select min(leads) from weekly").fetchall() == [(3,)]
    assert [manifest.number for manifest in store.manifests()] == [3, 1]
    assert store.repair() == [f"Removed what a run that did not end has left: {newest.file}."]

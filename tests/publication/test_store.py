"""Publishing, reading, verifying, rolling back."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from publication import (
    PlaceUnusable,
    PublicationBroken,
    PublicationGone,
    PublicationNotYet,
    RollbackPointless,
    Store,
    connect,
)


def test_nothing_published_yet(store):
    assert store.pointer() is None
    assert store.current() is None
    assert store.manifests() == []
    with pytest.raises(PublicationNotYet, match="nothing was published yet; run `dbt build`"):
        store.manifest(1)
    with pytest.raises(PublicationNotYet):
        store.rollback(1)
    assert not store.folder.exists()


def test_a_publication_says_what_it_is(store, publish, draft, files):
    before = datetime.now(UTC)
    manifest = publish()
    assert manifest.number == 1
    assert manifest.file == f"000001-{manifest.digest.removeprefix('sha256:')[:8]}.duckdb"
    assert manifest.sha256 == hashlib.sha256(store.path(manifest).read_bytes()).hexdigest()
    assert before <= manifest.built_at <= datetime.now(UTC)
    assert manifest.rolled_back_to is None
    assert manifest.build == draft.build
    assert manifest.sources == draft.sources
    (mart,) = manifest.marts
    assert mart.rows == 10
    assert [(c.name, c.type, c.nullable) for c in mart.columns] == [
        ("week_start", "DATE", False),
        ("semaine", "VARCHAR", False),
        ("leads", "BIGINT", True),
    ]
    assert store.manifest(1) == store.current() == manifest
    pointer = store.pointer()
    assert (pointer.number, pointer.file, pointer.digest) == (1, manifest.file, manifest.digest)
    assert files(store) == {"current.json", manifest.file, manifest.file[:-6] + "json"}
    store.verify(1)


def test_a_file_is_read_only_and_of_the_old_storage_version(store, publish):
    path = store.path(publish())
    assert path.stat().st_mode & 0o777 == 0o444
    assert path.with_suffix(".json").stat().st_mode & 0o777 == 0o444
    with connect(path) as connection:
        versions = connection.execute(
            "select tags['storage_version'] from duckdb_databases() where path is not null"
        ).fetchall()
    assert versions == [("v1.2.0+",)]


def test_a_file_tells_an_analyst_what_it_is(store, publish):
    manifest = publish()
    with connect(store.path(manifest)) as connection:
        query = lambda sql: connection.execute(sql).fetchall()  # noqa: E731 short and local
        assert query("select comment from duckdb_tables() where table_name = 'weekly'") == [
            ('It\'s the "weeks"; one row per ISO week.',)
        ]
        assert query(
            "select name, data_type, comment from (from duckdb_columns() select "
            "column_name as name, data_type, comment, table_name) "
            "where table_name = 'weekly' and name = 'week_start'"
        ) == [("week_start", "DATE", "A week's Monday.")]
        assert query('select column_name, "null" from (describe weekly)') == [
            ("week_start", "NO"),
            ("semaine", "NO"),
            ("leads", "YES"),
        ]
        assert query("from meta.build") == [
            (manifest.built_at, "9d1f", "dbt build", "1.2.3", "8206860", "passed")
        ]
        assert query("from meta.sources") == [
            ("leads", "data/lake/leads", "4f2a", 7, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
        ]
        assert query("select mart, grain, scope from meta.marts") == [
            ("weekly", ["week_start"], "open")
        ]
        assert query("select position, name, type, nullable from meta.columns") == [
            (1, "week_start", "DATE", False),
            (2, "semaine", "VARCHAR", False),
            (3, "leads", "BIGINT", True),
        ]
        assert query("from meta.tests") == [("weekly", "grain_weekly", "passed")]


def test_equal_content_is_published_again_with_an_equal_digest(publish):
    first, second, third = publish(), publish(), publish(leads=1)
    assert (first.number, second.number, third.number) == (1, 2, 3)
    assert first.digest == second.digest != third.digest


def test_numbers_beyond_the_current_are_not_yet(store, publish):
    publish()
    for number in (-1, 0, 2):
        with pytest.raises(PublicationNotYet, match="they go from 1 to 1"):
            store.manifest(number)


def test_rollback_publishes_old_content_under_the_next_number(store, publish):
    old, _ = publish(leads=1), publish(leads=2)
    new = store.rollback(1)
    assert (new.number, new.rolled_back_to) == (3, 1)
    assert (new.digest, new.sha256, new.built_at) == (old.digest, old.sha256, old.built_at)
    assert old.built_at < old.published_at < new.published_at
    assert new.file == f"000003-{old.file[7:]}"
    assert store.current() == new
    assert store.link.resolve() == store.path(new).resolve()
    for number in (1, 2, 3):
        store.verify(number)


def test_rollback_outlives_what_it_repeats(store, publish, keep_one):
    publish(leads=1)
    publish(leads=2)
    new = keep_one.rollback(1)
    assert [manifest.number for manifest in store.manifests()] == [3]
    store.verify(new.number)


def test_rollback_refuses_the_current_the_gone_and_the_broken(store, publish, keep_one):
    publish(leads=1)
    publish(leads=2)
    with pytest.raises(RollbackPointless, match="2 is current already"):
        store.rollback(2)
    store.path(store.manifest(1)).chmod(0o644)
    with pytest.raises(PublicationBroken, match="mode 0644"):
        store.rollback(1)
    publish(leads=3, into=keep_one)
    with pytest.raises(PublicationGone, match="1 is gone"):
        store.rollback(1)
    with pytest.raises(PublicationNotYet):
        store.rollback(4)
    assert store.pointer().number == 3


def test_the_newest_and_the_young_are_kept(store, publish):
    few = Store(store.folder, store.link, keep=2, keep_for=timedelta(hours=1))
    for number in range(4):
        publish(leads=number, into=few)
    assert [manifest.number for manifest in store.manifests()] == [4, 3, 2, 1]
    hour_ago = datetime.now(UTC).timestamp() - 3601
    for manifest in store.manifests():
        path = store.path(manifest).with_suffix(".json")
        os.utime(path, (hour_ago, hour_ago))
    publish(leads=5, into=few)
    assert [manifest.number for manifest in store.manifests()] == [5, 4]
    with pytest.raises(PublicationGone, match="3 is gone"):
        store.manifest(3)


def test_a_reader_reads_on_after_its_publication_is_removed(store, publish, keep_one):
    first = publish(leads=100)
    with connect(store.path(first)) as reader:
        publish(leads=200, into=keep_one)
        assert not store.path(first).exists()
        assert reader.execute("select min(leads), count(*) from weekly").fetchall() == [(100, 10)]


def test_the_link_is_relative_and_follows(store, publish, tmp_path):
    publish()
    publish(leads=1)
    assert not store.link.readlink().is_absolute()
    (tmp_path / "data").rename(tmp_path / "moved")
    with connect(tmp_path / "moved" / "marts.duckdb") as connection:
        assert connection.execute("select min(leads) from weekly").fetchall() == [(1,)]


def test_attached_by_the_link_the_catalogue_has_a_name_that_stays(store, publish):
    for leads in range(2):
        publish(leads=leads)
        with duckdb.connect() as analyst:
            analyst.execute(f"attach '{store.link}' as marts (read_only)")
            found = analyst.execute("select min(leads) from marts.main.weekly").fetchall()
            assert found == [(leads,)]


def test_a_file_where_the_link_should_be_is_not_lost(store, publish, files):
    publish()
    pointer = (store.folder / "current.json").read_bytes()
    store.link.unlink()
    store.link.write_text("an analyst's own")
    with pytest.raises(PlaceUnusable, match=r"marts\.duckdb is no symbolic link"):
        publish(leads=1)
    assert store.link.read_text() == "an analyst's own"
    assert (store.folder / "current.json").read_bytes() == pointer


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path, publish):
    (tmp_path / "file").write_text("")
    with pytest.raises(PlaceUnusable, match=r"cannot be written: .*Not a directory"):
        publish(into=Store(tmp_path / "file" / "publications"))

"""A disk that is really full, or really read-only: a small file system of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import duckdb
import pytest

from publication import PlaceUnusable, Store, connect
from publication import builder as building
from publication.run import BuiltMart, Run

SIZE = 8 << 20
PAGE = 4096


@pytest.fixture
def disk(tmp_path):
    """A file system with room for 8 MiB, mounted below the test's folder."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a file system, and here only on Linux")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def store(disk):
    """In place of the other tests' store: on that disk, where two publications are kept."""
    return Store(disk / "publications", disk / "marts.duckdb", keep=2)


@pytest.fixture
def remount(disk):
    def remount(how):
        subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)

    return remount


class Ballast:
    """A file that leaves so much room on the disk and no more."""

    def __init__(self, folder):
        self._path = folder / "ballast"

    def leave(self, room):
        self._path.unlink(missing_ok=True)
        free = shutil.disk_usage(self._path.parent).free
        with self._path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - room)

    def drop(self):
        self._path.unlink()


@pytest.fixture
def build(store, draft, tmp_path):
    """Publish as dbt does, from a warehouse that is not on the full disk."""
    warehouse = duckdb.connect()
    warehouse.execute(
        "create table weekly as select date '2024-12-30' + 7 * range::int as week_start, "
        "strftime(week_start, '%G-W%V') as semaine, 1::bigint as leads from range(20000)"
    )
    mart = draft.marts[0]
    fields = {name: getattr(mart, name) for name in mart.__struct_fields__}
    built = BuiltMart(relation="weekly", keys=(), **fields)
    run = Run(
        project_dir=os.fspath(tmp_path),
        invocation_id="9d1f",
        command="dbt build",
        tests="passed",
        marts=(built,),
    )

    (tmp_path / "dbt_project.yml").write_text("version: 1.0.0")
    yield lambda: building.publish(store, warehouse, run, draft.sources)
    warehouse.close()


@pytest.mark.parametrize("step", [28 * PAGE, pytest.param(PAGE, marks=pytest.mark.soak)])
def test_a_full_disk_keeps_what_is_published(disk, store, build, step):
    """Little room, and then a bit more each time, until there is enough."""
    build()
    current = build()
    ballast, sentences = Ballast(disk), []
    for room in range(0, SIZE, step):
        ballast.leave(room)
        try:
            made = build()
        except PlaceUnusable as error:
            sentences.append(str(error))
            assert store.current() == current
            assert [one.number for one in store.manifests()] == [2, 1]
            with connect(store.path(current)) as reader:
                assert reader.execute("select count(*) from weekly").fetchall() == [(20000,)]
            assert store.link.resolve() == store.path(current).resolve()
        else:
            break
    assert len(sentences) > 3
    for sentence in sentences:
        assert sentence.endswith("; make room there, then publish again."), sentence
        assert "\n" not in sentence
    assert made.number == 3
    store.verify(3)
    ballast.drop()
    assert build().number == 4
    assert store.link.resolve() == store.path(store.current()).resolve()
    assert not list((store.folder / ".staging").iterdir())


def test_a_disk_that_becomes_read_only(store, build, remount):
    build()
    current = build()
    remount("ro")
    try:
        for action in (build, lambda: store.rollback(1), store.repair):
            with pytest.raises(PlaceUnusable) as refused:
                action()
            assert str(refused.value).endswith(
                "; mount it so that it can be written, then publish again."
            )
        assert store.current() == current
        store.verify(2)
        with connect(store.link.resolve()) as reader:
            assert reader.execute("select count(*) from weekly").fetchall() == [(20000,)]
    finally:
        remount("rw")
    assert store.rollback(1).number == 3

"""What fails before the pointer leaves everything as it was; what fails after it is a warning."""

from __future__ import annotations

import errno
import os
from itertools import count
from pathlib import Path

import pytest

from publication import PlaceUnusable, PublicationGone, Store
from publication.shelf import entries

FILLING = {"os.rename", "os.link", "os.symlink", "os.chmod", "os.mkdir"}


@pytest.fixture
def tree(store):
    """Everything below the data folder with its content."""

    def tree():
        paths = sorted(store.link.parent.rglob("*"))
        return {path: path.read_bytes() if path.is_file() else None for path in paths}

    return tree


@pytest.fixture
def act(store, publish):
    """Publish or roll back, after two publications were made."""
    publish(leads=1)
    publish(leads=2)

    def act(action, into=store):
        return into.rollback(1) if action == "rollback" else publish(leads=3, into=into)

    return act


def fills(event, args, folder):
    """Whether a step needs room in a folder's file system, or changes a name there."""
    if event == "open":
        fills = isinstance(args[2], int) and bool(args[2] & (os.O_WRONLY | os.O_RDWR))
    else:
        fills = event in FILLING and not (event == "os.mkdir" and Path(args[0]).exists())
    return fills and str(folder) in {str(args[0]), *map(str, Path(os.fsdecode(args[0])).parents)}


@pytest.mark.parametrize("action", ["publish", "rollback"])
def test_a_disk_that_is_full_from_some_step_on(store, act, tree, watched, tmp_path, action):
    heard = []
    told = Store(store.folder, store.link, warn=heard.append)
    refused = []
    for step in count(1):
        steps, failed = count(1), []

        def fail(event, args, step=step, steps=steps, failed=failed):
            if fills(event, args, tmp_path) and next(steps) >= step:
                failed.append(event)
                raise OSError(errno.ENOSPC, "No space left on device", str(args[0]))

        before, current = tree(), store.pointer().number
        heard.clear()
        try:
            with watched(fail):
                made = act(action, told)
        except PlaceUnusable as error:
            refused.append(str(error))
            assert tree() == before
            continue
        assert store.current() == made
        assert made.number == current + 1
        store.verify(made.number)
        # What the one before could not do is put right, and that is said too.
        said = [sentence for sentence in heard if sentence.startswith("Published")]
        assert len(said) == bool(failed)
        if not failed:
            break
        assert said[0].startswith(f"Published {made.number}, but not all that follows")
    assert len(refused) >= 6
    room = "No space left on device"
    assert all(room in sentence and "; make room there, then" in sentence for sentence in refused)
    assert store.link.resolve() == store.path(made).resolve()


@pytest.mark.parametrize("action", ["publish", "rollback"])
@pytest.mark.parametrize("obstacle", ["data/.marts.duckdb.writing", "data/publications/.writing"])
def test_an_obstacle_is_met_before_the_pointer(act, tree, tmp_path, action, obstacle):
    (tmp_path / obstacle).mkdir()
    before = tree()
    with pytest.raises(PlaceUnusable, match=r"cannot be written: .*writing'"):
        act(action)
    assert tree() == before


def test_what_is_removed_while_it_is_rolled_back_to_is_gone(store, act, watched):
    def remove(event, args):
        if event == "open" and str(args[0]).endswith("/.lock"):
            entries(store.folder)[-1].remove()

    with watched(remove), pytest.raises(PublicationGone, match="1 is gone"):
        act("rollback")
    assert store.pointer().number == 2


def test_halves_of_the_killed_go_before_there_is_more_to_write(store, act):
    for name in ("000003-00000000.duckdb", ".writing"):
        (store.folder / name).write_text("half")
    store.discard(store.stage("next"))
    assert not list(store.folder.glob("*.writing")) + list(store.folder.glob("000003*"))


def test_syncing_comes_before_what_relies_on_it(store, act, monkeypatch, watched):
    """Bytes before the name, the names before the pointer, the pointer before the answer."""
    steps, fsync, replace, rename = [], os.fsync, os.replace, os.rename

    def recorded_sync(descriptor):
        fsync(descriptor)
        steps.append(os.fstat(descriptor).st_ino)

    def recording(move):
        def recorded(source, target):
            steps.append((Path(target).name, Path(source).lstat().st_ino))
            move(source, target)

        return recorded

    def no_hard_links(event, args):
        if event == "os.link":
            raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fsync", recorded_sync)
    monkeypatch.setattr(os, "replace", recording(replace))
    monkeypatch.setattr(os, "rename", recording(rename))
    for action in ("publish", "rollback"):
        steps.clear()
        with watched(no_hard_links):
            file = store.path(act(action))
        folder, pointed = store.folder.stat().st_ino, (store.folder / "current.json").stat().st_ino
        manifest = file.with_suffix(".json")
        named = steps.index((manifest.name, manifest.stat().st_ino))
        moved = steps.index(("current.json", pointed))
        assert manifest.stat().st_ino in steps[:named]
        assert pointed in steps[:moved]
        assert file.stat().st_ino in steps[:named]
        if action == "publish":
            placed = steps.index((file.name, file.stat().st_ino))
            assert file.stat().st_ino in steps[:placed]
            assert placed < named
        assert folder in steps[named:moved]
        assert folder in steps[moved:]

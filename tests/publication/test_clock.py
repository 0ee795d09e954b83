"""A clock that was put forward or back between two publications."""

from __future__ import annotations

import os
import sys
import time

import pytest

from publication import Store, clock

YEAR = 365 * 24 * 3600.0


@pytest.fixture
def move_clock(store, monkeypatch):
    """Moves the clock: what was written before has times of the clock as it was.

    The system's own stays where it is. Moving all times before it the other way, and the uptime
    that was read then, is the same.
    """
    real, moved = time.clock_gettime, 0.0

    def then(kind):
        return real(kind) + moved

    def move(seconds):
        nonlocal moved
        for path in store.folder.glob("*.json"):
            was = path.stat()
            os.utime(path, (was.st_atime, was.st_mtime - seconds))
        moved -= seconds

    monkeypatch.setattr(time, "clock_gettime", then)
    return move


@pytest.fixture
def publish_one(store, publish):
    """Publish into the folder, where two are kept and all that are younger than an hour."""
    return lambda: publish(into=Store(store.folder, store.link, keep=2)).number


def numbers(store):
    return [manifest.number for manifest in store.manifests()]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells one start from another")
@pytest.mark.parametrize("jumps", [[7200.0], [-10 * YEAR, 10 * YEAR]])
def test_the_young_are_kept_and_the_old_go(store, publish_one, move_clock, jumps):
    for _ in range(4):
        publish_one()
    made = 4
    for seconds in jumps:
        move_clock(seconds)
        made += 1
        assert publish_one() == made
        assert numbers(store) == list(range(made, 0, -1)), "an hour has not passed"
    hour_ago = time.time() - 3601
    for path in store.folder.glob("0*.json"):
        os.utime(path, (hour_ago, hour_ago))
    assert publish_one() == made + 1
    assert numbers(store) == [made + 1, made]


@pytest.mark.parametrize("note", [b"", b"{", b'{"boot": "another", "ahead": 0}', None])
def test_what_is_not_known_moves_nothing(store, publish_one, note):
    """The first, a half note, one of before the machine was started, one of an older version."""
    publish_one()
    path = store.folder / clock.NAME
    path.unlink()
    if note is not None:
        path.write_bytes(note)
    times = {file: file.stat().st_mtime for file in store.folder.glob("0*.json")}
    publish_one()
    assert {file: file.stat().st_mtime for file in times} == times


def test_a_machine_that_does_not_tell(store, publish_one, monkeypatch, tmp_path):
    monkeypatch.setattr(clock, "BOOT", tmp_path / "nothing")
    assert [publish_one(), publish_one()] == [1, 2]
    assert not (store.folder / clock.NAME).exists()

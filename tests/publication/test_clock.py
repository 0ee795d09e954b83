"""A clock that was put forward or back between two publications."""

from __future__ import annotations

import errno
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


def let_an_hour_pass(store):
    for path in store.folder.glob("0*.json"):
        was = path.stat()
        os.utime(path, (was.st_atime, was.st_mtime - 3601))


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
    let_an_hour_pass(store)
    assert publish_one() == made + 1
    assert numbers(store) == [made + 1, made]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells one start from another")
@pytest.mark.parametrize("seconds", [7200.0, -7200.0])
def test_a_note_that_cannot_be_written_lets_nothing_young_go(
    store, publish_one, move_clock, capsys, watched, seconds
):
    """Not at once, and not when it can be again, however often it could not be."""
    for _ in range(4):
        publish_one()
    before = (store.folder / clock.NAME).read_bytes()
    notes = []

    def fill(event, args):
        """Let all be written but what comes after the pointer."""
        if event == "os.rename" and str(args[1]).endswith(clock.NAME):
            notes.append(args)
            raise OSError(errno.ENOSPC, "No space left on device", str(args[1]))

    move_clock(seconds)
    with watched(fill):
        assert [publish_one() for _ in range(3)] == [5, 6, 7]
        assert numbers(store) == [7, 6, 5, 4, 3, 2, 1]
    assert len(notes) == 3
    assert capsys.readouterr().err.count("No space left on device") == 3
    assert (store.folder / clock.NAME).read_bytes() == before
    assert publish_one() == 8
    assert numbers(store) == [8, 7, 6, 5, 4, 3, 2, 1]
    let_an_hour_pass(store)
    if seconds > 0:  # those of meanwhile seem younger than they are
        let_an_hour_pass(store)
        let_an_hour_pass(store)
    assert publish_one() == 9
    assert numbers(store) == [9, 8]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells one start from another")
def test_manifests_of_another_user_are_no_obstacle(store, publish_one, move_clock, capsys, watched):
    """Nobody but their owner may set their times."""
    for _ in range(4):
        publish_one()
    move_clock(7200.0)

    def refuse(event, args):
        if event == "os.utime":
            raise PermissionError(errno.EPERM, "Operation not permitted", str(args[0]))

    with watched(refuse):
        assert [publish_one(), publish_one()] == [5, 6]
    assert capsys.readouterr().err == ""
    assert numbers(store) == [6, 5, 4, 3, 2, 1]
    let_an_hour_pass(store)
    assert publish_one() == 7
    assert numbers(store) == [7, 6]


@pytest.mark.parametrize("note", [b"", b"{", b'{"boot": "another", "ahead": 0}', None])
def test_what_is_not_known_moves_nothing(store, publish_one, note):
    """The first, a half note, one of before the machine was started, one of an older version."""
    publish_one()
    path = store.folder / clock.NAME
    path.unlink()
    if note is not None:
        path.write_bytes(note)
    publish_one()
    now = clock.follow(store.folder, current=2)
    assert now is None or now.moved == {}


def test_a_machine_that_does_not_tell(store, publish_one, monkeypatch, tmp_path):
    monkeypatch.setattr(clock, "BOOT", tmp_path / "nothing")
    assert [publish_one(), publish_one()] == [1, 2]
    assert not (store.folder / clock.NAME).exists()

"""Building side by side: what the dead left goes, what the living have stays."""

from __future__ import annotations

import errno
import time
from concurrent.futures import ThreadPoolExecutor

import pytest


def test_what_a_crashed_builder_left_goes_and_what_a_living_one_has_stays(store):
    ours = store.stage("alive")
    left = store.folder / ".staging" / "crashed-1"
    left.mkdir()
    (left / "marts.duckdb").write_text("half")
    (left / "lock").touch()
    store.stage("next")
    assert not left.exists()
    assert ours.exists()
    store.discard(ours)
    assert not ours.parent.exists()


def test_what_could_not_be_removed_is_not_said_to_be(store, watched):
    left = store.folder / ".staging" / "crashed-1"
    left.mkdir(parents=True)

    def refuse(event, args):
        if event == "os.rmdir":
            raise PermissionError(errno.EPERM, "Operation not permitted", "crashed-1")

    with watched(refuse):
        assert store.repair() == []
    assert left.exists()
    assert store.repair() == ["Removed what a run that did not end has left: crashed-1."]


def test_a_builder_that_ends_while_another_looks(store, watched):
    ending = store.stage("ending")

    def end(event, args):
        if event == "open" and args[0] == str(ending.with_name("lock")):
            store.discard(ending)

    with watched(end):
        following = store.stage("following")
    assert following.exists()
    assert not ending.parent.exists()


@pytest.mark.parametrize("seconds", [1, pytest.param(20, marks=pytest.mark.soak)])
def test_many_builders_come_and_go(store, seconds):
    end = time.monotonic() + seconds

    def build(name):
        while time.monotonic() < end:
            store.discard(store.stage(name))

    with ThreadPoolExecutor(4) as builders:
        list(builders.map(build, "abcd"))
    assert list((store.folder / ".staging").iterdir()) == []

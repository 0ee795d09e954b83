"""Publishers take turns; readers never wait, and never see a half."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from publication import Store, connect

SCRIPT = Path(__file__).with_name("publish_in_a_loop.py")
SQL = """
    create table weekly as
    select date '2024-12-30' as week_start, '2025-W01' as semaine, 1::bigint as leads
"""
TIMES = 6


def test_two_publishers_and_a_reader(tmp_path, draft):
    (tmp_path / "draft.json").write_bytes(msgspec.json.encode(draft))
    (tmp_path / "marts.sql").write_text(SQL)
    publishers = [
        subprocess.Popen(
            [sys.executable, SCRIPT, tmp_path, str(TIMES)],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        for _ in range(2)
    ]
    store = Store(tmp_path / "publications")
    seen = []
    while any(publisher.poll() is None for publisher in publishers):
        manifest = store.current()
        if manifest is not None and manifest.number not in seen:
            seen.append(manifest.number)
            with connect(store.path(manifest)) as reader:
                assert reader.execute("select count(*) from weekly").fetchall() == [(1,)]
        kept = [manifest.number for manifest in store.manifests()]
        assert kept == sorted(kept, reverse=True)
    numbers = [[int(line) for line in publisher.stdout] for publisher in publishers]
    for publisher in publishers:
        publisher.stdout.close()
        assert publisher.wait() == 0
    assert sorted(numbers[0] + numbers[1]) == list(range(1, 2 * TIMES + 1))
    assert all(own == sorted(own) for own in numbers)
    assert seen == sorted(seen)
    assert [manifest.number for manifest in store.manifests()] == list(range(2 * TIMES, 0, -1))


def test_a_publisher_that_waits_says_for_whom(store, publish):
    publish()
    lock = store.folder / ".lock"
    assert lock.stat().st_mode & 0o777 == 0o600
    holder = os.open(lock, os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    said = []

    def let_go(text):
        said.append(text)
        os.close(holder)

    waiting = Store(store.folder, store.link, warn=let_go)
    assert publish(leads=1, into=waiting).number == 2
    assert said == [
        (
            f"Waiting for process {os.getpid()}, which publishes or rolls back in {store.folder}; "
            "this goes on when that one has ended."
        )
    ]

"""Publish or roll back in one folder, killed each time, with nobody who tidies up in between.

    python die_again_and_again.py FOLDER SEED TIMES

FOLDER holds ``draft.json``. A forked child publishes or rolls back, and is killed: right before its
so-manieth change or sync of the file system, each of which has its turn, or at any moment, which
also meets DuckDB in the middle of its work. Another child then looks whether what is current is
whole, and old or new. Prints how many were killed.
"""

import itertools
import os
import random
import signal
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import duckdb
import msgspec

from publication import Draft, RollbackPointless, Store, connect

CHANGES = {"os.rename", "os.link", "os.symlink", "os.remove", "os.chmod", "os.mkdir", "os.rmdir"}
STEPS = 48
"""More than a run has, so that some end alive."""

LONGEST = 0.25
"""Seconds after which one is killed at the latest, if at any moment."""


def act(store: Store, draft: Draft, turn: int, die_at: int | None) -> None:
    """Publish the number of the turn, or roll back to the oldest."""
    steps = itertools.count(1)

    def step() -> None:
        if next(steps) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, args: tuple[object, ...]) -> None:
        writes = (
            event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if writes or event in CHANGES:
            step()

    fsync = os.fsync

    def stepping(descriptor: int) -> None:
        step()
        fsync(descriptor)

    os.fsync = stepping
    sys.addaudithook(hook)
    if turn % 3 == 2:
        for oldest in store.manifests()[-1:]:
            with suppress(RollbackPointless):
                store.rollback(oldest.number)
        return
    staged = store.stage("9d1f")
    with duckdb.connect(staged) as connection:
        connection.execute(
            "create table weekly as select date '2024-12-30' as week_start, "
            f"'2025-W01' as semaine, {turn}::bigint as leads"
        )
    store.publish(staged, draft)


def look(store: Store, before: int, turn: int) -> int:
    """Check that what is current is whole, and not older; return its number."""
    current = store.current()
    if current is None:
        assert before == 0
        return 0
    assert current.number >= before, f"{current.number} after {before}"
    store.verify(current.number)
    if current.number > before and turn % 3 != 2:
        with connect(store.path(current)) as reader:
            assert reader.execute("select leads from weekly").fetchall() == [(turn,)]
    kept = {store.path(manifest).resolve() for manifest in store.manifests()}
    if store.link.is_symlink():
        assert store.link.resolve() in kept, f"{store.link.resolve()} is not kept"
    return current.number


def in_child(function, *arguments) -> int:
    """Start a child that does something; its exit code is what that returns."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(function(*arguments) or 0)
        except BaseException as error:  # noqa: BLE001 a child must not become a second parent
            sys.stderr.write(f"{error!r}\n")
            os._exit(255)
    return child


def main(folder: Path, seed: int, times: int) -> None:
    chance = random.Random(seed)  # noqa: S311 the same kills each time, nothing secret
    draft = msgspec.json.decode((folder / "draft.json").read_bytes(), type=Draft)
    store = Store(folder / "publications", folder / "marts.duckdb", keep=2, keep_for=timedelta(0))
    steps = [*range(1, STEPS), *[None] * (STEPS // 4)]
    chance.shuffle(steps)
    current, killed = 0, 0
    for turn, die_at in enumerate(steps[:times]):
        linked = store.link.is_symlink()
        child = in_child(act, store, draft, turn, die_at)
        if die_at is None:
            time.sleep(chance.uniform(0, LONGEST))
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in {0, -signal.SIGKILL}, f"turn {turn}, step {die_at}"
        killed += code != 0
        assert store.link.is_symlink() or not linked
        looker = in_child(look, store, current, turn)
        current = os.waitstatus_to_exitcode(os.waitpid(looker, 0)[1])
        assert 0 <= current < 255, f"after turn {turn}, step {die_at}"
    sys.stdout.write(f"{killed}\n")


main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

"""Publish or roll back again and again, and be killed at another step each time.

    python die_at_each_step.py FOLDER ACTION EVERY

For each step there is a copy of FOLDER/start, named by the step's number, in which a forked child
does ACTION (``publish`` or ``rollback``) and sends itself SIGKILL right before its so-manieth
change of the file system; Python's audit events tell when that is. EVERY skips steps. Prints the
last step, at which the child ended alive.
"""

import os
import shutil
import signal
import sys
from datetime import timedelta
from itertools import count
from pathlib import Path

import duckdb
import msgspec

from publication import Draft, Store

CHANGES = {"os.rename", "os.link", "os.symlink", "os.remove", "os.chmod", "os.mkdir", "os.rmdir"}


def act(folder: Path, action: str, draft: Draft, die_at: int) -> None:
    store = Store(folder / "publications", folder / "marts.duckdb", keep=1, keep_for=timedelta(0))
    steps = count(1)

    def hook(event: str, args: tuple[object, ...]) -> None:
        writes = (
            event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if (writes or event in CHANGES) and next(steps) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    if action == "rollback":
        store.rollback(1)
        return
    staged = store.stage("9d1f")
    with duckdb.connect(staged) as connection:
        connection.execute((folder.parent / "marts.sql").read_text())
    store.publish(staged, draft)


def main(folder: Path, action: str, every: int) -> None:
    draft = msgspec.json.decode((folder / "draft.json").read_bytes(), type=Draft)
    for step in count(1, every):
        copy = folder / f"{step:03d}"
        shutil.copytree(folder / "start", copy, symlinks=True)
        child = os.fork()
        if child == 0:
            act(copy, action, draft, step)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            sys.stdout.write(f"{step} {os.waitstatus_to_exitcode(status)}\n")
            return


main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))

"""Run dbt commands one after the other without starting anew each time.

Reads lines of JSON, `{"words": [...], "environment": {...}, "dies": n, "breaks": true}`, and
answers each with `{"code": ..., "output": ...}`. A command that dies is killed right before the
n-th statement that it would run in the warehouse, as `kill -9` would; one that breaks gets an error
where it reads the changes. Those have a process of their own each, forked from one that has done
nothing yet but parse the project, which is the working directory. All others run in this process.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tempfile
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper
from dbt.cli.main import dbtRunner

from lake.dataset import DeltaDataset

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from dbt.contracts.graph.manifest import Manifest


def die(statement: int) -> None:
    """Have this process killed before a statement, the first being 1."""
    execute = DuckDBCursorWrapper.execute
    left = statement

    def counting(self: DuckDBCursorWrapper, sql: str, bindings: Any = None) -> Any:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(self, sql, bindings)

    DuckDBCursorWrapper.execute = counting


def break_off() -> None:
    """Have every stream of changes end in an error."""

    def broken(self: DeltaDataset, **options: object) -> object:
        raise OSError("the disk is on fire")

    DeltaDataset.scanner = broken


@contextmanager
def printed() -> Iterator[TextIO]:
    """Have what is printed meanwhile in a file."""
    kept = os.dup(1)
    with tempfile.TemporaryFile("w+") as output:
        os.dup2(output.fileno(), 1)
        try:
            yield output
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)


def command(manifest: Manifest, asked: dict[str, Any]) -> int:
    """Run one command in this process; return 0 if it succeeded, else 1."""
    before = dict(os.environ)
    os.environ.update(asked["environment"])
    words = ["--no-write-json", "--log-level-file", "none", *asked["words"]]
    try:
        return 0 if dbtRunner(manifest=manifest).invoke(words).success else 1
    finally:
        os.environ.clear()
        os.environ.update(before)
        DuckDBConnectionManager.close_all_connections()
        gc.collect()  # the warehouse is closed when nothing refers to it any more


def forked(manifest: Manifest, asked: dict[str, Any]) -> int:
    """Run one command in a process of its own; return its exit code, -9 if it was killed."""
    child = os.fork()
    if child == 0:
        if asked["dies"]:
            die(asked["dies"])
        if asked["breaks"]:
            break_off()
        code = command(manifest, asked)
        sys.stdout.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def answer(questions: TextIO, answers: TextIO, run: Any) -> None:
    """Answer every question, until there are no more."""
    for line in questions:
        with printed() as output:
            code = run(json.loads(line))
            sys.stdout.flush()
            output.seek(0)
            text = output.read()
        answers.write(json.dumps({"code": code, "output": text}) + "\n")
        answers.flush()


def forking(manifest: Manifest) -> tuple[TextIO, TextIO]:
    """Start the process that forks, and return where it is asked and where it answers."""
    (asked, ask), (answered, reply) = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.close(ask)
        with os.fdopen(asked) as questions, os.fdopen(reply, "w") as answers:
            answer(questions, answers, lambda one: forked(manifest, one))
        os._exit(0)
    os.close(asked)
    return os.fdopen(ask, "w"), os.fdopen(answered)


def main() -> None:
    """Answer every line of the standard input."""
    for module in ("dbt.task.run", "lake.delta_source", "publication.dbt_plugin", "sqlparse"):
        import_module(module)  # else every process would do so
    manifest = dbtRunner().invoke(["--quiet", "parse"]).result
    ask, answered = forking(manifest)

    def run(asked: dict[str, Any]) -> int:
        if not asked["dies"] and not asked["breaks"]:
            return command(manifest, asked)
        ask.write(json.dumps(asked) + "\n")
        ask.flush()
        done = json.loads(answered.readline())
        sys.stdout.write(done["output"])
        return int(done["code"])

    answer(sys.stdin, os.fdopen(os.dup(1), "w"), run)


if __name__ == "__main__":
    main()

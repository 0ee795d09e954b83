"""Run dbt commands, each in a process of its own that shares what takes long to import and parse.

Reads lines of JSON, `{"words": [...], "environment": {...}, "dies": n, "breaks": true}`, and
answers each with `{"code": ..., "output": ...}`. A command that dies is killed right before the
n-th statement that it would run in the warehouse, as `kill -9` would; one that breaks gets an error
where it reads the changes. The project is the working directory, parsed once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from importlib import import_module
from typing import Any

from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper
from dbt.cli.main import dbtRunner

from lake.feed import FeedScan


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

    def broken(self: FeedScan, requested_schema: object | None = None) -> object:
        raise OSError("the disk is on fire")

    FeedScan.__arrow_c_stream__ = broken


def main() -> None:
    """Answer every line of the standard input."""
    for module in ("dbt.task.run", "lake.delta_source", "publication.dbt_plugin", "sqlparse"):
        import_module(module)  # else every process would do so
    manifest = dbtRunner().invoke(["--quiet", "parse"]).result
    for line in sys.stdin:
        asked = json.loads(line)
        with tempfile.TemporaryFile("w+") as output:
            child = os.fork()
            if child == 0:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                os.environ.update(asked["environment"])
                if asked["dies"]:
                    die(asked["dies"])
                if asked["breaks"]:
                    break_off()
                quick = ["--no-write-json", "--log-level-file", "none", *asked["words"]]
                done = dbtRunner(manifest=manifest).invoke(quick)
                sys.stdout.flush()
                os._exit(0 if done.success else 1)
            _, status = os.waitpid(child, 0)
            output.seek(0)
            answer = {"code": os.waitstatus_to_exitcode(status), "output": output.read()}
        sys.__stdout__.write(json.dumps(answer) + "\n")
        sys.__stdout__.flush()


if __name__ == "__main__":
    main()

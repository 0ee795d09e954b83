"""dbt commands that cost little, because dbt is started and the project parsed only once."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Done:
    """A dbt command that has ended: its exit code, -9 if it was killed, and what it printed."""

    code: int
    output: str


class QuickDbt:
    """The project's dbt over one data folder; see `run_dbt_quickly.py`."""

    def __init__(self, root: Path, data: Path, environment: dict[str, str]) -> None:
        self.data = data
        # dbt's processes leave semaphores behind when they are killed, of which Python warns.
        self._errors = data.with_name("quick_dbt.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, str(root / "tests" / "pipeline" / "run_dbt_quickly.py")],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def run(self, *words: str, dies: int = 0, breaks: bool = False, **environment: str) -> Done:
        """Run one command to its end.

        Args:
            words: The command, as behind `dbt`.
            dies: Which statement in the warehouse it is killed before, if any.
            breaks: Whether reading the changes ends in an error.
            environment: Variables to set for it.
        """
        asked = {"words": words, "dies": dies, "breaks": breaks, "environment": environment}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return Done(answer["code"], answer["output"])

    def close(self) -> None:
        """End the process that the commands come from, and see that nothing went wrong in it."""
        self._process.communicate(timeout=60)
        self._errors.close()
        assert self._process.returncode == 0, self._errors.name

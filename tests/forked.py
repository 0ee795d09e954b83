"""Commands in processes of their own, forked from one that has imported their programs already.

What a command costs here is mostly what Python imports before it does anything: more than a second
for dbt, half a second for the API. Python's own fork server does that once. All else is as when
the command is typed: it has a process, arguments, a folder, an environment, signals, an output and
an exit code of its own. Tests of how a program is started, and one run of each, start it anew.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_server = multiprocessing.get_context("forkserver")
_imported: list[str] = []


def import_early(*modules: str) -> None:
    """Say what the fork server is to import; it starts with the first command."""
    _imported.extend(modules)
    _server.set_forkserver_preload(_imported)


class Forked:
    """A command that was started; like :class:`subprocess.Popen`, as far as tests need it.

    It has no standard input. It ends with the tests at the latest.
    """

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        output: Path,
        cwd: Path,
        env: Mapping[str, str],
    ) -> None:
        """Start a command.

        Args:
            program: Where its function is, as entry points spell it: ``dbt.cli.main:cli``.
            arguments: Its name, then what follows that on the command line.
            output: The file for its standard output and error, emptied first.
            cwd: The folder it runs in.
            env: All of its environment.
        """
        self.args = arguments
        self._output = output
        output.write_bytes(b"")
        described = (program, list(arguments), str(output), str(cwd), dict(env))
        self._process = _server.Process(target=_run, args=described, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, less than zero if a signal ended it; nothing while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Look whether it has ended; return its exit code then."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its exit code.

        Raises:
            TimeoutExpired: It did not end within so many seconds.
        """
        self._process.join(timeout)
        code = self.returncode
        if code is None:
            raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Wait for its end, and return what it wrote.

        Raises:
            TimeoutExpired: It did not end within so many seconds.
        """
        self.wait(timeout)
        return self._output.read_text(), None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self.send_signal(signal.SIGKILL)


def _run(
    program: str, arguments: list[str], output: str, cwd: str, environment: dict[str, str]
) -> None:
    """What the forked process does: become the command, and run it."""
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    module, _, function = program.partition(":")
    try:
        sys.exit(getattr(importlib.import_module(module), function)())
    finally:
        # A forked process ends without them, a command does not.
        atexit._run_exitfuncs()

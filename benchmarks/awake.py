"""Cores that stay awake while something is measured."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SPIN = """
import os, sys

os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""
"""Takes what nobody else wants of a core (``SCHED_IDLE``, sched(7)), until its parent has ended."""


@contextmanager
def awake() -> Iterator[None]:
    """Keep every core busy at idle priority, which gives way to everything at once (Linux only).

    The host of a virtual machine gives a core that has nothing to do to others, and it comes back
    when they let it go: tens of milliseconds on a host that many share. A client and a server that
    wait for each other by turns would wait for that too, and their 99th percentile say nothing of
    either.
    """
    with ExitStack() as stack:
        for core in os.sched_getaffinity(0):
            command = [sys.executable, "-c", SPIN, str(core)]
            process = stack.enter_context(subprocess.Popen(command))
            stack.callback(process.kill)
        yield

"""How far a long command has come: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

if TYPE_CHECKING:
    from types import TracebackType

PATIENCE_SECONDS = 1.0
"""Seconds that pass before anything is shown: what is done by then needs no bar."""

LINE_EVERY = 10.0
"""Seconds between two plain lines."""


class Progress:
    """The progress of one piece of work, on standard error.

    Use it as a context manager and tell it the share that is done, or how much is where nobody
    knows how much there is.
    """

    def __init__(self, title: str) -> None:
        """Prepare to show progress.

        Args:
            title: What is being done, such as ``leads: reading``.
        """
        self._title = title
        self._next = time.monotonic() + PATIENCE_SECONDS
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        """Start the clock."""
        return self

    def reached(self, share: float) -> None:
        """Say how much is done.

        Args:
            share: From 0 to 1.
        """
        self._show(self._title, share, f"{self._title}, {share:.0%}")

    def counted(self, number: int) -> None:
        """Say how many are done, without saying of how many.

        Args:
            number: At least 0.
        """
        line = f"{self._title}, {number:,}"
        self._show(line, None, line)

    def _show(self, title: str, share: float | None, line: str) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=title, completed=share)
            return
        if time.monotonic() < self._next:
            return
        if not sys.stderr.isatty():
            self._next = time.monotonic() + LINE_EVERY
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - the plain line itself
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        console = Console(stderr=True)
        self._bar = Bar(*columns, TimeRemainingColumn(), console=console, transient=True)
        self._bar.start()
        task = self._bar.add_task(title, total=None if share is None else 1.0)
        self._bar.update(task, completed=share)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

"""One builder at a time in the file that dbt builds in; the next one waits a little.

DuckDB lets one process write a file and gives the second an error at once. Here the second waits
for a lock beside the file first, so that two builds that meet by chance both succeed.
"""

from __future__ import annotations

import os
import re
import time
import weakref
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from publication import durable
from publication.errors import PlaceUnusable, WarehouseBusy

if TYPE_CHECKING:
    from collections.abc import Callable

_HOLDER = re.compile(r"Conflicting lock is held in (?P<program>.+?) \(PID (?P<process>\d+)\)")
_POLL_SECONDS = 0.1


class _Lock:
    """A lock that this process holds; whoever keeps it in use refers to it."""

    def __init__(self, descriptor: int) -> None:
        weakref.finalize(self, os.close, descriptor)


_held: weakref.WeakValueDictionary[Path, _Lock] = weakref.WeakValueDictionary()
"""This process's locks: one that was left behind by a failed command must not bar the next."""


class Warehouse:
    """The file that dbt builds in, and this process's right to write it.

    The right lasts as long as this object, or another of the same process for the same file; the
    system takes it back when the process dies, however it dies.
    """

    def __init__(
        self, path: Path, wait_seconds: float, warn: Callable[[str], None] = lambda _: None
    ) -> None:
        """Name the file; nothing is opened yet.

        Args:
            path: The DuckDB file. It need not exist, nor its folder.
            wait_seconds: How long another process may keep it before we give up.
            warn: Hears who keeps it, if that lasts a second.
        """
        self._path = path
        self._wait = wait_seconds
        self._warn = warn
        self._lock: _Lock | None = None

    def take(self, config: dict[str, object]) -> None:
        """Take the right to write, and see that nobody has the file open without asking.

        Taking it again is free.

        Args:
            config: What DuckDB is opened with after this; the same, since one process cannot open
                a file with two configurations.

        Raises:
            WarehouseBusy: Another process held it all the while.
            PlaceUnusable: The folder cannot be written.
        """
        deadline = time.monotonic() + self._wait
        try:
            if self._lock is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._lock = self._own_lock(deadline)
            self._wait_for_strangers(config, deadline)
        except OSError as error:
            raise PlaceUnusable(f"{self._path} cannot be written: {error}.") from error
        except WarehouseBusy:
            self._wait = 0  # dbt asks again, once for each of its schemas
            raise

    def _own_lock(self, deadline: float) -> _Lock:
        path = self._path.resolve().with_name(f"{self._path.name}.lock")
        lock = _held.get(path)
        if lock is not None:
            return lock
        descriptor = durable.open_lock(path)
        lock = _Lock(descriptor)
        if holder := durable.take(descriptor, self._waiting, deadline):
            raise WarehouseBusy(
                f"{self._path} is being built in by another dbt command ({holder}); run this one "
                "again when that one has ended."
            )
        _held[path] = lock
        return lock

    def _waiting(self, holder: str) -> None:
        self._warn(
            f"Waiting for {holder}, which builds in {self._path}, for at most "
            f"{self._wait:g} seconds."
        )

    def _wait_for_strangers(self, config: dict[str, object], deadline: float) -> None:
        """Wait for a program that took DuckDB's own lock and knows nothing of ours."""
        patience = time.monotonic() + durable.PATIENCE
        while holder := self._stranger(config):
            if time.monotonic() >= patience:
                self._waiting(f"process {holder['process']} ({Path(holder['program']).name})")
                patience = inf
            if time.monotonic() >= deadline:
                raise WarehouseBusy(
                    f"{self._path} is open in {Path(holder['program']).name} "
                    f"(process {holder['process']}); close it there and run this again."
                )
            time.sleep(_POLL_SECONDS)

    def _stranger(self, config: dict[str, object]) -> re.Match[str] | None:
        if not self._path.exists():
            return None
        try:
            duckdb.connect(self._path, config=config).close()  # type: ignore[arg-type]
        except duckdb.Error as error:
            return _HOLDER.search(str(error))  # what else is wrong, dbt meets and says next
        return None

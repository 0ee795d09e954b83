"""A process that asks DuckDB.

It opens publications, does one step after the other, and answers each in turn. A step is a function
of a module; it gets cursors and whatever it was sent with. Messages and answers are pickled: both
ends are the same program, and nobody else has the socket. It ends when the other end is closed.
"""

from __future__ import annotations

import math
import pickle
import struct
import threading
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import duckdb

from publication import PublicationBroken, connect
from publication.sql import identifier

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    Cursor = duckdb.DuckDBPyConnection

Result = TypeVar("Result")

WITHOUT = (
    *("join_order", "join_filter_pushdown", "join_elimination", "outer_join_simplification"),
    *("window_rewriter", "window_self_join", "top_n_window_elimination"),
    *("cte_filter_pusher", "cte_inlining", "materialized_cte", "common_subplan", "deliminator"),
    *("build_side_probe_side", "unnest_rewriter", "filter_pullup", "empty_result_pullup"),
    *("grouping_sets", "distinct_aggregate_rewrite", "common_aggregate", "aggregate_reuse"),
    *("aggregate_function_rewriter", "partial_aggregate_pushdown", "duplicate_groups"),
    *("projection_pullup", "projection_placement", "redundant_order_keys", "regex_range"),
    *("sampling_pushdown", "partitioned_execution", "remote_pushdown", "type_pushdown"),
    *("scalar_fn_pushdown", "extension"),
)
"""DuckDB's optimizers of what no question has: it is about one mart, without joins, windows,
nested queries or samples, and says nothing twice. Each looks at every plan all the same."""

LENGTH = struct.Struct("<Q")
"""What is in front of every message: how many bytes it has."""

LOOK_EVERY = 0.02
"""Seconds between two looks at whether a step takes too long."""

IDLE = 4
"""How many cursors of a publication are kept for the next step."""


class TooLong(Exception):
    """The steps of a request take more time than they have."""


def frame(message: object) -> bytes:
    """Write a message for the other end."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


class Opened:
    """One publication's file, and cursors for it."""

    def __init__(self, path: Path, marts: Sequence[str], memory: str) -> None:
        """Open it, and see that its marts can be read.

        Args:
            path: The file.
            marts: The names of its marts.
            memory: How much memory DuckDB may take for it.

        Raises:
            PublicationBroken: It cannot be opened or queried.
        """
        self._connection = connect(path, threads=1, memory=memory, without=WITHOUT)
        self._idle: list[Cursor] = []
        try:
            with self._connection.cursor() as cursor:
                for mart in marts:
                    cursor.table(identifier("main", mart)).limit(1).fetchall()
        except duckdb.Error as error:
            self._connection.close()
            raise PublicationBroken(f"{path} cannot be queried: {error}") from error

    def cursor(self) -> Cursor:
        """Take a cursor."""
        return self._idle.pop() if self._idle else self._connection.cursor()

    def put_back(self, cursor: Cursor) -> None:
        """Give a cursor back whose last query was read to its end, or given up."""
        if len(self._idle) < IDLE:
            self._idle.append(cursor)
        else:
            cursor.close()

    def close(self) -> None:
        """Close it. What still reads from it keeps what it needs."""
        for cursor in self._idle:
            cursor.close()
        self._connection.close()


class Limit:
    """Interrupts a step that takes too long."""

    def __init__(self) -> None:
        """Begin to look."""
        self._lock = threading.Lock()
        self._cursors: Sequence[Cursor] = ()
        self._ends = math.inf
        self._passed = False
        threading.Thread(target=self._watch, daemon=True).start()

    def hold(self, seconds: float, cursors: Sequence[Cursor], step: Callable[[], Result]) -> Result:
        """Do a step within its time.

        Raises:
            TooLong: There is none left, or the step was interrupted.
        """
        if seconds <= 0:
            raise TooLong
        with self._lock:
            self._cursors, self._passed = cursors, False
            self._ends = time.monotonic() + seconds
        try:
            return step()
        except Exception as error:
            if self._passed:
                raise TooLong from error
            raise
        finally:
            with self._lock:
                self._ends = math.inf

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_EVERY)
            with self._lock:  # so that no later step is interrupted
                if time.monotonic() > self._ends:
                    self._passed = True
                    for cursor in self._cursors:
                        cursor.interrupt()


class Process:
    """What can be asked of the process; each method is a message."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._files: dict[int, tuple[Path, Sequence[str], str]] = {}
        self._opened: dict[int, Opened] = {}
        self._passing: dict[int, tuple[list[Cursor], Iterator[bytes]]] = {}
        self._limit = Limit()

    def open(self, key: int, path: Path, marts: Sequence[str], memory: str) -> None:
        """Open a publication, which has a key from then on.

        If that fails it is tried again whenever it is asked: in the place of a process that ended,
        this one must open what is served, and its file may be gone for a while or for good.

        Raises:
            PublicationBroken: It cannot be opened or queried.
        """
        self._files[key] = path, marts, memory
        self._opened[key] = Opened(path, marts, memory)

    def close(self, key: int) -> None:
        """Close a publication."""
        del self._files[key]
        if opened := self._opened.pop(key, None):
            opened.close()

    def do(
        self,
        keys: Sequence[int],
        seconds: float,
        step: Callable[..., object],
        arguments: Sequence[object],
    ) -> object:
        """Do one step, with a cursor for each of some publications."""
        cursors = self._cursors(keys)
        try:
            result = self._limit.hold(seconds, cursors, lambda: step(cursors, *arguments))
        except BaseException:
            for cursor in cursors:
                cursor.close()
            raise
        for key, cursor in zip(keys, cursors, strict=True):
            self._opened[key].put_back(cursor)
        return result

    def start(
        self,
        number: int,
        keys: Sequence[int],
        seconds: float,
        steps: Callable[..., Iterator[bytes]],
        arguments: Sequence[object],
    ) -> bytes:
        """Do the first of several steps; they have a number until they end. Return its piece."""
        cursors = self._cursors(keys)
        self._passing[number] = cursors, steps(cursors, *arguments)
        return self.next(number, seconds)

    def next(self, number: int, seconds: float) -> bytes:
        """Do the next of several steps and return its piece; it is empty after the last."""
        cursors, pieces = self._passing[number]
        return self._limit.hold(seconds, cursors, lambda: next(pieces, b""))

    def end(self, number: int) -> None:
        """End several steps, wherever they are."""
        if passing := self._passing.pop(number, None):
            for cursor in passing[0]:
                cursor.close()

    def _cursors(self, keys: Sequence[int]) -> list[Cursor]:
        for key in keys:
            if key not in self._opened:
                self._opened[key] = Opened(*self._files[key])
        return [self._opened[key].cursor() for key in keys]


def answer(process: Process, message: Sequence[Any]) -> bytes:
    """Do what a message says; the answer is what came of it, or why nothing did, and how long."""
    method, *arguments = message
    begun = time.monotonic()
    try:
        result = getattr(process, method)(*arguments)
        return frame((result, None, time.monotonic() - begun))
    except Exception as error:  # noqa: BLE001 -- all of them belong to whoever asked
        seconds = time.monotonic() - begun
        error.add_note(traceback.format_exc())
        with suppress(Exception):
            return frame((None, error, seconds))
        return frame((None, RuntimeError(repr(error)), seconds))


def serve(connection: socket.socket) -> None:
    """Answer messages until the other end is closed."""
    process = Process()
    with connection, connection.makefile("rb") as messages:
        while message := _read(messages):
            connection.sendall(answer(process, message))


def _read(messages: BinaryIO) -> Sequence[Any] | None:
    head = messages.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    body = messages.read(*LENGTH.unpack(head))
    message: Sequence[Any] = pickle.loads(body)  # noqa: S301 -- of the same program
    return message

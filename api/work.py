"""What one request asks of DuckDB, within its time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import duckdb
from litestar.exceptions import ServiceUnavailableException

from api.problems import RETRY
from api.querying import steps
from api.querying.process import TooLong

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence

    from api.querying.pool import Done, Processes

    Parameters = ParamSpec("Parameters")
    Result = TypeVar("Result")
    Step = Callable[Concatenate[Sequence[duckdb.DuckDBPyConnection], Parameters], Result]

SECONDS = 5.0
"""How long a query may take, unless a setting says otherwise."""

_numbers = itertools.count(1)


class Work:
    """The steps that one request asks of DuckDB, all of them together within a time.

    Only DuckDB's own work counts: neither waiting for it nor a client that reads slowly.
    """

    def __init__(self, processes: Processes, keys: Sequence[int], seconds: float) -> None:
        """Do nothing yet.

        Args:
            processes: What asks DuckDB.
            keys: The publications, as the processes know them; a step gets a cursor for each.
            seconds: How long all steps together may take.
        """
        self._processes = processes
        self._keys = keys
        self._seconds = seconds
        self._left = seconds

    async def rows(self, query: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Run a query and return its rows; see :func:`api.querying.steps.rows`.

        Raises:
            duckdb.Error: The query cannot be run.
            ServiceUnavailableException: It takes too long.
        """
        return await self.do(steps.rows, query, dict(values))

    async def do(
        self, step: Step[Parameters, Result], *arguments: Parameters.args, **_: Parameters.kwargs
    ) -> Result:
        """Do one step.

        Args:
            step: A function of a module, which gets the cursors and then the arguments.
            arguments: What can be pickled.

        Raises:
            ServiceUnavailableException: The steps take too long.
        """
        async with self._processes.turns.turn():
            process = self._processes.choose()
            asked = process.ask("do", self._keys, self._left, step, arguments)
            result: Result = await self._within(asked)
            return result

    async def each(
        self,
        stepping: Step[Parameters, Iterator[bytes]],
        *arguments: Parameters.args,
        **_: Parameters.kwargs,
    ) -> AsyncGenerator[bytes, None]:
        """Do several steps, each when it is asked for.

        Args:
            stepping: A function of a module that gives their pieces, none of them empty.
            arguments: What can be pickled.

        Raises:
            ServiceUnavailableException: The steps take too long.
        """
        number = next(_numbers)
        process = self._processes.choose()
        message: tuple[object, ...] = ("start", number, self._keys, self._left, stepping, arguments)
        try:
            while True:
                async with self._processes.turns.turn():
                    piece: bytes = await self._within(process.ask(*message))
                if not piece:
                    return
                yield piece
                message = ("next", number, self._left)
        finally:
            process.tell("end", number)

    async def _within(self, asked: asyncio.Future[Done]) -> Any:  # noqa: ANN401 -- any step's
        try:
            done = await asked
        except TooLong as error:
            self._left = 0
            raise ServiceUnavailableException(
                detail=f"The query took more than {self._seconds:g} seconds; ask for less.",
                headers=RETRY,
            ) from error
        except duckdb.OutOfMemoryException as error:
            raise ServiceUnavailableException(
                detail="The query needs more memory than there is; ask for less.", headers=RETRY
            ) from error
        self._left -= done.seconds
        return done.result

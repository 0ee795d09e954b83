"""What one request asks of DuckDB, within its time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

import duckdb
from litestar.exceptions import ServiceUnavailableException

from api.problems import RETRY
from api.querying import steps
from api.querying.process import TooLong
from api.quoting import counted

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence

    from api.leases import Leases
    from api.querying.client import Done
    from api.querying.pool import Processes
    from api.querying.turns import Turn

    Parameters = ParamSpec("Parameters")
    Result = TypeVar("Result")
    Step = Callable[Concatenate[Sequence[duckdb.DuckDBPyConnection], Parameters], Result]

SECONDS = 5.0
"""How long a query may take, unless a setting says otherwise."""

_numbers = itertools.count(1)


class Work:
    """The steps that one request asks of DuckDB, all of them together within a time.

    ``with work: ...`` keeps the publications open that they read. Only DuckDB's own work counts:
    neither waiting for it nor a client that reads slowly.

    Attributes:
        left: How many seconds they still have.
    """

    def __init__(
        self,
        processes: Processes,
        leased: Sequence[tuple[int, Leases]],
        seconds: float,
        before: Work | None = None,
    ) -> None:
        """Do nothing yet.

        Args:
            processes: What asks DuckDB.
            leased: The publications, as the processes know them, and who else works on each; a
                step gets a cursor for each.
            seconds: How long all steps together may take.
            before: What the same request asked before, if that has to be taken off.
        """
        self._processes = processes
        self._keys = [key for key, _ in leased]
        self._leases = [leases for _, leases in leased]
        self._seconds = seconds
        self.left: float = before.left if before else seconds

    def __enter__(self) -> Self:
        """Keep them open."""
        for leases in self._leases:
            leases.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Let them be closed."""
        for leases in self._leases:
            leases.__exit__(*error)

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
        async with self._processes.turns.turn() as turn:
            process = self._processes.choose()
            message = ("do", self._keys, self.left, step, arguments)
            result: Result = await self._within(process.ask(*message), turn)
        await self._processes.pace.turn()
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
        begun = False
        process = self._processes.choose()
        message: tuple[object, ...] = ("start", number, self._keys, self.left, stepping, arguments)
        try:
            while True:
                async with self._processes.turns.turn(patient=begun) as turn:
                    piece: bytes = await self._within(process.ask(*message), turn)
                await self._processes.pace.turn()
                if not piece:
                    return
                yield piece
                message = ("next", number, self.left)
                begun = True  # and not to break off
        finally:
            process.tell("end", number)

    async def _within(self, asked: asyncio.Future[Done], turn: Turn) -> Any:  # noqa: ANN401 -- any step's
        try:
            done = await asked
        except Exception as error:
            turn.seconds = getattr(error, "seconds", None)  # none if the process has ended
            self.left -= turn.seconds or 0
            if isinstance(error, TooLong):
                self.left = 0
                detail = (
                    f"The query took more than {counted(self._seconds, 'second')}; ask for less."
                )
            elif isinstance(error, duckdb.OutOfMemoryException):
                detail = "The query needs more memory than there is; ask for less."
            else:
                raise
            raise ServiceUnavailableException(detail=detail, headers=RETRY) from error
        finally:
            del asked  # its error would lead back here: a cycle
        turn.seconds = done.seconds
        self.left -= done.seconds
        return done.result

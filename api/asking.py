"""A question to one mart, asked of DuckDB: what every route of rows is made of."""

from __future__ import annotations

import re
from contextlib import aclosing
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import duckdb
import msgspec
from litestar.exceptions import HTTPException
from msgspec import Meta

from api.dialect.question import Refused
from api.dialect.rendering import as_flat, as_json, as_strict_json, as_typed
from api.dialect.sql import compile_question
from api.problems import shown
from api.querying import steps
from publication.connection import first_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable
    from typing import TypeVar

    from api.dialect.question import Question
    from api.dialect.sql import Parameter
    from api.formats import FileFormat
    from api.opened import OpenPublication
    from api.work import Work
    from publication import Mart

    Result = TypeVar("Result")

RANGE = re.compile(r"(?:items=)?(?P<first>\d{1,18})-(?P<last>\d{0,18})", re.ASCII)
"""Which rows are asked for, both included."""

ALL = 2**62
"""More rows than there are. DuckDB counts no further than 2^63."""

WHOLE_NUMBERS: dict[str, Any] = {
    "SMALLINT": Annotated[int, Meta(ge=-(2**15), lt=2**15)],
    "INTEGER": Annotated[int, Meta(ge=-(2**31), lt=2**31)],
    "BIGINT": Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)],
}
"""DuckDB would round a text such as 1.5 to such a number, where PostgreSQL refuses it."""

PLAIN: dict[str, Any] = {**WHOLE_NUMBERS, "DOUBLE": float, "DATE": date, "VARCHAR": str}
"""What is read without asking DuckDB, which also takes dates that are written otherwise."""


class NotThatMany(HTTPException):
    """Rows were asked for from behind the last one on."""

    status_code = 416

    def __init__(self, total: int, offset: int) -> None:
        """Refuse.

        Args:
            total: How many rows there are.
            offset: How many of them were to be passed over.
        """
        super().__init__(
            f"There are {total} rows, and {offset} of them were to be passed over.",
            headers={"Content-Range": f"*/{total}"},
        )


class Window(msgspec.Struct, frozen=True):
    """Which rows of a list are asked for: `limit` of them, or all, after `offset` others."""

    offset: int = 0
    limit: int | None = None

    def of(self, header: str | None) -> Window:
        """Narrow it to what the ``Range`` header asks for.

        Raises:
            Refused: The header is no range of rows.
        """
        if header is None:
            return self
        found = RANGE.fullmatch(header.strip())
        if found is None or (found["last"] and int(found["last"]) < int(found["first"])):
            raise Refused(f"Range: {shown(header)} is no range of rows; write it as 0-9 or 10-.")
        first = max(self.offset, int(found["first"]))
        ends = [int(found["last"]) + 1] if found["last"] else []
        if self.limit is not None:
            ends.append(self.offset + self.limit)
        return Window(first, max(min(ends) - first, 0) if ends else None)

    @property
    def values(self) -> dict[str, object]:
        """What is bound to the limit and the offset of SQL."""
        return {"limit": ALL if self.limit is None else self.limit, "offset": self.offset}


EVERYTHING = Window()


class Asked:
    """A question to one mart of one publication, checked and ready to be run.

    Attributes:
        source: The publication.
    """

    def __init__(self, source: OpenPublication, mart: Mart, question: Question) -> None:
        """Check a question, without asking DuckDB.

        Args:
            source: The publication.
            mart: One of its marts.
            question: What is asked of it.

        Raises:
            Refused: It names what the mart does not have, or what does not fit a column's type.
        """
        self.source = source
        self._statement = compile_question(mart, question)
        self._given = {f"v{n}": one for n, one in enumerate(self._statement.parameters)}

    async def rows(self, work: Work, window: Window) -> list[tuple[Any, ...]]:
        """Read rows.

        Args:
            work: What runs the query.
            window: Which rows.

        Raises:
            Refused: A value is not of its column's type, or cannot be cast.
            ServiceUnavailableException: It takes too long.
        """
        values = await self._values(work) | window.values
        return await _cast(work.rows(f"{self._statement.rows()} {WINDOW}", values))

    async def array(self, work: Work, window: Window, most: int) -> tuple[int, bytes]:
        """Read rows as objects of JSON; raises as :meth:`rows`.

        Args:
            work: What runs the query.
            window: Which rows.
            most: Only so many of them are answered.

        Returns:
            How many rows there are, and the first of them with commas between.
        """
        values = await self._values(work) | window.values
        query, strict = (
            f"{self._statement.objects(expression)} {WINDOW}"
            for expression in (as_json, as_strict_json)
        )
        return await _cast(work.do(steps.array, query, strict, values, most))

    async def total(self, work: Work) -> int:
        """Count all rows; raises as :meth:`rows`."""
        ((total,),) = await _cast(work.rows(self._statement.count, await self._values(work)))
        return int(total)

    async def pieces(self, kind: FileFormat, window: Window) -> AsyncGenerator[bytes, None]:
        """Write rows in a format, piece by piece; raises as :meth:`rows`.

        The publication stays open until the last piece, or until the iterator is closed.

        Args:
            kind: The format.
            window: Which rows.
        """
        with self.source.work() as work:
            values = await self._values(work) | window.values
            query = f"{self._statement.rows(as_typed if kind.typed else as_flat)} {WINDOW}"
            async with aclosing(work.each(steps.pieces, query, values, kind.suffix)) as written:
                while piece := await _cast(anext(written, b"")):
                    yield piece

    async def _values(self, work: Work) -> dict[str, object]:
        """Read the query's values as their columns' types.

        Raises:
            Refused: One of them is not of its column's type.
        """
        values: dict[str, object] = {}
        for name, given in self._given.items():
            try:
                values[name] = msgspec.convert(given.text, PLAIN[given.type], strict=False)
            except KeyError:
                continue
            except msgspec.ValidationError as error:
                if given.type in WHOLE_NUMBERS:
                    raise _mismatch(given) from error
        if others := {name: one for name, one in self._given.items() if name not in values}:
            # The types are those of the contract; the texts are bound.
            casts = ", ".join(f"try_cast(${name} as {one.type})" for name, one in others.items())
            texts = {name: one.text for name, one in others.items()}
            (found,) = await work.rows(f"select {casts}", texts)
            for value, (name, given) in zip(found, others.items(), strict=True):
                if value is None:
                    raise _mismatch(given)
                values[name] = value
        return values


CASTING = ("Conversion Error", "Out of Range Error", "Invalid Input Error")
"""How DuckDB's sentences about a value begin."""

WINDOW = "limit $limit offset $offset"


def _mismatch(given: Parameter) -> Refused:
    return Refused(f"{given.column} is {given.type}, and '{shown(given.text)}' is none.", "22P02")


async def _cast(running: Awaitable[Result]) -> Result:
    """Wait for a query.

    Raises:
        Refused: A cast does not succeed.
    """
    try:
        return await running
    except (duckdb.DataError, OSError) as error:
        sentence = first_line(error)
        # On its way through Arrow an error loses its kind.
        if isinstance(error, OSError) and not sentence.startswith(CASTING):
            raise
        raise Refused(f"A value cannot be cast: {shown(sentence)}", "22P02") from error


async def read(
    source: OpenPublication, mart: Mart, question: Question, window: Window = EVERYTHING
) -> list[tuple[Any, ...]]:
    """Ask one question; raises as :class:`Asked` and its methods.

    Args:
        source: The publication.
        mart: One of its marts.
        question: What is asked of it.
        window: Which rows of the answer; all, if nothing is said.
    """
    asked = Asked(source, mart, question)
    with source.work() as work:
        return await asked.rows(work, window)

"""A question to one mart, asked of DuckDB: what every route of rows is made of."""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec

from api.dialect.question import FARTHEST, Refused, Unsatisfiable
from api.dialect.rendering import as_flat, as_json, as_strict_json, as_typed
from api.dialect.sql import compile_question
from api.querying import steps
from api.querying.parts import ENOUGH
from api.quoting import counted, repeated, shown
from publication.connection import first_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable
    from typing import TypeVar

    from api.dialect.question import Question
    from api.formats import FileFormat
    from api.opened import OpenPublication
    from api.querying.parts import Part
    from api.work import Work
    from publication import Mart

    Result = TypeVar("Result")

RANGE = re.compile(r"(\d+)-(\d*)", re.ASCII)
"""Which rows are asked for, both included (``rangeParse`` of PostgREST's RangeQuery.hs)."""


CASTING = ("Conversion Error", "Invalid Input Error")
"""How DuckDB's sentences about a value that cannot be cast begin."""

OUT_OF_RANGE = "Out of Range Error"
"""How they begin about a number that is too large, a sum too."""


class NotThatMany(Unsatisfiable):
    """Rows were asked for from behind the last one on."""

    def __init__(self, total: int, offset: int) -> None:
        """Refuse.

        Args:
            total: How many rows there are.
            offset: How many of them were to be passed over.
        """
        super().__init__(
            f"The offset is {offset}, but the answer has {counted(total, 'row')}; give a smaller "
            "one.",
            f"An offset of {offset} was requested, but there are only {total} rows.",
        )
        self.headers = {"Content-Range": f"*/{total}"}


class Window(msgspec.Struct, frozen=True):
    """Which rows of a list are asked for: `limit` of them, or all, after `offset` others."""

    offset: int = 0
    limit: int | None = None

    def of(self, header: str | None) -> Window:
        """Narrow it to what the ``Range`` header asks for.

        A header of another form or unit is ignored, as RFC 9110 §14.2 and PostgREST have it.

        Raises:
            Unsatisfiable: There cannot be such rows.
        """
        found = RANGE.fullmatch((header or "").strip())
        if found is None:
            return self
        first, last = (min(int(end[:19]), FARTHEST) if end else None for end in found.groups())
        assert first is not None  # noqa: S101 -- it has a digit
        if last is not None and last < first:
            raise Unsatisfiable(
                f"Range: {shown(found[0])} ends before it begins.",
                "The lower boundary must be lower than or equal to the upper boundary in the Range "
                "header.",
            )
        ends = [] if last is None else [last + 1]
        if self.limit is not None:
            ends.append(self.offset + self.limit)
        start = max(self.offset, first)
        if self.limit != 0 and ends and min(ends) <= start:
            raise Unsatisfiable(
                f"Range: {shown(found[0])} has no row in common with limit and offset.",
                "Limit should be greater than or equal to zero.",
            )
        return Window(start, max(min(ends) - start, 0) if ends else None)

    def of_rows(self, total: int) -> int:
        """How many of some rows it shows."""
        rows = max(total - self.offset, 0)
        return rows if self.limit is None else min(rows, self.limit)

    def one_more_than(self, most: int) -> Window:
        """Its rows up to some number of them, and one more, which says that there are more."""
        return Window(self.offset, most + 1 if self.limit is None else min(self.limit, most + 1))

    @property
    def sql(self) -> str:
        """What it is at the end of a query: nothing where nothing is left out."""
        limit = "" if self.limit is None else " limit $limit"
        return f"{limit} offset $offset" if self.offset else limit

    @property
    def values(self) -> dict[str, object]:
        """What is bound there."""
        limit: dict[str, object] = {} if self.limit is None else {"limit": self.limit}
        return limit | {"offset": self.offset} if self.offset else limit


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
        self._statement = compile_question(source.tables[mart.name], question)
        self._terms = question.terms
        self._doubtful = True

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
        return await self._cast(work.rows(f"{self._statement.rows()}{window.sql}", values))

    async def array(self, work: Work, window: Window, most: int) -> Part:
        """Read rows as objects of JSON, as far as one answer goes; raises as :meth:`rows`.

        Args:
            work: What runs the query.
            window: Which rows.
            most: Only so many of them are answered.

        Raises:
            Refused: One alone is too long, too.
        """
        # Where the names alone are long, DuckDB need not make rows that have no room.
        least = sum(len(one.name) + len('"":0,') for one in self._statement.columns)
        most = min(most, max(ENOUGH // least, 1))
        asked = window.one_more_than(most)
        values = await self._values(work) | asked.values
        query = f"{self._statement.objects(as_json)}{asked.sql}"
        strict = f"{self._statement.objects(as_strict_json)}{asked.sql}"
        # Where both are the same there is nothing to be strict about.
        others = strict if strict != query else None
        return not_too_long(await self._cast(work.do(steps.array, query, others, values, most)))

    async def total(self, work: Work) -> int:
        """Count all rows; raises as :meth:`rows`."""
        counting = work.rows(self._statement.count, await self._values(work))
        ((total,),) = await self._cast(counting)
        return int(total)

    async def pieces(
        self, kind: FileFormat, window: Window, before: Work
    ) -> AsyncGenerator[bytes, None]:
        """Write rows in a format, piece by piece; raises as :meth:`rows`.

        The publication stays open until the last piece, or until the iterator is closed.

        Args:
            kind: The format.
            window: Which rows.
            before: What was asked for the same answer before.
        """
        with self.source.work(before=before) as work:
            values = await self._values(work) | window.values
            query = f"{self._statement.rows(as_typed if kind.typed else as_flat)}{window.sql}"
            async with aclosing(work.each(steps.pieces, query, values, kind.suffix)) as written:
                while piece := await self._cast(anext(written, b"")):
                    yield piece

    async def _values(self, work: Work) -> dict[str, object]:
        """Take the query's values, and ask DuckDB whether those that it has to read are good.

        Raises:
            Refused: One of them is not of its column's type.
        """
        given = {f"v{n}": one for n, one in enumerate(self._statement.parameters)}
        values = {name: one.value for name, one in given.items()}
        if others := {name: one for name, one in given.items() if not one.read and self._doubtful}:
            # Only whether they can be read: on its way through Python a value may lose digits.
            casts = ", ".join(
                f"try_cast(${name} as {one.type}) is not null" for name, one in others.items()
            )
            (found,) = await work.rows(f"select {casts}", {name: values[name] for name in others})
            for good, one in zip(found, others.values(), strict=True):
                if not good:
                    raise one.mismatch
            self._doubtful = False
        return values

    async def _cast(self, running: Awaitable[Result]) -> Result:
        """Wait for a query.

        Raises:
            Refused: A cast does not succeed, or a number that is made has no room.
        """
        try:
            return await running
        except (duckdb.DataError, OSError) as error:
            kind, _, reason = first_line(error).partition(": ")
            # On its way through Arrow an error loses its kind.
            if isinstance(error, OSError) and kind not in {*CASTING, OUT_OF_RANGE}:
                raise
            cast = [one for one in self._terms if one.cast or one.inner_cast]
            large = [one for one in self._terms if one.aggregate in {"sum", "avg"}]
            suspects = [*cast, *large] if kind == OUT_OF_RANGE else cast
            asked = ",".join(one.text for one in suspects)
            why = f"as select={shown(asked)} asks ({repeated(reason).rstrip('.')})"
            if kind == OUT_OF_RANGE:
                raise Refused(f"A number is too large {why}; ask for less.", "22003") from error
            sentence = f"A value cannot be cast {why}; ask for another type, or leave it out."
            raise Refused(sentence, "22P02") from error


def not_too_long(part: Part, instead: str = "ask for fewer columns, or for another format") -> Part:
    """Pass a part of an answer on if it has a row, where there is one.

    Args:
        part: The part.
        instead: What to do where it has none.

    Raises:
        Refused: Its first row alone is too long.
    """
    if part.more and not part.rows:
        raise Refused(
            f"The first of these rows takes more than {ENOUGH >> 20} MB as JSON, which is the most "
            f"that an answer has; {instead}.",
            "54000",
        )
    return part


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

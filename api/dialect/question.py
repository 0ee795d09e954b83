"""What a query asks of a mart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from litestar.exceptions import ClientException

if TYPE_CHECKING:
    from datetime import date

Comparison = Literal["eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike"]
Truth = Literal["null", "not_null", "true", "false", "unknown"]
Aggregate = Literal["count", "sum", "avg", "min", "max"]


FARTHEST = 2**62
"""Where every list has ended. DuckDB counts no further than 2^63."""


class Refused(ClientException):
    """A query that cannot be answered, or is not supported."""

    def __init__(self, sentence: str, code: str = "PGRST100", details: str | None = None) -> None:
        """Refuse.

        Args:
            sentence: What is wrong, and where.
            code: PostgREST's or PostgreSQL's code for it.
            details: The same in PostgREST's words, where its clients may look for them.
        """
        super().__init__(sentence)
        self.code = code
        self.details = details


class Unsatisfiable(Refused):
    """Rows were asked for that there cannot be, or that are not there."""

    status_code = 416

    def __init__(self, sentence: str, details: str) -> None:
        """Refuse.

        Args:
            sentence: What is wrong, and where.
            details: The same in PostgREST's words (its Error.hs).
        """
        super().__init__(sentence, "PGRST103", details)


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """One element of ``select``.

    Attributes:
        column: The column; none for ``count()``.
        inner_cast: What it is cast to before it is aggregated, as PostgreSQL calls the type.
        aggregate: What is made of it, if anything.
        cast: What the result is cast to.
        alias: What it is called in the answer, if not as usual.
    """

    column: str | None
    inner_cast: str | None = None
    aggregate: Aggregate | None = None
    cast: str | None = None
    alias: str | None = None

    @property
    def name(self) -> str:
        """What it is called in the answer."""
        return self.alias or self.aggregate or self.column or ""

    @property
    def text(self) -> str:
        """It, as ``select`` has it."""
        column = self.column or ""
        inner = f"{column}::{self.inner_cast}" if self.inner_cast else column
        call = f"{'.' if column else ''}{self.aggregate}()" if self.aggregate else ""
        alias = f"{self.alias}:" if self.alias else ""
        return f"{alias}{inner}{call}" + (f"::{self.cast}" if self.cast else "")


class Compared(msgspec.Struct, frozen=True, tag=True):
    """A column compared with a value, or, with ``not.``, the opposite."""

    column: str
    operator: Comparison
    value: str
    negated: bool = False


class Listed(msgspec.Struct, frozen=True, tag=True):
    """A column that has one of some values."""

    column: str
    values: tuple[str, ...]
    negated: bool = False


class Is(msgspec.Struct, frozen=True, tag=True):
    """A column that is null, or true, ..."""

    column: str
    what: Truth
    negated: bool = False


class Tree(msgspec.Struct, frozen=True, tag=True):
    """Conditions of which all or any must hold."""

    any: bool
    parts: tuple[Condition, ...]
    negated: bool = False


Condition = Compared | Listed | Is | Tree


class Order(msgspec.Struct, frozen=True):
    """One column to order by. Nulls come last upwards and first downwards, unless said."""

    column: str
    descending: bool = False
    nulls_first: bool | None = None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A whole query.

    Attributes:
        terms: What to answer; all columns if there is none.
        conditions: All of them must hold.
        order: By what, before the mart's grain.
        limit: At most so many rows, if given.
        offset: So many rows are passed over.
    """

    terms: tuple[Term, ...] = ()
    conditions: tuple[Condition, ...] = ()
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0


def within(column: str, first: date | None, last: date | None) -> tuple[Condition, ...]:
    """The conditions that a day lies in a period.

    Args:
        column: The day's.
        first: The first day of the period, if it has one.
        last: The last one (inclusive), if it has one.
    """
    bounds: tuple[tuple[Comparison, date | None], ...] = (("gte", first), ("lte", last))
    return tuple(Compared(column, way, str(day)) for way, day in bounds if day is not None)

"""From a question to SQL over one mart: names are those of its contract, values are bound."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, get_args

import msgspec

from api.dialect.casts import cast
from api.dialect.conditions import Conditions, of_mart
from api.dialect.question import Aggregate, Order, Question, Refused, Term
from api.dialect.values import FLOATING, WHOLE, Parameter
from api.quoting import shown
from publication.sql import identifier as quoted
from publication.sql import literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publication import Column, Mart

AGGREGATES = get_args(Aggregate)

NUMBERS = {*FLOATING, *WHOLE}

AS_WRITTEN = """
case
    when cast(try_cast({sql} as decimal(15, 6)) as double) = {sql}
        then try_cast({sql} as decimal(15, 6))
    else try_cast(cast({sql} as varchar) as decimal(28, 18))
end
"""
"""A floating-point number below 1e10 as the decimal that it is written as: the shortest text that
reads back as the same number. A cast without text would keep its binary tail. The text takes ten
times as long, so it is made only where 15 digits and 6 places do not read back as the same."""

SMALL = f"sum({AS_WRITTEN})"
"""The sum of the numbers below 1e10, which has room for 1e10 of them; null without any."""

LARGE = "sum({sql} order by {sql}) filter (abs({sql}) >= 1e10)"
"""The sum of all other numbers, in their own order. Infinite numbers and NaN are summed as
PostgreSQL does."""

SUM = f"list_sum([cast({SMALL} as double), {LARGE}])"
"""A sum of floating-point numbers that does not depend on the order of rows. Of a list so that each
part is written, and planned, once; null where both parts are."""

UNITS = f"cast(replace(cast(abs({SMALL}) as varchar), '.', '') as hugeint)"

MEAN_DIGITS = (
    f"concat({UNITS} // count({{sql}}), lpad(cast("
    f"{UNITS} % count({{sql}}) * 1000000000000000 // count({{sql}}) as varchar), 15, '0'), 'e-33')"
)

AVERAGE = f"""
case
    when {LARGE} is null then sign({SMALL}) * cast({MEAN_DIGITS} as double)
    else {SUM} / count({{sql}})
end
"""
"""The sum over the count, divided as whole numbers of 1e-18: 0.3 over 3 is 0.1, and a division of
doubles makes 0.09999999999999999 of it."""


class Selected(msgspec.Struct, frozen=True):
    """One column of the answer.

    Attributes:
        name: What it is called.
        sql: The expression.
        type: Its type, as DuckDB calls it.
    """

    name: str
    sql: str
    type: str


Grouped = list[tuple[Term, str]]
"""What rows are grouped by beside aggregates, and its SQL."""

Expression = Callable[[Selected], str]
"""How a column is written for a format."""


def _as_it_is(column: Selected) -> str:
    return column.sql


# Most questions ask for the columns that another one asked for.
@lru_cache(256)
def _listed(columns: tuple[Selected, ...], expression: Expression) -> str:
    return ", ".join([f"{expression(one)} as {quoted(one.name)}" for one in columns])


@lru_cache(256)
def _object(columns: tuple[Selected, ...], expression: Expression) -> str:
    pairs = ", ".join([f"{literal(one.name)}, {expression(one)}" for one in columns])
    return f"json_object({pairs})"


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """SQL in parts, and what is bound to it.

    Attributes:
        columns: What is selected.
        source: From where, under which conditions, and how it is grouped.
        order: By what it is ordered; empty where the rows come in that order by themselves.
        parameters: The values that are ``$v0``, ``$v1``, ...
    """

    columns: tuple[Selected, ...]
    source: str
    order: str
    parameters: tuple[Parameter, ...]

    def rows(self, expression: Expression = _as_it_is) -> str:
        """SQL of all rows in their order, without a limit.

        Args:
            expression: How a column is written; as it is, if nothing is said.
        """
        return f"select {_listed(self.columns, expression)} {self.source} {self.order}"

    def objects(self, expression: Expression) -> str:
        """SQL of the same rows, each as one JSON object.

        Args:
            expression: How a column is written as JSON.
        """
        return f"select {_object(self.columns, expression)} {self.source} {self.order}"

    @property
    def count(self) -> str:
        """SQL of how many rows there are."""
        unordered = msgspec.structs.replace(self, order="")
        return f"select count(*) from ({unordered.rows()})"  # noqa: S608 -- of the contract


class Table:
    """A mart as SQL sees it, made once for all questions to it.

    Attributes:
        mart: The mart.
        columns: Its columns by name.
        every: All of them, as they are selected.
    """

    def __init__(self, mart: Mart) -> None:
        """Prepare a mart of a publication."""
        self.mart = mart
        self.columns = {column.name: column for column in mart.columns}
        self.every = tuple(Selected(one.name, of_mart(one), one.type) for one in mart.columns)

    def column(self, name: str) -> Column:
        """Find a column.

        Args:
            name: What a client calls it.

        Raises:
            Refused: The mart has no column of that name.
        """
        try:
            return self.columns[name]
        except KeyError:
            raise Refused(
                f"There is no column {shown(name)} in {self.mart.name}; "
                f"its columns are {', '.join(self.columns)}.",
                "42703",
            ) from None


def compile_question(table: Table, question: Question) -> Statement:
    """Write the SQL.

    Args:
        table: The mart that is asked.
        question: What is asked of it.

    Raises:
        Refused: It names what the mart does not have, or what does not fit a column's type.
    """
    return _Writer(table).statement(question)


class _Writer:
    def __init__(self, table: Table) -> None:
        self._table = table
        self._mart = table.mart
        self._columns = table.columns
        # Not with what refers to this: each question would leave a cycle to be looked for.
        self._conditions = Conditions(table.column)

    def statement(self, question: Question) -> Statement:
        terms = self._expanded(question.terms)
        columns = self._selected(terms) if question.terms else self._table.every
        source = f"from main.{quoted(self._mart.name)} as mart"
        if question.conditions:
            source += " where " + " and ".join(map(self._conditions.sql, question.conditions))
        made = {term.name for term in terms if term.aggregate} - set(self._columns)
        grouped = None
        if any(term.aggregate for term in terms):
            grouped = [(term, self._term(term)[0]) for term in terms if not term.aggregate]
        if grouped:
            source += " group by " + ", ".join(sql for _, sql in grouped)
        by = self._order(question.order, grouped, made)
        return Statement(
            columns=columns,
            source=source,
            order="order by " + ", ".join(by) if by else "",
            parameters=tuple(self._conditions.parameters),
        )

    def _selected(self, terms: list[Term]) -> tuple[Selected, ...]:
        names: set[str] = set()
        for term in terms:
            if term.name in names:
                raise Refused(
                    f"select gives {shown(term.name)} twice; call one of them otherwise, "
                    f"as in other:{shown(term.name)}."
                )
            names.add(term.name)
        return tuple(Selected(term.name, *self._term(term)) for term in terms)

    def _expanded(self, terms: Iterable[Term]) -> list[Term]:
        every = [Term(column=name) for name in self._columns]
        listed = list(terms) or every
        return [one for term in listed for one in (every if term.column == "*" else [term])]

    def _term(self, term: Term) -> tuple[str, str]:
        """SQL of an element of the selection, and its type."""
        sql, kind = "*", "BIGINT"
        if term.column is not None:
            column = self._selectable(term.column)
            sql, kind = of_mart(column), column.type
        if term.inner_cast:
            sql, kind = cast(sql, kind, term.inner_cast)
        if term.aggregate in {"sum", "avg"} and kind.partition("(")[0] not in {*NUMBERS, "DECIMAL"}:
            raise Refused(
                f"{term.aggregate}() needs numbers, and {term.column} is {kind}.", "42883"
            )
        match term.aggregate:
            case "sum" | "avg" if kind in FLOATING:
                sql = (SUM if term.aggregate == "sum" else AVERAGE).format(sql=sql)
                kind = "DOUBLE"
            case "sum" if kind in NUMBERS:  # whole numbers, whose sum may be larger than they
                sql, kind = f"cast(sum({sql}) as decimal(38, 0))", "DECIMAL(38,0)"
            case "sum":
                sql, kind = f"sum({sql})", "DECIMAL(38,18)"
            case "avg" | "count":
                sql = f"{term.aggregate}({sql})"
                kind = "DOUBLE" if term.aggregate == "avg" else "BIGINT"
            case "min" | "max":
                sql = f"{term.aggregate}({sql})"
        if term.cast:
            sql, kind = cast(sql, kind, term.cast)
        return sql, kind

    def _selectable(self, name: str) -> Column:
        """Find a column of the selection; an aggregate may have been meant.

        Raises:
            Refused: The selection has no column of that name.
        """
        if name in AGGREGATES and name not in self._columns:
            raise Refused(
                f"There is no column {name} in {self._mart.name}; as an aggregate, write it as "
                f"{'' if name == 'count' else 'column.'}{name}().",
                "42703",
            )
        return self._table.column(name)

    def _order(
        self, asked: tuple[Order, ...], grouped: Grouped | None, made: set[str]
    ) -> list[str]:
        """Order totally, so that pages neither repeat nor miss a row."""
        if grouped is None and self._mart.sorted and _is_start(asked, self._mart.grain):
            return []  # the file has its rows in this order already
        by: dict[str, str] = {}
        for order in asked:
            first = order.descending if order.nulls_first is None else order.nulls_first
            way = "desc" if order.descending else "asc"
            by.setdefault(
                self._ordered(order.column, grouped, made),
                f"{way} nulls {'first' if first else 'last'}",
            )
        if grouped is None:
            rest = [of_mart(self._columns[name]) for name in self._mart.grain]
        else:
            rest = [sql for _, sql in grouped]
        for sql in rest:
            by.setdefault(sql, "asc nulls last")
        return [f"{sql} {way}" for sql, way in by.items()]

    def _ordered(self, name: str, grouped: Grouped | None, made: set[str]) -> str:
        """SQL of what an element of ``order`` is by; beside aggregates, of what is selected."""
        if name in made:
            raise Refused(
                f"order={shown(name)} is by what is made of a column, which is not supported; "
                "order by columns."
            )
        column = of_mart(self._table.column(name))
        if grouped is None:
            return column
        selected = {sql for term, sql in grouped if term.column == name}
        if column in selected:
            return column
        if not selected:
            raise Refused(
                f"order={shown(name)} is not possible beside aggregates: select the column too."
            )
        if len(selected) > 1:
            raise Refused(
                f"order={shown(name)} is not possible beside aggregates and several casts of "
                f"{shown(name)}: select it without a cast too.",
                "42803",
            )
        return selected.pop()


def _is_start(asked: tuple[Order, ...], grain: tuple[str, ...]) -> bool:
    """Tell whether an order is that of the grain, as far as it goes. A grain is never null."""
    upwards = not any(order.descending for order in asked)
    return upwards and tuple(order.column for order in asked) == grain[: len(asked)]

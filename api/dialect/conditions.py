"""From conditions to SQL: values are bound, and compared as PostgreSQL compares them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.dialect.question import Compared, Is, Listed, Refused, Tree
from api.dialect.values import as_decimal, read_decimal, read_value
from publication.sql import identifier as quoted

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from api.dialect.question import Comparison, Condition
    from api.dialect.values import Parameter
    from publication import Column

SYMBOLS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class Conditions:
    """Writes conditions on the columns of one mart.

    Attributes:
        parameters: What is bound as ``$v0``, ``$v1``, ...
    """

    def __init__(self, column: Callable[[str], Column]) -> None:
        """Bind nothing yet.

        Args:
            column: Finds a column by its name; raises if there is none.
        """
        self._column = column
        self.parameters: list[Parameter] = []

    def sql(self, condition: Condition) -> str:
        """Write one condition.

        Raises:
            Refused: It names what the mart does not have, or what does not fit a column's type.
        """
        match condition:
            case Tree():
                word = " or " if condition.any else " and "
                sql = word.join(map(self.sql, condition.parts))
            case Listed():
                sql = self._listed(condition)
            case Is():
                sql = self._is(condition)
            case Compared():
                sql = self._compared(condition)
        return f"(not ({sql}))" if condition.negated else f"({sql})"

    def _is(self, condition: Is) -> str:
        column = self._column(condition.column)
        match condition.what:
            case "null":
                return f"{of_mart(column)} is null"
            case "not_null":
                return f"{of_mart(column)} is not null"
        if column.type != "BOOLEAN":
            raise Refused(
                f"is.{condition.what} needs a boolean, and {column.name} is {column.type}.", "42804"
            )
        if condition.what == "unknown":
            return f"{of_mart(column)} is null"
        return f"{of_mart(column)} is not distinct from {condition.what}"

    def _compared(self, condition: Compared) -> str:
        column = self._column(condition.column)
        if condition.operator in {"like", "ilike"}:
            return self._like(column, condition)
        if column.type.startswith("DECIMAL"):
            return self._decimal(column, condition.operator, condition.value)
        value = self._bound(read_value(column, condition.value))
        return f"{of_mart(column)} {SYMBOLS[condition.operator]} {value}"

    def _like(self, column: Column, condition: Compared) -> str:
        if column.type != "VARCHAR":
            raise Refused(
                f"{condition.operator} needs text, and {column.name} is {column.type}.", "42883"
            )
        # A backslash escapes, as in PostgreSQL; one at the end would escape nothing.
        if len(condition.value) - len(condition.value.rstrip("\\")) & 1:
            raise Refused(f"The pattern for {column.name} ends with a lone backslash.", "22025")
        pattern = self._bound(read_value(column, condition.value.replace("*", "%")))
        return f"{of_mart(column)} {condition.operator} {pattern} escape '\\'"

    def _decimal(self, column: Column, operator: Comparison, text: str) -> str:
        """Compare with a number that may have more digits than the column."""
        bounds = read_decimal(column, text)
        if bounds.below is not None and bounds.below == bounds.above:
            return f"{of_mart(column)} {SYMBOLS[operator]} {self._exact(column, bounds.below)}"
        if operator == "neq":
            return f"{of_mart(column)} = {of_mart(column)}"  # null stays null
        if operator in {"gt", "gte"} and bounds.above is not None:
            return f"{of_mart(column)} >= {self._exact(column, bounds.above)}"
        if operator in {"lt", "lte"} and bounds.below is not None:
            return f"{of_mart(column)} <= {self._exact(column, bounds.below)}"
        return _never(column)

    def _listed(self, condition: Listed) -> str:
        column = self._column(condition.column)
        values, others = [], False
        for text in dict.fromkeys(condition.values):
            if column.type.startswith("DECIMAL"):
                bounds = read_decimal(column, text)
                if bounds.below is None or bounds.below != bounds.above:
                    others = True
                else:
                    values.append(self._exact(column, bounds.below))
            else:
                values.append(self._bound(read_value(column, text)))
        either = [f"{of_mart(column)} in ({', '.join(values)})"] * bool(values)
        return " or ".join([*either, *[_never(column)] * others]) or "false"

    def _exact(self, column: Column, value: Decimal) -> str:
        return self._bound(as_decimal(column, value))

    def _bound(self, parameter: Parameter) -> str:
        self.parameters.append(parameter)
        name = f"$v{len(self.parameters) - 1}"
        return name if parameter.typed else f"cast({name} as {parameter.type})"


def of_mart(column: Column) -> str:
    """SQL of a column of the mart, even where the answer calls something else so."""
    return f"mart.{quoted(column.name)}"


def _never(column: Column) -> str:
    """What holds for no value, and is null for none."""
    return f"{of_mart(column)} <> {of_mart(column)}"

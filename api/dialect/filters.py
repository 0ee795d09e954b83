"""Conditions: ``column=operator.value``, and trees of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

from api.dialect.names import BLANKS, NAME, into_json, plain, unescaped
from api.dialect.question import Compared, Comparison, Is, Listed, Refused, Tree, Truth
from api.quoting import shown

if TYPE_CHECKING:
    from api.dialect.question import Condition

COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)
TRUTHS: tuple[Truth, ...] = get_args(Truth)
OPERATORS = (*COMPARISONS, "in", "is")
THERE_ARE = f"there are {', '.join(OPERATORS)}, and not. before one"

OTHER_OPERATORS = (
    *("match", "imatch", "isdistinct", "fts", "plfts", "phfts", "wfts"),
    *("cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj"),
)
"""What PostgREST has and this server does not."""

OTHER_BRACKETS = {"{": "}", "[": "]"}
"""What lists are written in elsewhere: arrays of PostgreSQL, and of JSON."""

DEEPEST = 20
"""How far ``and`` and ``or`` may be nested."""

MOST_CONDITIONS = 500
"""How many conditions a query may have, those in trees included."""

MOST_VALUES = 2_000
"""How many values all lists of a query may have together."""

FILTER = re.compile(
    r"(?P<negated>not\.)?(?P<operator>[a-z]+)(?P<more>\([a-z]*\))?\.(?P<value>.*)", re.DOTALL
)

BEGINNING = re.compile(r"(?P<negated>not\.)?(?P<operator>[a-z]+)(?P<more>\([a-z]*\))?\.")
"""A condition inside a tree, up to its value."""

COLUMN = re.compile(rf"[{BLANKS}]*({NAME})[{BLANKS}]*(->)?\.?", re.DOTALL)
BRANCH = re.compile(rf"[{BLANKS}]*(not\.)?(and|or)[{BLANKS}]*(?=\()")
BLANK = re.compile(rf"[{BLANKS}]*")

LISTED = re.compile(r'"((?:[^"\\]|\\.)*)"(?=[,)]|$)|([^,)]*)', re.DOTALL)
"""A value of a list (``pListElement`` of PostgREST's QueryParams.hs): in quotes it may hold commas
and parentheses; quotes that something else follows are part of the value."""

SINGLE = re.compile(r'"((?:[^"\\]|\\.)*)"(?=[,)]|$)|(\{[^{}]*\}|[^,)]*)', re.DOTALL)
"""A value in a tree (``pLogicSingleVal`` there): braces too may hold commas."""


class Filters:
    """The conditions of a query, as they are read, and how much they are.

    Attributes:
        conditions: Those that were read.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self.conditions: list[Condition] = []
        self._count = 0
        self._values = 0

    def add(self, column: str, text: str, where: str) -> None:
        """Read ``operator.value``; the value goes to the end.

        Args:
            column: The column that the condition is on.
            text: What is said of it.
            where: The parameter, as the query names it.

        Raises:
            Refused: It is malformed, not supported, or too much.
        """
        found = FILTER.fullmatch(text)
        if found is None:
            raise Refused(
                f"{shown(where)}={shown(text)} has no operator; if that is a column, write it as "
                f"{shown(where)}=eq.value ({THERE_ARE}); the parameters that are no columns are "
                "select, order, and, or, limit, offset and publication."
            )
        negated, operator = _operator(found)
        if operator == "in":
            if not found["value"].lstrip(BLANKS).startswith("("):
                begun = f"{shown(where)}={found['negated'] or ''}"
                raise _no_list(f"{shown(where)}={shown(text)}", begun, found["value"])
            reader = _Reader(self, text, where, found.start("value"))
            self.conditions.append(Listed(column, reader.values(), negated))
            reader.end()
        else:
            self.conditions.append(_made(column, operator, found["value"], negated, where))
        self.count_condition()

    def add_tree(self, text: str, where: str, *, any_: bool, negated: bool) -> None:
        """Read ``(condition,condition,...)``.

        Args:
            text: All of it.
            where: The parameter, as the query names it.
            any_: Whether one condition is enough.
            negated: Whether the opposite is meant.

        Raises:
            Refused: It is malformed, not supported, or too much.
        """
        reader = _Reader(self, text, where)
        self.conditions.append(reader.tree(any_=any_, negated=negated))
        reader.end()

    def count_condition(self) -> None:
        """Count one more; raises if there are too many."""
        self._count += 1
        if self._count > MOST_CONDITIONS:
            raise Refused(f"There are more than {MOST_CONDITIONS:,} conditions; ask for less.")

    def count_values(self, count: int) -> None:
        """Count more listed values; raises if there are too many."""
        self._values += count
        if self._values > MOST_VALUES:
            raise Refused(f"There are more than {MOST_VALUES:,} listed values; ask for less.")


def _operator(found: re.Match[str]) -> tuple[bool, str]:
    operator = found["operator"]
    if operator in OTHER_OPERATORS:
        raise Refused(f"The operator {operator} is not supported here; {THERE_ARE}.", "PGRST127")
    if operator not in OPERATORS:
        raise Refused(f"There is no operator {shown(operator)}; {THERE_ARE}.")
    if found["more"]:
        instead = "; for one of several values write in.(value,value)" if operator == "eq" else ""
        raise Refused(
            f"The modifier {operator}{found['more']} is not supported here{instead}.", "PGRST127"
        )
    return found["negated"] is not None, operator


def _no_list(what: str, begun: str, value: str) -> Refused:
    """Say how a list is written, where one is written otherwise, as in SQL or as in an array.

    Args:
        what: What has it.
        begun: What stands before the operator.
        value: What stands behind it.
    """
    value = value.strip(BLANKS)
    if value[:1] in OTHER_BRACKETS:
        value = value[1:].removesuffix(OTHER_BRACKETS[value[:1]])
    return Refused(f"{what} lacks parentheses; write it as {begun}in.({shown(value)}).")


def _made(column: str, operator: str, value: str, negated: bool, where: str) -> Condition:
    if operator == "is":
        for what in TRUTHS:
            if value.strip(BLANKS).lower() == what:
                return Is(column, what, negated)
        raise Refused(f"{shown(where)}=is.{shown(value)} is none of {', '.join(TRUTHS)}.")
    for comparison in COMPARISONS:
        if operator == comparison:
            return Compared(column, comparison, value, negated)
    raise AssertionError(operator)


class _Reader:
    """Reads what is in parentheses: trees of conditions, and lists of values.

    Blanks may stand wherever PostgREST allows them: around names and words, around parentheses
    and before a condition; never in front of a listed value, which they belong to.
    """

    def __init__(self, filters: Filters, text: str, where: str, place: int = 0) -> None:
        self._filters = filters
        self._text = text
        self._where = where
        self._place = place

    def tree(self, *, any_: bool, negated: bool, depth: int = 1) -> Tree:
        """Read ``(condition,condition,...)``."""
        if depth > DEEPEST:
            raise Refused(f"{self._where} is nested more than {DEEPEST} times.")
        self._take("(")
        parts = [self._part(depth)]
        while self._next() == ",":
            self._take(",")
            parts.append(self._part(depth))
        self._take(")")
        return Tree(any_, tuple(parts), negated)

    def values(self) -> tuple[str, ...]:
        """Read ``(value,"value",...)``."""
        self._take("(")
        if self._text.startswith(")", self._place):
            self._take(")")
            return ()
        values = [self._value(LISTED)]
        while self._text.startswith(",", self._place) and len(values) <= MOST_VALUES:
            self._place += 1
            values.append(self._value(LISTED))
        self._filters.count_values(len(values))
        self._take(")")
        return tuple(values)

    def end(self) -> None:
        """See that nothing follows."""
        if self._place != len(self._text):
            raise self._wrong("the end")

    def _part(self, depth: int) -> Condition:
        if branch := BRANCH.match(self._text, self._place):
            self._place = branch.end()
            return self.tree(any_=branch[2] == "or", negated=bool(branch[1]), depth=depth + 1)
        column = COLUMN.match(self._text, self._place)
        if column and column[2]:
            raise into_json(f"{shown(self._where)}={shown(self._text)}")
        if column is None or not column[0].endswith("."):
            raise self._wrong("a condition such as column.eq.value")
        self._place = column.end()
        # The operator is up to the value, and the value may hold dots.
        beginning = BEGINNING.match(self._text, self._place)
        if beginning is None:
            raise self._wrong("an operator")
        negated, operator = _operator(beginning)
        self._place = beginning.end()
        self._filters.count_condition()
        name = plain(column[1])
        if operator == "in":
            if self._next() in OTHER_BRACKETS:
                begun = f"{shown(column[1])}.{beginning['negated'] or ''}"
                rest = self._text[self._place :]
                value, end, _ = rest.partition(OTHER_BRACKETS[rest[0]])
                raise _no_list(f"{shown(self._where)}={shown(self._text)}", begun, value + end)
            return Listed(name, self.values(), negated)
        return _made(name, operator, self._value(SINGLE), negated, self._where)

    def _value(self, kind: re.Pattern[str]) -> str:
        """Read a value up to a comma or a closing parenthesis."""
        found = kind.match(self._text, self._place)
        assert found is not None  # noqa: S101 -- it matches the empty text too
        self._place = found.end()
        return found[2] if found[1] is None else unescaped(found[1])

    def _next(self) -> str:
        return self._text[self._place : self._place + 1]

    def _take(self, character: str) -> None:
        """Read a character, and the blanks around it."""
        self._blanks()
        if self._next() != character:
            raise self._wrong(f"'{character}'")
        self._place += 1
        self._blanks()

    def _blanks(self) -> None:
        if self._next() in {" ", "\t"}:
            found = BLANK.match(self._text, self._place)
            self._place = found.end() if found else self._place

    def _wrong(self, expected: str) -> Refused:
        return Refused(
            f"{shown(self._where)}={shown(self._text)} is malformed at character "
            f"{self._place + 1}: {expected} is expected there."
        )

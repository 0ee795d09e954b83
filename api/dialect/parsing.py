"""From a query string to a question. What a column may be is not decided here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

from api.dialect.question import (
    Aggregate,
    Compared,
    Comparison,
    Condition,
    Is,
    Listed,
    Order,
    Question,
    Refused,
    Term,
    Tree,
    Truth,
)
from api.problems import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)
TRUTHS: tuple[Truth, ...] = get_args(Truth)
OPERATORS = (*COMPARISONS, "in", "is")

OTHER_OPERATORS = (
    *("match", "imatch", "isdistinct", "fts", "plfts", "phfts", "wfts"),
    *("cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj"),
)
"""What PostgREST has and this server does not."""

DEEPEST = 20
"""How far ``and`` and ``or`` may be nested."""

LARGEST = 2**62
"""The largest limit and offset. DuckDB counts no further than 2^63."""

NAME = r'"(?:[^"\\]|\\.)+"|[^\s",.:()\-<>!*]+'
"""A column: quoted, or without any character that means something."""

TERM = re.compile(
    rf"(?:(?P<alias>{NAME}):(?!:))?"
    rf"(?:(?P<column>{NAME})(?:::(?P<inner>\w+(?: precision)?)(?=\.))?)?"
    r"(?P<aggregate>\.?(?:count|sum|avg|min|max)\(\))?"
    r"(?:::(?P<cast>\w+(?: precision)?))?"
)

ORDER = re.compile(
    rf"(?P<column>{NAME})(?:\.(?P<way>asc|desc))?(?:\.(?P<nulls>nullsfirst|nullslast))?"
)

FILTER = re.compile(
    r"(?P<negated>not\.)?(?P<operator>[a-z]+)(?P<more>\([a-z]*\))?\.(?P<value>.*)", re.DOTALL
)

DIGITS = re.compile(r"\d{1,30}", re.ASCII)


def parse(pairs: Iterable[tuple[str, str]]) -> Question:
    """Read a query.

    Args:
        pairs: The parameters in their order, decoded; those that are not PostgREST's left out.

    Raises:
        Refused: It is malformed, or asks for what is not supported; the sentence says where.
    """
    given: dict[str, str] = {}
    conditions: list[Condition] = []
    for name, value in pairs:
        if name in {"select", "order", "limit", "offset"}:
            if name in given:
                raise Refused(f"The parameter {name} was given twice; give it once.")
            given[name] = value
        elif name in {"columns", "on_conflict"}:
            raise Refused(f"The parameter {name} is for writing; marts are only read.", "PGRST127")
        elif (word := name.removeprefix("not.")) in {"and", "or"}:
            parser = _Parser(value, name)
            tree = parser.tree(any_=word == "or", negated=name != word)
            parser.end()
            conditions.append(tree)
        else:
            conditions.append(_condition(unquoted(name), value, name))
    return Question(
        terms=_terms(given.get("select", "")),
        conditions=tuple(conditions),
        order=_orders(given.get("order", "")),
        limit=_whole(given["limit"], "limit") if "limit" in given else None,
        offset=_whole(given.get("offset", "0"), "offset"),
    )


def unquoted(name: str) -> str:
    """Take the quotes of a name away, if it has any."""
    if len(name) > 1 and name[0] == name[-1] == '"':
        return re.sub(r"\\(.)", r"\1", name[1:-1], flags=re.DOTALL)
    return name


def _whole(text: str, name: str) -> int:
    if not DIGITS.fullmatch(text):
        raise Refused(f"{name}={shown(text)} is not a whole number, 0 or more.")
    return min(int(text), LARGEST)


def _split(text: str) -> list[str]:
    """Split at commas that are in no quotes and no parentheses."""
    parts, start, depth, quoted, escaped = [], 0, 0, False, False
    for place, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped = character == "\\"
            quoted = character != '"'
        elif character == '"':
            quoted = True
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def _terms(select: str) -> tuple[Term, ...]:
    if select.strip() in {"", "*"}:
        return ()
    return tuple(_term(part.strip()) for part in _split(select))


def _term(text: str) -> Term:
    if text == "*":
        return Term(column="*")
    found = TERM.fullmatch(text)
    if found is None or not (found["column"] or found["aggregate"]):
        if "->" in text:
            raise Refused(
                f"select={shown(text)} reaches into JSON, which marts do not have.", "PGRST127"
            )
        if "(" in text:
            raise Refused(
                f"select={shown(text)} embeds another mart, which is not supported.", "PGRST127"
            )
        raise Refused(
            f"select={shown(text)} is not an element of a selection; write it as column, "
            "alias:column, column::type or alias:column.sum()::type."
        )
    column, aggregate = found["column"], (found["aggregate"] or "").strip(".()")
    if aggregate and not column and (aggregate != "count" or found["aggregate"][0] == "."):
        raise Refused(f"select={shown(text)} lacks a column; only count() needs none.")
    if aggregate and column and found["aggregate"][0] != ".":
        raise Refused(f"select={shown(text)} lacks the dot before {aggregate}().")
    return Term(
        column=unquoted(column) if column else None,
        inner_cast=found["inner"],
        aggregate=_aggregate(aggregate),
        cast=found["cast"],
        alias=unquoted(found["alias"]) if found["alias"] else None,
    )


def _aggregate(name: str) -> Aggregate | None:
    for known in get_args(Aggregate):
        if name == known:
            aggregate: Aggregate = known
            return aggregate
    return None


def _orders(text: str) -> tuple[Order, ...]:
    if not text:
        return ()
    return tuple(_order(part.strip()) for part in _split(text))


def _order(text: str) -> Order:
    found = ORDER.fullmatch(text)
    if found is None:
        raise Refused(
            f"order={shown(text)} is not an element of an order; write it as column, column.desc "
            "or column.asc.nullsfirst."
        )
    nulls = None if found["nulls"] is None else found["nulls"] == "nullsfirst"
    return Order(unquoted(found["column"]), found["way"] == "desc", nulls)


def _condition(column: str, text: str, where: str) -> Condition:
    """Read ``operator.value``; the value goes to the end."""
    negated, operator, value = _operator(text, where)
    if operator == "in":
        parser = _Parser(value, where)
        values = parser.values()
        parser.end()
        return Listed(column, values, negated)
    return _made(column, operator, value, negated, where)


def _operator(text: str, where: str) -> tuple[bool, str, str]:
    found = FILTER.fullmatch(text)
    if found is None:
        raise Refused(
            f"{shown(where)}={shown(text)} has no operator; write it as "
            f"{shown(where)}=eq.value. There are {', '.join(OPERATORS)}, and not. before one."
        )
    operator = found["operator"]
    if operator in OTHER_OPERATORS:
        raise Refused(f"The operator {operator} is not supported here.", "PGRST127")
    if operator not in OPERATORS:
        raise Refused(
            f"There is no operator {shown(operator)}; there are {', '.join(OPERATORS)}, "
            "and not. before one."
        )
    if found["more"]:
        raise Refused(f"The modifier {operator}{found['more']} is not supported here.", "PGRST127")
    return found["negated"] is not None, operator, found["value"]


def _made(column: str, operator: str, value: str, negated: bool, where: str) -> Condition:
    if operator == "is":
        for what in TRUTHS:
            if value.lower() == what:
                return Is(column, what, negated)
        raise Refused(f"{shown(where)}=is.{shown(value)} is none of {', '.join(TRUTHS)}.")
    for comparison in COMPARISONS:
        if operator == comparison:
            return Compared(column, comparison, value, negated)
    raise AssertionError(operator)


class _Parser:
    """Reads what is in parentheses: trees of conditions, and lists of values."""

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where
        self._place = 0

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
        if self._next() == ")":
            self._take(")")
            return ()
        values = [self._value()]
        while self._next() == ",":
            self._take(",")
            values.append(self._value())
        self._take(")")
        return tuple(values)

    def end(self) -> None:
        """See that nothing follows."""
        if self._place != len(self._text):
            raise self._wrong("the end")

    def _part(self, depth: int) -> Condition:
        found = re.compile(r"(not\.)?(and|or)(?=\()").match(self._text, self._place)
        if found:
            self._place = found.end()
            return self.tree(any_=found[2] == "or", negated=bool(found[1]), depth=depth + 1)
        name = re.compile(rf"({NAME})\.").match(self._text, self._place)
        if name is None:
            raise self._wrong("a condition such as column.eq.value")
        self._place = name.end()
        # The operator is up to the value, and the value may hold dots.
        start = re.compile(r"(?:not\.)?[a-z]+(?:\([a-z]*\))?\.").match(self._text, self._place)
        if start is None:
            raise self._wrong("an operator")
        negated, operator, _ = _operator(start[0], self._where)
        self._place = start.end()
        column = unquoted(name[1])
        if operator == "in":
            return Listed(column, self.values(), negated)
        return _made(column, operator, self._value(), negated, self._where)

    def _value(self) -> str:
        """Read a value up to a comma or a parenthesis; in quotes it may hold both."""
        if self._next() == '"':
            found = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL).match(self._text, self._place)
            if found is None:
                raise self._wrong("a closing quote")
            self._place = found.end()
            return re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL)
        plain = re.compile(r"[^,()]*").match(self._text, self._place)
        assert plain is not None  # noqa: S101 -- it matches the empty text too
        self._place = plain.end()
        return plain[0]

    def _next(self) -> str:
        return self._text[self._place : self._place + 1]

    def _take(self, character: str) -> None:
        if self._next() != character:
            raise self._wrong(f"'{character}'")
        self._place += 1

    def _wrong(self, expected: str) -> Refused:
        return Refused(
            f"{shown(self._where)}={shown(self._text)} is malformed at character "
            f"{self._place + 1}: {expected} is expected there."
        )

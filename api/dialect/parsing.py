"""From a query string to a question. What a column may be is not decided here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

from api.dialect.filters import Filters
from api.dialect.names import BLANKS, NAME, into_json, of_parameter, plain
from api.dialect.question import (
    FARTHEST,
    Aggregate,
    Order,
    Question,
    Refused,
    Term,
    Unsatisfiable,
)
from api.quoting import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_TERMS = 500
"""How many elements ``select`` may have. All bounds are far above what a front-end asks for: they
keep what is read on the event loop to a few milliseconds."""

MOST_ORDERS = 100
"""How many elements ``order`` may have."""

TYPE = r"[\w $]+"
"""A type to cast to (``pIdentifier`` of PostgREST's QueryParams.hs)."""

AGGREGATES = "|".join(get_args(Aggregate))

# Blanks before a name are never given back (`*+`): a name may have some too, and to try all ways to
# share many of them out takes seconds.
TERM = re.compile(
    rf"(?:(?P<alias>{NAME}):(?!:))?[ \t]*+"
    rf"(?:(?P<column>{NAME})(?:::(?P<inner>{TYPE})(?=\.))?)?"
    rf"(?P<aggregate>\.?(?:{AGGREGATES})\(\))?"
    rf"(?:::(?P<cast>{TYPE}))?",
    re.DOTALL,
)

CALL = re.compile(
    rf"(?:{NAME}:(?!:))?[ \t]*+{NAME}(?:::{TYPE})?\.(?P<call>[^\W\d]\w*\([^()]*\)?)", re.DOTALL
)
"""A column of which something is made; another mart's name has no dot."""

WRAPPED = re.compile(
    rf"(?P<alias>{NAME}:(?!:))?[ \t]*+"
    rf'(?P<aggregate>{AGGREGATES})\((?P<of>(?:"(?:[^"\\]|\\.)*+"|[^()"])*+)\)(?P<cast>::{TYPE})?',
    re.DOTALL | re.IGNORECASE,
)
"""An aggregate as SQL writes it, of whatever."""

ONE_COLUMN = re.compile(rf'(?:"(?:[^"\\]|\\.)+"|[\w$-]+)(?:::{TYPE})?', re.DOTALL)
"""What of that is a column's name, and perhaps a cast."""

DISTINCT = re.compile(r"distinct\b", re.IGNORECASE)

LENGTH = re.compile(r"::[\w $]+\(")
"""A cast to a type with a length."""

ORDER = re.compile(
    rf"(?P<column>{NAME})(?:\.(?P<way>asc|desc))?(?:\.(?P<nulls>nullsfirst|nullslast))?", re.DOTALL
)

PUNCTUATION = re.compile(r'"(?:[^"\\]|\\.)*"?|[(),]', re.DOTALL)

DIGITS = re.compile(r"\d{1,30}", re.ASCII)
NEGATIVE = re.compile(r"-0*[1-9]\d*", re.ASCII)


def parse(pairs: Iterable[tuple[str, str]]) -> Question:
    """Read a query.

    Args:
        pairs: The parameters in their order, decoded; those that are not PostgREST's left out.

    Raises:
        Refused: It is malformed, or asks for what is not supported; the sentence says where.
    """
    given: dict[str, str] = {}
    filters = Filters()
    for name, value in pairs:
        if name in {"select", "order", "limit", "offset"}:
            if name in given:
                raise Refused(f"The parameter {name} was given twice; give it once.")
            given[name] = value
        elif name in {"columns", "on_conflict"}:
            raise Refused(f"The parameter {name} is for writing; marts are only read.", "PGRST127")
        elif (word := name.removeprefix("not.")) in {"and", "or"}:
            filters.add_tree(value, name, any_=word == "or", negated=name != word)
        else:
            filters.add(of_parameter(name), value, name)
    return Question(
        terms=_terms(given.get("select", "")),
        conditions=tuple(filters.conditions),
        order=_orders(given.get("order", "")),
        limit=_limit(given["limit"]) if "limit" in given else None,
        offset=_whole(given.get("offset", "0"), "offset"),
    )


def _limit(text: str) -> int:
    if NEGATIVE.fullmatch(text):
        raise Unsatisfiable(
            f"limit={shown(text)} is less than 0.",
            "Limit should be greater than or equal to zero.",
        )
    return _whole(text, "limit")


def _whole(text: str, name: str) -> int:
    if not DIGITS.fullmatch(text):
        raise Refused(f"{name}={shown(text)} is not a whole number, 0 or more.")
    return min(int(text), FARTHEST)


def _split(text: str, name: str, most: int) -> list[str]:
    """Split at commas that are in no quotes and no parentheses.

    Args:
        text: The value.
        name: The parameter that has it.
        most: How many parts it may have.
    """
    parts, start, depth = [], 0, 0
    for found in PUNCTUATION.finditer(text):
        match found[0]:
            case "(":
                depth += 1
            case ")":
                depth -= 1
            case "," if depth == 0:
                parts.append(text[start : found.start()].strip(BLANKS))
                start = found.end()
                if len(parts) == most:
                    raise Refused(f"{name} has more than {most} elements; ask for less.")
    return [*parts, text[start:].strip(BLANKS)]


def _terms(select: str) -> tuple[Term, ...]:
    if select.strip() in {"", "*"}:
        return ()
    return tuple(map(_term, _split(select, "select", MOST_TERMS)))


def _term(text: str) -> Term:
    if text == "*":
        return Term(column="*")
    found = TERM.fullmatch(text)
    if found is None or not (found["column"] or found["aggregate"]):
        raise _no_term(text)
    column, aggregate = found["column"], (found["aggregate"] or "").strip(".()")
    if aggregate and not column and (aggregate != "count" or found["aggregate"][0] == "."):
        raise _no_column(text)
    if aggregate and column and found["aggregate"][0] != ".":
        raise Refused(f"select={shown(text)} lacks the dot before {aggregate}().")
    return Term(
        column=plain(column) if column else None,
        inner_cast=found["inner"],
        aggregate=_aggregate(aggregate),
        cast=found["cast"],
        alias=plain(found["alias"]) if found["alias"] else None,
    )


def _no_term(text: str) -> Refused:
    """Say what is wrong with an element of the selection."""
    if LENGTH.search(text):
        return Refused(
            f"select={shown(text)} casts to a type with a length, which is not supported; name the "
            "type alone.",
            "PGRST127",
        )
    if "->" in text:
        return into_json(f"select={shown(text)}")
    if call := CALL.match(text):
        return _called(text, call["call"])
    if call := WRAPPED.fullmatch(text):
        return _wrapped(text, call)
    if "(" in text:
        return Refused(
            f"select={shown(text)} embeds another mart or calls a function, which is not "
            "supported; there are only aggregates, such as column.sum(), and other names, such as "
            "other:column.",
            "PGRST127",
        )
    called = text.rpartition(".")[2] in get_args(Aggregate)
    ways = "column, alias:column, column::type or alias:column.sum()::type"
    return Refused(
        f"select={shown(text)} is not an element of a selection; write it as "
        f"{f'{shown(text)}()' if called else ways}."
    )


def _called(text: str, call: str) -> Refused:
    """Say what is wrong with what is made of a column, or behind that."""
    *others, last = known = [f"{name}()" for name in get_args(Aggregate)]
    if call in known:
        return Refused(
            f"select={shown(text)} goes on after {call}, where only a cast may follow, as in "
            "column.sum()::int; another name stands before, as in other:column.sum()."
        )
    return Refused(
        f"select={shown(text)} asks for {shown(call)}, and there is no such aggregate; there are "
        f"{', '.join(others)} and {last}."
    )


def _wrapped(text: str, call: re.Match[str]) -> Refused:
    """Say how an aggregate is written that stands as SQL has it."""
    of, aggregate = call["of"].strip(BLANKS), call["aggregate"].lower()
    if of in {"", "*", "1"}:
        if aggregate != "count":
            return _no_column(text)
        column = ""
    elif ONE_COLUMN.fullmatch(of):
        column = f"{of}."
    elif DISTINCT.match(of):
        return Refused(
            f"select={shown(text)} is about distinct values, which is not supported; select the "
            "column and count(), and there is a row for each.",
            "PGRST127",
        )
    else:
        return Refused(
            f"select={shown(text)} makes something of what is not the name of a column alone; "
            f"write it as column.{aggregate}()."
        )
    written = f"{call['alias'] or ''}{column}{aggregate}(){call['cast'] or ''}"
    return Refused(f"select={shown(text)} is SQL's way; write it as {shown(written)}.")


def _no_column(text: str) -> Refused:
    return Refused(f"select={shown(text)} lacks a column; only count() needs none.")


def _aggregate(name: str) -> Aggregate | None:
    for known in get_args(Aggregate):
        if name == known:
            aggregate: Aggregate = known
            return aggregate
    return None


def _orders(text: str) -> tuple[Order, ...]:
    return tuple(map(_order, _split(text, "order", MOST_ORDERS))) if text else ()


def _order(text: str) -> Order:
    found = ORDER.fullmatch(text)
    if found is None:
        if "->" in text:
            raise into_json(f"order={shown(text)}")
        if "(" in text:
            raise Refused(
                f"order={shown(text)} is by an aggregate, a function or an embedded mart, which is "
                "not supported; order by columns.",
                "PGRST127",
            )
        raise Refused(
            f"order={shown(text)} is not an element of an order; write it as column, column.desc "
            "or column.asc.nullsfirst."
        )
    nulls = None if found["nulls"] is None else found["nulls"] == "nullsfirst"
    return Order(plain(found["column"]), found["way"] == "desc", nulls)

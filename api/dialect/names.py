"""How columns are named in a query."""

from __future__ import annotations

import re

from api.dialect.question import Refused
from api.quoting import shown

BLANKS = " \t"
"""What may stand around names, commas and parentheses (``ws`` of PostgREST's QueryParams.hs)."""

NAME = r'(?:"(?:[^"\\]|\\.)+"|(?:[^",.:()\-<>!*]|-(?!>))+)'
"""A column: quoted, or without any character that means something.

Blanks and dashes may be inside, as in ``pFieldName`` of PostgREST's QueryParams.hs; a dash before
``>`` begins a path into JSON.
"""

QUOTED = re.compile(r'"(?:[^"\\]|\\.)+"', re.DOTALL)


def plain(name: str) -> str:
    """Take a name's quotes away, or the blanks around it if it has none."""
    name = name.strip(BLANKS)
    return unescaped(name[1:-1]) if name[:1] == '"' else name


def unescaped(text: str) -> str:
    """Take away the backslashes that escape the character behind them."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) if "\\" in text else text


def of_parameter(name: str) -> str:
    """The column that a parameter's name means.

    Raises:
        Refused: It means what is inside a column, or a column of another mart.
    """
    if QUOTED.fullmatch(name):
        return plain(name)
    if "->" in name:
        raise into_json(f"The parameter {shown(name)}")
    if name.startswith("not."):
        column = shown(name.removeprefix("not."))
        raise Refused(
            f"The parameter {shown(name)} has not. before the column; write it before the "
            f"operator, as in {column}=not.eq.value."
        )
    if "(" in name:
        raise Refused(
            f"The parameter {shown(name)} is about an aggregate, which is not supported; "
            "conditions are on columns.",
            "PGRST127",
        )
    if "." in name:
        raise Refused(
            f"The parameter {shown(name)} is about an embedded mart, which is not supported; a "
            "column whose name has a dot is written in quotes.",
            "PGRST127",
        )
    return name.strip(BLANKS)


def into_json(what: str) -> Refused:
    """Make the error for what is inside a column.

    Args:
        what: What of the query means that; the sentence begins with it.
    """
    return Refused(f"{what} reaches into JSON, which is not supported.", "PGRST127")

"""The values of a query: texts, read as PostgreSQL reads them for the column's type."""

from __future__ import annotations

import re
import struct
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import TYPE_CHECKING

import msgspec

from api.dialect.question import Refused
from api.quoting import shown

if TYPE_CHECKING:
    from publication import Column

SPACE = " \t\n\r\v\f"
"""What PostgreSQL trims from numbers, truth values and dates."""

BITS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "HUGEINT": 128}

WHOLE = {
    **{name: (-(1 << bits - 1), (1 << bits - 1) - 1) for name, bits in BITS.items()},
    **{f"U{name}": (0, (1 << bits) - 1) for name, bits in BITS.items()},
}
"""The whole numbers, with their least and largest value."""

FLOATING = {"DOUBLE", "FLOAT"}

WORDS = {
    **dict.fromkeys(("t", "tr", "tru", "true", "y", "ye", "yes", "on", "1"), True),
    **dict.fromkeys(("f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0"), False),
}
"""Truth values: PostgreSQL takes what begins one of its words and no other."""

BOUND_AS = {"VARCHAR": str, "DOUBLE": float, "DATE": date}
"""Types whose values DuckDB's client binds as just these types."""

COMPARED_AS = {"TIMESTAMP_S": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP"}
"""What a value is read as that may be more exact than the column: half a second is no whole one."""

DIGITS = re.compile(r"[+-]?\d+", re.ASCII)
NUMBER = re.compile(
    r"(?P<digits>[+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:e(?P<exponent>[+-]?\d{1,9}))?"
    r"|[+-]?inf(?:inity)?|nan",
    re.ASCII | re.IGNORECASE,
)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
HEX = re.compile(r"\\x((?:[0-9a-f]{2})*)", re.ASCII | re.IGNORECASE)
DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")

ADVICE = {
    **dict.fromkeys(WHOLE, "write a whole number, such as 12"),
    **dict.fromkeys((*FLOATING, "DECIMAL"), "write a number, such as 12.5"),
    **dict.fromkeys(
        ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
        "write a moment as 2026-01-31T12:00:00",
    ),
    "TIMESTAMP WITH TIME ZONE": "write a moment as 2026-01-31T12:00:00Z",
    "BOOLEAN": "write true or false",
    "DATE": "write a date as 2026-01-31",
    "TIME": "write a time as 12:30:00",
    "INTERVAL": "write an interval as 2 days",
    "UUID": "write it as 01234567-89ab-cdef-0123-456789abcdef",
    "BLOB": r"write bytes as \x00ff",
    "ENUM": "write one of its values",
}
"""How values of a type are written; what is nested looks different for each."""

LONGEST_NUMBER = 200
"""With how many digits a whole number is read; none has more than 39."""

LARGEST_EXPONENT = 131_072
"""PostgreSQL's: a ``numeric`` has at most so many digits before its point."""

EXACTLY = Context(prec=60, Emax=999_999_999, Emin=-999_999_999)


class Parameter(msgspec.Struct, frozen=True):
    """A value of the query, to be bound.

    Attributes:
        column: The column that it is compared with.
        of: That column's type.
        type: What it is bound as.
        text: What the query says.
        value: What is bound: the text, if DuckDB has to read it.
        read: Whether it is of the type for certain; else DuckDB has to be asked.
    """

    column: str
    of: str
    type: str
    text: str
    value: object
    read: bool

    @property
    def typed(self) -> bool:
        """Whether its value is of its type by itself, so that no cast has to be planned."""
        return type(self.value) is BOUND_AS.get(self.type)

    @property
    def mismatch(self) -> Refused:
        """The error if it is not of its column's type."""
        return _mismatch(self.column, self.of, self.text)


class Bounds(msgspec.Struct, frozen=True):
    """The values that a column of decimals can have next to a number: both are it, if it can.

    Attributes:
        below: The largest that is not more, if there is one.
        above: The smallest that is not less, if there is one.
    """

    below: Decimal | None
    above: Decimal | None


def read_value(column: Column, text: str) -> Parameter:
    """Read a value, if that is possible without DuckDB; decimals have :func:`read_decimal`.

    Nothing is rounded to fit the column: what it can never hold finds nothing, or is refused as
    PostgreSQL does.

    Raises:
        Refused: It is not of the column's type.
    """
    kind = column.type
    trimmed = text.strip(SPACE)
    value: object = None
    if kind == "VARCHAR":
        value = text
    elif kind in WHOLE:
        value = _whole(column, trimmed)
    elif kind in FLOATING:
        value = _floating(column, trimmed)
    elif kind == "BOOLEAN":
        value = WORDS.get(trimmed.lower())
        if value is None:
            raise _mismatch(column.name, column.type, text)
    elif kind == "DATE" and DAY.fullmatch(trimmed):
        value = _day(column, trimmed)
    elif kind == "BLOB" and (found := HEX.fullmatch(text)):
        value = bytes.fromhex(found[1])
    elif kind.startswith("TIME") and not kind.startswith("TIMESTAMP") and ":" not in text:
        raise _mismatch(column.name, column.type, text)  # DuckDB takes a day for midnight
    type_ = COMPARED_AS.get(kind, kind)
    if value is None:
        return Parameter(column.name, kind, type_, text, text, read=False)
    return Parameter(column.name, kind, type_, text, value, read=True)


def as_decimal(column: Column, value: Decimal) -> Parameter:
    """Bind a decimal that its column can hold."""
    text = f"{value:f}"
    return Parameter(column.name, column.type, column.type, text, text, read=True)


def read_decimal(column: Column, text: str) -> Bounds:
    """Read a number that is compared with decimals, at its full precision.

    Args:
        column: A column of decimals.
        text: What the query says.

    Raises:
        Refused: It is no number.
    """
    digits, scale = map(int, DECIMAL.fullmatch(column.type).groups())  # type: ignore[union-attr]
    trimmed = text.strip(SPACE)
    found = NUMBER.fullmatch(trimmed)
    if found is None:
        raise _mismatch(column.name, column.type, text)
    if abs(int(found["exponent"] or 0)) > LARGEST_EXPONENT:
        raise _out_of_range(column, text)
    value = Decimal(trimmed)
    largest = Decimal(10**digits - 1).scaleb(-scale, EXACTLY)
    if value.is_nan() or value > largest:  # NaN is more than every number, in PostgreSQL
        return Bounds(largest, None)
    if value < -largest:
        return Bounds(None, -largest)
    unit = Decimal(1).scaleb(-scale)
    return Bounds(
        value.quantize(unit, ROUND_FLOOR, EXACTLY), value.quantize(unit, ROUND_CEILING, EXACTLY)
    )


def _whole(column: Column, text: str) -> int:
    if not DIGITS.fullmatch(text):
        raise _mismatch(column.name, column.type, text)
    least, most = WHOLE[column.type]
    significant = text.lstrip("+-0")
    if len(significant) > LONGEST_NUMBER:
        raise _out_of_range(column, text)
    value = -int(significant or 0) if text[0] == "-" else int(significant or 0)
    if not least <= value <= most:
        raise _out_of_range(column, text)
    return value


def _floating(column: Column, text: str) -> float:
    found = NUMBER.fullmatch(text)
    if found is None:
        raise _mismatch(column.name, column.type, text)
    value = float(text)
    if column.type == "FLOAT" and found["digits"]:
        try:
            (value,) = struct.unpack("f", struct.pack("f", value))
        except OverflowError:
            value = float("inf")
    if found["digits"] and (value in {float("inf"), float("-inf")} or _vanished(found, value)):
        raise _out_of_range(column, text)
    return value


def _vanished(found: re.Match[str], value: float) -> bool:
    """Tell whether a number became 0 that is none."""
    return value == 0 and bool(found["digits"].strip("+-0."))


def _day(column: Column, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _mismatch(column.name, column.type, text) from None


def _mismatch(column: str, kind: str, text: str) -> Refused:
    sentence = f"{column} is {kind}, and '{shown(text)}' is none"
    advice = None if kind.endswith("]") else ADVICE.get(kind.partition("(")[0])
    return Refused(f"{sentence}; {advice}." if advice else f"{sentence}.", "22P02")


def _out_of_range(column: Column, text: str) -> Refused:
    return Refused(f"{column.name} is {column.type}, and {shown(text)} is out of range.", "22003")

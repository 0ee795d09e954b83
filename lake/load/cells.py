"""What one cell is as a value of a column's type.

Text is read as a date or a timestamp of ISO 8601, as a number or as a truth value; text that is
blank, and a number that is NaN, is an empty cell.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from lake.contracts import SUM_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

TRUTHS = {
    **dict.fromkeys(("true", "t", "1", "yes", "y", "oui", "vrai"), True),
    **dict.fromkeys(("false", "f", "0", "no", "n", "non", "faux"), False),
}
"""What files call true and false; a spreadsheet set to French writes VRAI and FAUX."""


MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ].+)?", re.ASCII)
"""A date or a timestamp; ISO 8601 has other forms, such as weeks, that nobody means by it."""


class NotOneError(ValueError):
    """Says what a cell is not: "no date …"."""


def text_of(value: object) -> str:
    """Return a value as text: what is text in JSON as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no form for NaN and the infinities
    form = msgspec.to_builtins(value, enc_hook=str)
    return form if isinstance(form, str) else json_of(form)


def json_of(value: object) -> str:
    """Return a value as JSON; what JSON has no form for becomes text."""
    return msgspec.json.encode(value, enc_hook=str).decode()


def converter(
    target: pa.DataType, zone: ZoneInfo, *, key: bool, additive: bool
) -> Callable[[Any], Any]:
    """Return the function that turns one cell into a value of a column's type.

    Args:
        target: The column's type.
        zone: Where a zoned timestamp gets its date from, and what an unzoned one is taken in.
        key: Whether the column names rows: then only text and whole numbers become text.
        additive: Whether the column is added up: then NaN and large numbers do not fit.

    Returns:
        A function of a cell. It returns ``None`` for an empty one, and raises ``NotOneError``, or
        what Python and Arrow raise, for one that does not fit.
    """
    types = pa.types
    kinds: list[tuple[Callable[[pa.DataType], bool], Callable[[Any], Any]]] = [
        (types.is_string, _name if key else text_of),
        (types.is_date, lambda cell: _date(cell, zone)),
        (types.is_timestamp, lambda cell: _timestamp(cell, zone, zoned=target.tz is not None)),
        (types.is_boolean, _truth),
        (types.is_integer, lambda cell: _integer(cell, target)),
        (types.is_floating, _number),
        (types.is_decimal, lambda cell: _decimal(cell, target)),
        (lambda _: True, lambda cell: _other(cell, target)),
    ]
    convert = next(convert for is_kind, convert in kinds if is_kind(target))
    return (lambda cell: convert(_addend(cell))) if additive else convert


def _moment(cell: object, expected: str) -> date | datetime | None:
    """Read a date or a timestamp; a ``datetime`` is a ``date`` too."""
    if isinstance(cell, date):
        return cell
    if not isinstance(cell, str):
        raise NotOneError(expected)
    if not (text := cell.strip()):
        return None
    if not MOMENT.fullmatch(text):
        raise NotOneError(expected)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise NotOneError(expected) from None


def _date(cell: object, zone: ZoneInfo) -> date | None:
    moment = _moment(cell, "no date (YYYY-MM-DD, or with a time after T or a space)")
    if not isinstance(moment, datetime):
        return moment
    return _local(moment, zone).date()


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return a moment as the clocks of a zone show it; one without a zone is shown by them already.

    The last hours of the year 9999 are in the year 10000 there, or the first of the year 1 before
    it, and no calendar here has those. Such a moment ("for ever") keeps the date it is written
    with, which the marts count as implausible: the lead is not lost for it.
    """
    if moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        return moment.replace(tzinfo=None)


def _timestamp(cell: object, zone: ZoneInfo, *, zoned: bool) -> datetime | None:
    moment = _moment(cell, "no timestamp (YYYY-MM-DD, or with a time after T or a space)")
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - just below
    if not zoned:
        return _local(moment, zone)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        raise NotOneError("outside of the years 1 to 9999 in UTC") from None


def _name(cell: object) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool) or not isinstance(cell, int):
        raise NotOneError("no text")
    return str(cell)


def _truth(cell: object) -> bool | None:
    text = text_of(cell).strip().lower()
    if text and text not in TRUTHS:
        raise NotOneError("neither true nor false")
    return TRUTHS.get(text)


def _integer(cell: object, target: pa.DataType) -> int | None:
    number = _exact(cell, "no whole number")
    if number is None:
        return None
    if number != number.to_integral_value():
        raise NotOneError("no whole number")
    limit = 2 ** (target.bit_width - 1)
    if not -limit <= number < limit:
        raise NotOneError(f"too large for a column of {target}")
    return int(number)


def _number(cell: object) -> float | None:
    number = _exact(cell, "no number")
    if number is None:
        return None
    value = float(number)
    if math.isinf(value):
        raise NotOneError("too large for a floating-point number")
    return value


def _decimal(cell: object, target: pa.DataType) -> Decimal | None:
    number = _exact(cell, "no number")
    return None if number is None else Decimal(pa.scalar(number, target).as_py())


def _addend(cell: object) -> object:
    """Return a cell that can be added to others, as far as it is a number."""
    number = _exact(cell, "no number", nan="no number")
    if number is not None and not -SUM_LIMIT <= number <= SUM_LIMIT:
        raise NotOneError(f"more than {SUM_LIMIT:,}, the most that is added up")
    return cell


def _exact(cell: object, otherwise: str, nan: str | None = None) -> Decimal | None:
    """Read a finite number without rounding; blank text and NaN are an empty cell.

    Args:
        cell: The cell.
        otherwise: What it is if it is no number.
        nan: What NaN is, if it is no empty cell.
    """
    if isinstance(cell, bool) or not isinstance(cell, (str, int, float, Decimal)):
        raise NotOneError(otherwise)
    text = str(cell).strip()
    if "_" in text:  # Python's own way to write a number, and nobody else's
        raise NotOneError(otherwise)
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise NotOneError(otherwise) from None
    if number.is_nan() and nan:
        raise NotOneError(nan)
    if number.is_infinite():
        raise NotOneError(otherwise)
    return None if number.is_nan() else number


def _other(cell: object, target: pa.DataType) -> object:
    """Fit a cell to a type that only Parquet and JSON have, such as a list."""
    if isinstance(cell, str) and pa.types.is_nested(target):
        cell = msgspec.json.decode(cell)
    return pa.scalar(cell, target).as_py()

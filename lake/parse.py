"""Turns the cells of a file into values of a column's type, or says why they cannot be.

The same rules hold for every format. Text is read as ISO 8601 (dates and timestamps), as a number
or as a truth value; text that is blank, and a number that is NaN, is an empty cell. What has the
column's type already stays as it is.
"""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from zoneinfo import ZoneInfo

TRUTHS = {
    **dict.fromkeys(("true", "t", "1", "yes", "y", "oui", "vrai"), True),
    **dict.fromkeys(("false", "f", "0", "no", "n", "non", "faux"), False),
}
"""What files call true and false; a spreadsheet set to French writes VRAI and FAUX."""

SHOWN = 60
"""How many characters of a cell a reason quotes at most; the row is kept whole beside it."""


class Misfit(str):
    """A cell that has no value of the column's type: the text says why."""

    __slots__ = ()


def parse(
    cells: Sequence[object] | pa.Array,
    target: pa.DataType,
    zone: ZoneInfo,
    *,
    key: bool = False,
) -> tuple[pa.Array, dict[int, str]]:
    """Give every cell the type of its column.

    Args:
        cells: The cells of some rows, as Python values (``None`` is an empty cell) or as Arrow.
        target: The column's type.
        zone: Where a zoned timestamp gets its date from, and what an unzoned one is taken in.
        key: Whether the column names rows: its text must be text or a whole number. Elsewhere
            anything may become text.

    Returns:
        The values, null where a cell is empty or does not fit, and for each row that does not fit
        the reason, by its index.
    """
    if isinstance(cells, pa.Array):
        floating = pa.types.is_floating(target)
        if cells.type == target and not (floating and _has_infinite_or_nan(cells)):
            return cells, {}
        cells = values_of(cells)
    if pa.types.is_string(target):
        try:
            return pa.array(cells, target), {}
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            pass  # a number among the texts: cell by cell
    known = _Known(_name if key and pa.types.is_string(target) else _converter(target, zone))
    values = [known.look_up(cell) for cell in cells]
    misfits = {row: str(value) for row, value in enumerate(values) if type(value) is Misfit}
    for row in misfits:
        values[row] = None
    return pa.array(values, target), misfits


def values_of(array: pa.Array) -> list[Any]:
    """Return an Arrow column as Python values, with a ``Misfit`` for what Python has no value for.

    Python's dates and timestamps end with the year 9999, and its timestamps at microseconds.
    """
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("us", array.type.tz), safe=False)
    try:
        return list(array.to_pylist())
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in array]


def text_of(value: object) -> str:
    """Return a value as text: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json_of(value)


def json_of(value: object) -> str:
    """Return a value as JSON; what JSON has no form for becomes text."""
    return msgspec.json.encode(value, enc_hook=str).decode()


class _Known(dict[object, object]):
    """Each distinct cell is converted once: files repeat their dates many times."""

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        super().__init__()
        self._convert = convert

    def look_up(self, cell: object) -> object:
        # True and 1 are one key of a dictionary but not one cell; lists are no keys at all.
        return self[cell] if type(cell) is str else self._converted(cell)

    def __missing__(self, cell: object) -> object:
        value = self[cell] = self._converted(cell)
        return value

    def _converted(self, cell: object) -> object:
        if cell is None or type(cell) is Misfit:
            return cell
        try:
            return self._convert(cell)
        except (ValueError, TypeError, OverflowError, InvalidOperation, pa.ArrowException) as error:
            text = text_of(cell)
            shown = f"{text[:SHOWN]}…" if len(text) > SHOWN else text
            reason = f"is {error}" if isinstance(error, _No) else f"does not fit ({error})"
            return Misfit(f"'{shown}' {reason}")


class _No(ValueError):
    """Says what a cell is not: "no date …"."""


def _has_infinite_or_nan(array: pa.Array) -> bool:
    return pc.all(pc.is_finite(array)).as_py() is False


def _value(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return Misfit(f"{scalar.type} {scalar.value} lies outside of the years 1 to 9999")


def _converter(target: pa.DataType, zone: ZoneInfo) -> Callable[[Any], Any]:
    """Return the function that turns one cell into a value of a type, or raises."""
    types = pa.types
    kinds: list[tuple[Callable[[pa.DataType], bool], Callable[[Any], Any]]] = [
        (types.is_string, text_of),
        (types.is_date, lambda cell: _date(cell, zone)),
        (types.is_timestamp, lambda cell: _timestamp(cell, zone, zoned=target.tz is not None)),
        (types.is_boolean, _truth),
        (types.is_integer, lambda cell: _integer(cell, target)),
        (types.is_floating, _number),
        (types.is_decimal, lambda cell: _decimal(cell, target)),
        (lambda _: True, lambda cell: _other(cell, target)),
    ]
    return next(convert for is_kind, convert in kinds if is_kind(target))


def _moment(cell: object, expected: str) -> date | datetime | None:
    """Read a date or a timestamp; a ``datetime`` is a ``date`` too."""
    if isinstance(cell, date):
        return cell
    if not isinstance(cell, str):
        raise _No(expected)
    if not (text := cell.strip()):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise _No(expected) from None


def _date(cell: object, zone: ZoneInfo) -> date | None:
    moment = _moment(cell, "no date (YYYY-MM-DD, or an ISO 8601 timestamp)")
    if not isinstance(moment, datetime):
        return moment
    return (moment.astimezone(zone) if moment.tzinfo else moment).date()


def _timestamp(cell: object, zone: ZoneInfo, *, zoned: bool) -> datetime | None:
    moment = _moment(cell, "no timestamp (ISO 8601)")
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - just below
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return moment if zoned else moment.astimezone(zone).replace(tzinfo=None)


def _name(cell: object) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool) or not isinstance(cell, int):
        raise _No("no text")
    return str(cell)


def _truth(cell: object) -> bool | None:
    text = text_of(cell).strip().lower()
    if text and text not in TRUTHS:
        raise _No("neither true nor false")
    return TRUTHS.get(text)


def _integer(cell: object, target: pa.DataType) -> int | None:
    number = _exact(cell, "no whole number")
    if number is None:
        return None
    if number != number.to_integral_value():
        raise _No("no whole number")
    limit = 2 ** (target.bit_width - 1)
    if not -limit <= number < limit:
        raise _No(f"too large for a column of {target}")
    return int(number)


def _number(cell: object) -> float | None:
    number = _exact(cell, "no number")
    if number is None:
        return None
    value = float(number)
    if math.isinf(value):
        raise _No("no finite number")
    return value


def _decimal(cell: object, target: pa.DataType) -> Decimal | None:
    number = _exact(cell, "no number")
    return None if number is None else Decimal(pa.scalar(number, target).as_py())


def _exact(cell: object, otherwise: str) -> Decimal | None:
    """Read a finite number without rounding; blank text and NaN are an empty cell."""
    if isinstance(cell, bool) or not isinstance(cell, (str, int, float, Decimal)):
        raise _No(otherwise)
    text = str(cell).strip()
    if "_" in text:  # Python's own way to write a number, and nobody else's
        raise _No(otherwise)
    try:
        number = Decimal(text or "NaN")
    except InvalidOperation:
        raise _No(otherwise) from None
    if number.is_infinite():
        raise _No("no finite number")
    return None if number.is_nan() else number


def _other(cell: object, target: pa.DataType) -> object:
    """Fit a cell to a type that only Parquet and JSON have, such as a list."""
    if isinstance(cell, str) and pa.types.is_nested(target):
        cell = msgspec.json.decode(cell)
    return pa.scalar(cell, target).as_py()

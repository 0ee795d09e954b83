"""Turns the cells of a file into values of a column's type, or says why they cannot be.

The same rules hold for every format. What has the column's type already stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from lake.load.cells import NotOneError, converter, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from zoneinfo import ZoneInfo

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
        if cells.type == target and _is_sound(cells):
            return cells, {}
        cells = values_of(cells)
    if pa.types.is_string(target):
        try:
            return pa.array(cells, target), {}
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            pass  # a number among the texts: cell by cell
    known = _Known(converter(target, zone, key=key))
    values = [None if cell is None else known.look_up(cell) for cell in cells]
    misfits = {row: str(value) for row, value in enumerate(values) if type(value) is Misfit}
    for row in misfits:
        values[row] = None
    return pa.array(values, target), misfits


def values_of(array: pa.Array) -> list[Any]:
    """Return an Arrow column as Python values, with a ``Misfit`` for what Python has no value for.

    Python's dates and timestamps end with the year 9999, and its timestamps at microseconds.
    """
    try:
        if pa.types.is_timestamp(array.type):
            micros = pa.timestamp("us", array.type.tz)
            array = array.cast(options=pc.CastOptions(micros, allow_time_truncate=True))
        return list(array.to_pylist())
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in array]


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
        if type(cell) is Misfit:
            return cell
        try:
            return self._convert(cell)
        except (ArithmeticError, RecursionError, TypeError, ValueError, pa.ArrowException) as error:
            text = text_of(cell)
            shown = f"{text[:SHOWN]}…" if len(text) > SHOWN else text
            reason = f"is {error}" if isinstance(error, NotOneError) else f"does not fit ({error})"
            return Misfit(f"'{shown}' {reason}")


def _is_sound(array: pa.Array) -> bool:
    """Tell whether no cell is a number that is none, or a time outside of Python's years."""
    if pa.types.is_floating(array.type):
        return pc.all(pc.is_finite(array)).as_py() is not False
    if pa.types.is_date(array.type) or pa.types.is_timestamp(array.type):
        return not any(type(end) is Misfit for end in map(_value, pc.min_max(array).values()))
    return True


def _value(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return Misfit(f"{scalar.type} {scalar.value} lies outside of the years 1 to 9999")

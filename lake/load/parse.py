"""Turns the cells of a file into values of a column's type, or says why they cannot be.

The same rules hold for every format. What has the column's type already stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from lake.contracts import SUM_LIMIT
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
    additive: bool = False,
) -> tuple[pa.Array, dict[int, str]]:
    """Give every cell the type of its column.

    Args:
        cells: The cells of some rows, as Python values (``None`` is an empty cell) or as Arrow.
        target: The column's type.
        zone: Where a zoned timestamp gets its date from, and what an unzoned one is taken in.
        key: Whether the column names rows: its text must be text or a whole number. Elsewhere
            anything may become text.
        additive: Whether the column is added up, which NaN and large numbers cannot be.

    Returns:
        The values, null where a cell is empty or does not fit, and for each row that does not fit
        the reason, by its index.
    """
    if isinstance(cells, pa.Array):
        if cells.type == target and _is_sound(cells, additive=additive):
            return cells, {}
        cells = values_of(cells)
    if pa.types.is_string(target) and not any(type(cell) is Misfit for cell in cells):
        try:
            return pa.array(cells, target), {}
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            pass  # a number among the texts: cell by cell
    known = _Known(converter(target, zone, key=key, additive=additive))
    values = [None if cell is None else known.look_up(cell) for cell in cells]
    misfits = {row: str(value) for row, value in enumerate(values) if type(value) is Misfit}
    for row in misfits:
        values[row] = None
    return pa.array(values, target), misfits


def values_of(array: pa.Array) -> list[Any]:
    """Return an Arrow column as Python values, with a ``Misfit`` for what Python has no value for.

    Python's dates and timestamps end with the year 9999, and its times at microseconds. A moment
    with a zone is one in UTC: Python may not know the zone.
    """
    try:
        return list(_python_like(array).to_pylist())
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in _python_like(array)]


def _python_like(array: pa.Array) -> pa.Array:
    """Return a column in the units that Python has, cut to them where they are larger."""
    kind = array.type
    if pa.types.is_timestamp(kind):
        kind = pa.timestamp("us", "UTC" if kind.tz else None)
    elif kind == pa.time64("ns"):
        kind = pa.time64("us")
    elif kind == pa.duration("ns"):
        kind = pa.duration("us")
    if kind == array.type:
        return array
    try:
        return array.cast(options=pc.CastOptions(kind, allow_time_truncate=True))
    except pa.ArrowInvalid:  # seconds that are too many for microseconds
        return array.cast(pa.timestamp(array.type.unit, kind.tz))


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


def _is_sound(array: pa.Array, *, additive: bool) -> bool:
    """Tell whether no cell is a number that is none, or a time outside of Python's years."""
    if pa.types.is_floating(array.type) and pc.all(pc.is_finite(array)).as_py() is False:
        return False
    if additive:
        ends = pc.min_max(array).as_py().values()
        return all(end is None or abs(end) <= SUM_LIMIT for end in ends)
    if pa.types.is_date(array.type) or pa.types.is_timestamp(array.type):
        least, greatest = pc.min_max(array).values()
        return Misfit not in map(type, values_of(pa.array([least, greatest], array.type)))
    return True


def _value(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        unit = getattr(scalar.type, "unit", "days")
        if pa.types.is_duration(scalar.type):
            return Misfit(f"{scalar.value} {unit} are longer than can be kept")
        return Misfit(f"{scalar.value} {unit} after 1970 lie outside of the years 1 to 9999")

"""Which columns a source brings, and the type of each."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unicodedata import category

import pyarrow as pa

from lake.contracts import spellings
from lake.errors import InputRejected
from lake.load.cells import text_of
from lake.load.parse import values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lake.contracts import TableContract
    from lake.load.chunks import Source

LINE, PRESENT, KNOWN = "_line", "_present", "_known"
"""What staging adds to a file's columns."""

RESERVED = frozenset({LINE, PRESENT, KNOWN, "_change_type", "_commit_version", "_commit_timestamp"})
"""Names that staging and Delta's change data feed have for themselves."""

CONTROL = frozenset({"Cc", "Cs"})
"""The Unicode categories that no name may hold: controls such as NUL, and halves of characters."""

COLUMN_LIMIT = 1_000
"""How many columns a table may grow to: comparing many more needs more memory than there is."""

INTEGER_LIMIT = 2**63


class Columns:
    """The columns of one source on their way into one table.

    A column has the name and type that the table gives it, or the contract, or the source: upper
    and lower case do not make another column. Where none of them gives a type, the cells are kept
    as text until all of them have been seen.

    Attributes:
        types: The type of each column.
        named: The column that each name in the source stands for.
    """

    def __init__(self, source: Source, contract: TableContract, table: pa.Schema) -> None:
        """Prepare the columns of a source.

        Args:
            source: Its header is checked at once, if it has one.
            contract: What the table promises, as it spells its columns.
            table: The columns that the table has.

        Raises:
            InputRejected: The header lacks a key column or has a name that cannot be.
        """
        self._source = source
        known = {field.name: field.type for field in (*contract.schema, *table)}
        self._known: dict[str, pa.DataType] = known
        self._spelling = spellings(known)
        self._kinds: dict[str, set[type]] = {}
        self.types: dict[str, pa.DataType] = {name: known[name] for name in contract.key}
        self.named: dict[str, str] = {}
        if source.header is not None:
            self._check_header(source.header, contract.key)

    def _check_header(self, header: Sequence[str], key: Sequence[str]) -> None:
        there = spellings(header)
        if missing := [name for name in key if name.lower() not in there]:
            raise InputRejected(
                f"{self._source.place} has no column {' and no column '.join(missing)}: its "
                f"columns are {', '.join(header)}, and each row needs {', '.join(key)}."
            )
        if twice := sorted({name for name in header if list(header).count(name) > 1}):
            raise InputRejected(
                f"{self._source.place} has two columns called {twice[0]}: rename or remove one."
            )
        self.admit(header)

    def admit(self, names: Iterable[str]) -> list[str]:
        """Take note of the columns of some rows.

        Returns:
            The columns that they are and that had not come before, in order.

        Raises:
            InputRejected: A name cannot be a column's, or there are too many.
        """
        new = []
        for name in dict.fromkeys(names):
            if name in self.named:
                continue
            if not name or name.lower() in RESERVED or CONTROL.intersection(map(category, name)):
                raise InputRejected(
                    f"{self._source.place} has a column called {name!r}, which no column of the "
                    "lake may be called: rename it."
                )
            if name.lower() not in self._spelling and len(self._spelling) >= COLUMN_LIMIT:
                raise InputRejected(
                    f"{self._source.place} has a column called {name}, with which the table would "
                    f"have more than {COLUMN_LIMIT:,}: take out those that nobody needs."
                )
            column = self._spelling.setdefault(name.lower(), name)
            if other := next((n for n, same in self.named.items() if same == column), None):
                raise InputRejected(
                    f"{self._source.place} has a column called {name} where there is one called "
                    f"{other}: upper and lower case do not make another column, so rename it."
                )
            self.named[name] = column
            if column not in self.types:
                self.types[column] = self._type(name, column)
                new.append(column)
        return new

    def _type(self, name: str, column: str) -> pa.DataType:
        """Return the type in which a column is staged that the source calls by a name."""
        if column in self._known:
            return self._known[column]
        if (own := self._source.type_of(name)) is None:
            self._kinds[column] = set()
        return own or pa.string()

    def staged(self, name: str, cells: Sequence[object] | pa.Array) -> Sequence[object] | pa.Array:
        """Return a column's cells as they are to be parsed, and learn from them."""
        if name not in self._kinds:
            return cells
        values = values_of(cells) if isinstance(cells, pa.Array) else cells
        self._kinds[name].update(map(_kind, values))
        return [None if value is None else text_of(value) for value in values]

    def inferred(self) -> dict[str, pa.DataType]:
        """Return the types of the columns whose values decide, now that all have been seen.

        Truth values make a column of truth values, whole numbers one of 64 bits, any other
        numbers floating-point ones; everything else, and any mixture, stays text.
        """
        for name, kinds in self._kinds.items():
            self.types[name] = _common_type(kinds - {type(None)})
        return {name: self.types[name] for name in self._kinds}


def quoted(name: str) -> str:
    """Return a column's name as it stands in DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as it stands in DuckDB's SQL."""
    return "'" + text.replace("'", "''") + "'"


def _kind(cell: object) -> type:
    """Return the type of a cell; a whole number of more than 64 bits counts as text."""
    if type(cell) is int and not -INTEGER_LIMIT <= cell < INTEGER_LIMIT:
        return str
    return type(cell)


def _common_type(kinds: set[type]) -> pa.DataType:
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    if kinds and kinds <= {int, float}:
        return pa.float64()
    return pa.string()

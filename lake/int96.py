"""Spark's old timestamps, INT96, in files that delta-rs is to write anew.

delta-rs takes INT96 as nanoseconds, which hold the years 1677 to 2262, and cannot be told
otherwise where it compacts, merges or overwrites: the year 9999, the usual "for ever", becomes
1816 in rows that nobody touched.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from lake.dataset import dataset
from lake.errors import TableBroken
from lake.scan import files_of
from lake.store_files import watch_over

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow.dataset import ParquetFileFragment

    from lake.places import Place

SIDE_BY_SIDE = 16
"""Files whose footers are read at a time: each is a request of its own where they are far away."""

FIRST, LAST = datetime(1677, 9, 22, tzinfo=UTC), datetime(2262, 4, 11, tzinfo=UTC)
"""What nanoseconds hold, in whole days."""

WAY_OUT = "have the engine that writes it do that, or have it write TIMESTAMP_MICROS."


def refuse(what: str, place: Place, table: DeltaTable, deed: str) -> None:
    """See that delta-rs keeps a table's moments where it writes its files anew.

    Args:
        what: The table, as a sentence begins with it.
        place: Where the table is.
        table: The table; deletion vectors and column mapping are refused elsewhere.
        deed: What is to be done with it.

    Raises:
        TableBroken: It would change some.
    """
    schema = pa.schema(table.schema().to_arrow())
    moments = [field for field in schema if pa.types.is_timestamp(field.type)]
    nested = [field.name for field in schema if _holds_moments(field.type)]
    if not nested and _are_within(moments, table):
        return
    rows = dataset(table, files_of(place, table, watch_over(place)))
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        old = {name for names in pool.map(_int96, rows.get_fragments()) for name in names}
    if within := [name for name in nested if any(path.startswith(f"{name}.") for path in old)]:
        raise TableBroken(
            f"{what} has moments within {', '.join(within)}, which Spark wrote as INT96, and "
            f"cannot be {deed} from here without harm to those before 1677 or after 2262: {WAY_OUT}"
        )
    lost = [
        field.name
        for field in moments
        if field.name in old
        and any(
            file.scanner(schema=rows.schema, columns=[], filter=_beyond(field)).count_rows()
            for file in rows.get_fragments()
        )
    ]
    if lost:
        raise TableBroken(
            f"{what} has moments before 1677 or after 2262 in {', '.join(lost)}, which Spark wrote "
            f"as INT96, and cannot be {deed} from here without harm: {WAY_OUT}"
        )


def _are_within(moments: list[pa.Field], table: DeltaTable) -> bool:
    """Tell whether the log says of every file that nanoseconds hold its moments.

    So no footer has to be read, each of which is a request where the files are far away.
    """
    files = pa.table(table.get_add_actions(flatten=True))
    for field in moments:
        least, most = f"min.{field.name}", f"max.{field.name}"
        if not {least, most} <= {*files.column_names}:
            return False
        known = files.rename_columns({least: "least", most: "most"}).select(["least", "most"])
        typed = known.cast(pa.schema([("least", field.type), ("most", field.type)]))
        first, last = _bounds(field)
        within = (pc.field("least") >= first) & (pc.field("most") < last)
        if typed.filter(within).num_rows < len(files):  # null where nothing is known
            return False
    return True


def _holds_moments(kind: pa.DataType) -> bool:
    """Tell whether moments are within the values of a type; their bounds are not looked at."""
    parts = [kind.field(number) for number in range(kind.num_fields)]
    return any(pa.types.is_timestamp(part.type) or _holds_moments(part.type) for part in parts)


def _int96(file: ParquetFileFragment) -> list[str]:
    """Return the paths of the columns that one file has as INT96, those within others included."""
    schema = file.metadata.schema
    columns = map(schema.column, range(len(schema)))
    return [column.path for column in columns if column.physical_type == "INT96"]


def _beyond(field: pa.Field) -> pc.Expression:
    """Return the filter of what nanoseconds do not hold."""
    first, last = _bounds(field)
    return (pc.field(field.name) < first) | (pc.field(field.name) >= last)


def _bounds(field: pa.Field) -> tuple[pa.Scalar, pa.Scalar]:
    """Return the first moment that nanoseconds hold, and the first after them."""
    naive = field.type.tz is None
    first, last = (
        pa.scalar(moment.replace(tzinfo=None) if naive else moment, field.type)
        for moment in (FIRST, LAST)
    )
    return first, last

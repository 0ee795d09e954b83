"""Delta tables as many writers may have made them: Parquet files and a log, written by hand.

What the tables hold is known from the values that were drawn, not from reading them.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from tests.pipeline import parquet_footer as footer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

EPOCH = date(1970, 1, 1)
FAR = 6_700_000
"""A day of the year 20313, which Python has no date for."""

PROPER = ("as written", "without statistics", "without null counts", "without bounds", "rounded")
"""What Parquet allows a writer to say of a column in a file's footer."""


@dataclass(frozen=True)
class Kind:
    """A type of column.

    Attributes:
        delta: Its name in Delta's schema.
        arrow: The type it is read as.
        values: Values that may meet their edges.
        narrow: A type that an older file may have it in.
    """

    delta: str
    arrow: pa.DataType
    values: tuple[Any, ...]
    narrow: pa.DataType | None = None


def moments(zone: Any) -> tuple[datetime, ...]:
    return (
        datetime(2025, 1, 1, 12, 0, 0, 123456, zone),
        datetime(2025, 1, 1, 12, 0, 0, 123999, zone),
        datetime(2025, 1, 1, 12, 0, 0, 0, zone),
        datetime(1500, 6, 1, 0, 0, 0, 1, zone),
        datetime(9999, 12, 31, 23, 59, 59, 999999, zone),
    )


KINDS = {
    "string": Kind(
        "string",
        pa.string(),
        ("", "a", "a" * 31 + "b", "a" * 32 + "c", "a" * 40, "é", "\U0001f600" * 33, "a%20b", "a b"),
    ),
    "long": Kind("long", pa.int64(), (0, 1, -1, 2**31 - 1, 5, -(2**31)), pa.int32()),
    "huge": Kind("long", pa.int64(), (2**53 + 1, 2**53, 2**63 - 1, -(2**63), 0)),
    "byte": Kind("byte", pa.int8(), (0, 1, -128, 127)),
    "double": Kind(
        "double", pa.float64(), (0.0, -0.0, 1.5, -1.5, math.nan, math.inf, -math.inf, 1e-300)
    ),
    "float": Kind("float", pa.float32(), (0.0, -0.0, 1.5, -1.5, math.nan, math.inf)),
    "boolean": Kind("boolean", pa.bool_(), (True, False)),
    "date": Kind("date", pa.date32(), (0, 20089, 20090, -719162, 2932896, FAR)),
    "timestamp": Kind("timestamp", pa.timestamp("us", "UTC"), moments(UTC)),
    "timestamp_ntz": Kind("timestamp_ntz", pa.timestamp("us"), moments(None)),
    "decimal": Kind(
        "decimal(20,2)",
        pa.decimal128(20, 2),
        tuple(map(Decimal, ("123456789012345678.91", "123456789012345678.90", "0.00", "-5.10"))),
    ),
    "small_decimal": Kind(
        "decimal(9,2)", pa.decimal128(9, 2), tuple(map(Decimal, ("1.10", "1.11", "0.00", "-1.10")))
    ),
}


@dataclass
class File:
    """One data file.

    Attributes:
        rows: The values of each column that the table has, ``None`` where the file lacks it.
        lacks: Columns that are not in the file.
        partition: The value of the partition column, if there is one.
        log: What the log says of it.
        footer: What the file's own footer says of its columns; one of :data:`PROPER`.
        options: How PyArrow writes it.
        narrow: Whether columns are in narrower types where there are any.
    """

    rows: dict[str, list[Any]]
    lacks: frozenset[str]
    partition: Any
    log: str | None
    footer: str
    options: dict[str, Any]
    narrow: bool


@dataclass
class Table:
    """A Delta table.

    Attributes:
        columns: The kind of each column.
        required: Columns that the log says are never null.
        partitioned: The partition column, if there is one.
        files: Its data files, one a version.
    """

    columns: dict[str, str]
    required: frozenset[str]
    partitioned: str | None
    files: list[File] = field(default_factory=list)

    @property
    def schema(self) -> pa.Schema:
        """Its columns as Arrow has them, all nullable."""
        return pa.schema([(name, KINDS[kind].arrow) for name, kind in self.columns.items()])

    def rows(self) -> pa.Table:
        """All of its rows, from what was drawn."""
        parts = [
            pa.table(
                [array(file.rows[name], KINDS[kind]) for name, kind in self.columns.items()],
                schema=self.schema,
            )
            for file in self.files
        ]
        return pa.concat_tables(parts, promote_options="none")

    @property
    def breaks_its_word(self) -> bool:
        """Whether a column has a null that the log says is never null."""
        return any(None in file.rows[name] for file in self.files for name in self.required)

    def write(self, folder: Path) -> None:
        """Write the files and the log."""
        log = folder / "_delta_log"
        log.mkdir(parents=True)
        for version, file in enumerate(self.files):
            actions = [] if version else [self._protocol(), self._metadata()]
            path = self._path(version, file)
            (folder / path).parent.mkdir(exist_ok=True)
            self._write_file(folder / path, file)
            add = {
                "path": quote(path),
                "partitionValues": self._partition_values(file),
                "size": (folder / path).stat().st_size,
                "modificationTime": 1_700_000_000_000 + version,
                "dataChange": True,
            }
            add |= {} if file.log is None else {"stats": file.log}
            lines = "\n".join(json.dumps(action) for action in [*actions, {"add": add}])
            (log / f"{version:020}.json").write_text(lines + "\n")

    def _protocol(self) -> dict[str, Any]:
        if not any(kind == "timestamp_ntz" for kind in self.columns.values()):
            return {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}
        named = {name: ["timestampNtz"] for name in ("readerFeatures", "writerFeatures")}
        return {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **named}}

    def _metadata(self) -> dict[str, Any]:
        fields = [
            {
                "name": name,
                "type": KINDS[kind].delta,
                "nullable": name not in self.required,
                "metadata": {},
            }
            for name, kind in self.columns.items()
        ]
        return {
            "metaData": {
                "id": "00000000-0000-0000-0000-000000000000",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": fields}),
                "partitionColumns": [self.partitioned] if self.partitioned else [],
                "configuration": {},
                "createdTime": 1_700_000_000_000,
            }
        }

    def _partition_values(self, file: File) -> dict[str, str | None]:
        if self.partitioned is None:
            return {}
        return {self.partitioned: partition_text(file.partition)}

    def _path(self, version: int, file: File) -> str:
        if self.partitioned is None:
            return f"part-{version}.parquet"
        text = partition_text(file.partition)
        shown = "__HIVE_DEFAULT_PARTITION__" if text is None else quote(text[:20], safe="")
        return f"{self.partitioned}={shown}/part-{version}.parquet"

    def _write_file(self, path: Path, file: File) -> None:
        there = {
            name: KINDS[kind]
            for name, kind in self.columns.items()
            if name not in file.lacks and name != self.partitioned
        }
        kinds = {n: (k.narrow if file.narrow and k.narrow else k.arrow) for n, k in there.items()}
        arrays = [array(file.rows[name], kind).cast(kinds[name]) for name, kind in there.items()]
        table = pa.table(arrays, schema=pa.schema([*kinds.items()]))
        if not there:  # Parquet without columns has no rows either
            table = pa.table({"_other_writers_own": [0] * len(next(iter(file.rows.values())))})
        pq.write_table(table, path, **file.options)
        footer.rewrite(path, FOOTERS[file.footer])


def array(values: Sequence[Any], kind: Kind) -> pa.Array:
    """Return values as an Arrow array; a date is a number of days, since Python has not all."""
    if kind.delta == "date":
        return pa.array(values, pa.int32()).cast(pa.date32())
    return pa.array(values, kind.arrow)


def partition_text(value: Any) -> str | None:
    """Write a partition's value as Delta does."""
    match value:
        case None | str():
            return value
        case bool():
            return str(value).lower()
        case datetime():
            return f"{value.replace(tzinfo=None):%Y-%m-%d %H:%M:%S.%f}"
        case date():
            return f"{value:%Y-%m-%d}"
    return str(value)


def _rounded(_: str, said: footer.Struct) -> footer.Struct:
    """Bounds that are not values: text cut short, and zeros without a sign."""
    changed = dict(said)
    for bound, exact in ((footer.MIN, footer.MIN_EXACT), (footer.MAX, footer.MAX_EXACT)):
        value = changed.get(bound, (0, b""))[1]
        if len(value) > 16 and value.isascii():
            cut = value[:15]
            changed[bound] = (
                footer.BINARY,
                cut if bound == footer.MIN else cut[:-1] + bytes([cut[-1] + 1]),
            )
            changed[exact] = (footer.FALSE, False)
        elif bound == footer.MAX and value in (struct.pack("<d", -0.0), struct.pack("<f", -0.0)):
            changed[bound] = (footer.BINARY, bytes(len(value)))
    return changed


def _without(*numbers: int) -> Callable[[str, footer.Struct], footer.Struct]:
    return lambda _, said: {number: what for number, what in said.items() if number not in numbers}


FOOTERS: dict[str, Callable[[str, footer.Struct], footer.Struct | None]] = dict(
    zip(
        PROPER,
        (
            lambda _, said: said,
            lambda _, said: None,
            _without(footer.NULL_COUNT),
            _without(footer.MIN, footer.MAX, footer.OLD_MIN, footer.OLD_MAX),
            _rounded,
        ),
        strict=True,
    )
)


def bound(value: Any, kind: Kind, *, exact: bool) -> Any:
    """Write a value as statistics in the log have it: exact, or as a writer rounds it."""
    match value:
        case Decimal():
            return float(value)
        case float() if not math.isfinite(value):
            return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
        case float() if not exact:
            return value + 0.0  # -0.0 has no sign then
        case str() if not exact:
            return value[:32]
        case datetime():
            digits = "microseconds" if exact else "milliseconds"
            zone = "Z" if kind.delta == "timestamp" else ""
            return value.replace(tzinfo=None).isoformat(timespec=digits) + zone
        case int() if kind.delta == "date":
            day = EPOCH + timedelta(days=value) if value != FAR else "+20313-12-24"
            return str(day)
    return value


@st.composite
def log_statistics(draw: st.DrawFn, table: Table, rows: dict[str, list[Any]]) -> str | None:
    """Draw what a log says of a file: all, some or none of it, right, rounded or wrong."""
    whole = draw(st.sampled_from(["some", "some", "some", "some", None, "{}"]))
    if whole != "some":
        return whole
    count = len(next(iter(rows.values())))
    said: dict[str, Any] = {"numRecords": count, "minValues": {}, "maxValues": {}, "nullCount": {}}
    for name, values in rows.items():
        if name == table.partitioned:
            continue
        kind = KINDS[table.columns[name]]
        nulls = values.count(None)
        way = draw(st.sampled_from(["exact", "rounded", "one bound", "none", "wrong"]))
        known = sorted(v for v in values if v is not None and str(v) != "nan")
        if way == "wrong":
            known = [draw(st.sampled_from(kind.values))]
        exact = way in ("exact", "wrong")
        if known and way != "none":
            said["minValues"][name] = bound(known[0], kind, exact=exact)
            if way != "one bound":
                said["maxValues"][name] = bound(known[-1], kind, exact=exact)
        nulls = draw(st.sampled_from([nulls, nulls, None, 0, count, count + 1]))
        if nulls is not None:
            said["nullCount"][name] = nulls
    return json.dumps(said)


@st.composite
def foreign_tables(draw: st.DrawFn) -> Table:
    """Draw a Delta table."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4))
    columns = {f"C{number}" if number % 2 else f"c{number}": k for number, k in enumerate(kinds)}
    names = st.sampled_from([*columns])
    partitioned = draw(st.one_of(st.none(), names)) if len(columns) > 1 else None
    # delta-rs does not open a table with a null in a partition column that is never null.
    required = draw(st.frozensets(names, max_size=1)) - {partitioned}
    table = Table(columns, required, partitioned)
    for _ in range(draw(st.integers(1, 3))):
        count = draw(st.integers(1, 4))
        rows = {
            name: draw(
                st.lists(
                    st.one_of(st.sampled_from(KINDS[kind].values), st.none()),
                    min_size=count,
                    max_size=count,
                )
            )
            for name, kind in columns.items()
        }
        lacks = draw(st.frozensets(names, max_size=1)) - {partitioned}
        rows |= {name: [None] * count for name in lacks}
        partition = None
        if partitioned:
            partition = rows[partitioned][0]
            rows[partitioned] = [None if partition == "" else partition] * count
        table.files.append(
            File(
                rows,
                lacks,
                _date(partition) if partitioned and columns[partitioned] == "date" else partition,
                draw(log_statistics(table, rows)),
                draw(st.sampled_from(PROPER)),
                {
                    "row_group_size": draw(st.integers(1, 4)),
                    "use_deprecated_int96_timestamps": draw(st.booleans()),
                    "use_dictionary": draw(st.booleans()),
                    "store_schema": draw(st.booleans()),
                },
                draw(st.booleans()),
            )
        )
    return table


def _date(days: int | None) -> date | str | None:
    if days is None:
        return None
    return "+20313-12-24" if days == FAR else EPOCH + timedelta(days=days)

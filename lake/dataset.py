"""A Delta table's data files as a PyArrow dataset, into which DuckDB pushes columns and filters.

A dataset leaves out files by what it is told of each. Of delta-rs' own dataset
(``DeltaTable.to_pyarrow_dataset``) that is every statistic in the log. Those may be missing,
rounded or of another writer, and rows are lost without a word: a column that a file does not have
counts as never null, a decimal is rounded to a double, a timestamp to a millisecond. So a file here
is known by its partition alone, which is exact. What is in the Parquet file itself still leaves
out its row groups.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from itertools import islice
from operator import and_
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.dataset import (
    FileSystemDataset,
    ParquetFileFormat,
    ParquetFragmentScanOptions,
    ParquetReadOptions,
)

from lake.failures import through_arrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from deltalake import DeltaTable
    from pyarrow.dataset import ParquetFileFragment
    from pyarrow.fs import FileSystem

PARTITION = "partition."
"""What delta-rs puts before the name of a partition column."""


ROWS_AT_A_TIME = 1_000_000
"""Rows of the row groups that are read together; a larger row group is read alone."""

FOOTERS_AT_A_TIME = 16
"""Files whose footers are read side by side: each is a request where the files are far away."""


class DeltaDataset(FileSystemDataset):  # type: ignore[misc]  # PyArrow has no types
    """A dataset that takes the memory of some row groups, however large the table is.

    PyArrow's own scanner decodes up to a gigabyte before DuckDB has taken it, beside the memory
    that DuckDB is allowed, and there is no setting for that. So each of its scanners gets some row
    groups only, and the next is started when they were taken.
    """

    def scanner(self, **options: Any) -> RowGroups:  # noqa: ANN401 -- PyArrow has no types
        """Prepare a scan; this is what DuckDB calls.

        Args:
            options: PyArrow's, such as ``columns`` and ``filter``.
        """
        return RowGroups(self, super().scanner(**options).projected_schema, options)


class RowGroups:
    """The rows of a dataset, to be read some row groups at a time.

    Attributes:
        projected_schema: The columns of the rows.
    """

    def __init__(
        self, rows: DeltaDataset, projected_schema: pa.Schema, options: Mapping[str, Any]
    ) -> None:
        """Prepare a scan; nothing is read yet.

        Args:
            rows: The dataset.
            projected_schema: The columns that are asked for.
            options: PyArrow's options of a scan.
        """
        self._rows = rows
        self._options = options
        self.projected_schema = projected_schema

    def to_reader(self) -> pa.RecordBatchReader:
        """Start to read; this is what DuckDB calls."""
        return pa.RecordBatchReader.from_batches(self.projected_schema, self._batches())

    def to_table(self) -> pa.Table:
        """Read all."""
        return self.to_reader().read_all()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for groups in self._together():
                part = FileSystemDataset(
                    groups, self._rows.schema, self._rows.format, self._rows.filesystem
                )
                yield from part.scanner(**self._options).to_batches()
        except (OSError, ValueError, pa.ArrowException) as error:
            raise through_arrow(error) from None

    def _together(self) -> Iterator[list[ParquetFileFragment]]:
        """Yield row groups of one or more files that have at most a million rows, or are one."""
        wanted = self._options.get("filter")
        together: list[ParquetFileFragment] = []
        rows = 0
        for file in _with_footers(self._rows.get_fragments(wanted)):
            for group in file.split_by_row_group(wanted, self._rows.schema):
                more = group.row_groups[0].num_rows
                if together and rows + more > ROWS_AT_A_TIME:
                    yield together
                    together, rows = [], 0
                together.append(group)
                rows += more
        if together:
            yield together


def _with_footers(files: Iterable[ParquetFileFragment]) -> Iterator[ParquetFileFragment]:
    """Yield files in their order, the footers of some read ahead."""

    def read(file: ParquetFileFragment) -> ParquetFileFragment:
        file.ensure_complete_metadata()
        return file

    rest = iter(files)
    with ThreadPoolExecutor(FOOTERS_AT_A_TIME) as pool:
        while some := [*islice(rest, FOOTERS_AT_A_TIME)]:
            yield from pool.map(read, some)


def dataset(
    table: DeltaTable,
    files: FileSystem,
    added: Sequence[pa.Field] = (),
) -> DeltaDataset:
    """Return the data files of a table's version as a dataset.

    Args:
        table: The table at its version.
        files: Where the data files are, by their paths in the table.
        added: Columns the table does not have, to be read as nulls.
    """
    actions = pa.table(table.get_add_actions(flatten=True))
    partitions = {
        name: actions[f"{PARTITION}{name}"] for name in table.metadata().partition_columns
    }
    known = (
        (path, {name: column[number] for name, column in partitions.items()})
        for number, path in enumerate(actions["path"].to_pylist())
    )
    schema = pa.schema([*pa.schema(table.schema().to_arrow()), *added])
    return of_files(known, schema, files)


def of_files(
    known: Iterable[tuple[str, Mapping[str, pa.Scalar]]],
    schema: pa.Schema,
    files: FileSystem,
) -> DeltaDataset:
    """Return Parquet files as a dataset.

    Args:
        known: The path of each file, as a log writes it, and what all of its rows have in some
            columns.
        schema: The columns to read; null in the rows of a file that lacks them.
        files: Where the files are.
    """
    form = ParquetFileFormat(
        # Spark's INT96 timestamps overflow in nanoseconds; see lake.scan.ENGINE_CONFIG.
        read_options=ParquetReadOptions(coerce_int96_timestamp_unit="us"),
        default_fragment_scan_options=ParquetFragmentScanOptions(pre_buffer=True),
    )
    fragments = [
        form.make_fragment(unquote(path), files, _guarantee(values)) for path, values in known
    ]
    return DeltaDataset(fragments, schema, form, files)


def _guarantee(values: Mapping[str, pa.Scalar]) -> pc.Expression | None:
    """Say what all rows of one file have in some columns."""
    known = [
        pc.field(name) == value if value.is_valid else pc.field(name).is_null()
        for name, value in values.items()
    ]
    return reduce(and_, known) if known else None

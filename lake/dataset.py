"""A Delta table's data files as a PyArrow dataset, into which DuckDB pushes columns and filters.

A dataset leaves out files by what it is told of each. Of delta-rs' own dataset
(``DeltaTable.to_pyarrow_dataset``) that is every statistic in the log. Those may be missing,
rounded or of another writer, and rows are lost without a word: a column that a file does not have
counts as never null, a decimal is rounded to a double, a timestamp to a millisecond. So a file here
is known by its partition alone, which is exact. What is in the Parquet file itself still leaves
out its row groups.
"""

from __future__ import annotations

from functools import reduce
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from deltalake import DeltaTable
    from pyarrow.fs import FileSystem

PARTITION = "partition."
"""What delta-rs puts before the name of a partition column."""


class SparingDataset(FileSystemDataset):  # type: ignore[misc]  # PyArrow has no types
    """A dataset that is read a little ahead only.

    PyArrow reads 16 batches of four files ahead, each as large as the writer made its row groups:
    2 GB of a table of 20 million leads with all their columns.
    """

    def scanner(self, **options: Any) -> Any:  # noqa: ANN401 -- PyArrow has no types
        """Start to read; this is what DuckDB calls."""
        return super().scanner(**options, batch_readahead=2, fragment_readahead=1)


def dataset(
    table: DeltaTable,
    files: FileSystem,
    added: Sequence[pa.Field] = (),
    kind: type[FileSystemDataset] = FileSystemDataset,
) -> FileSystemDataset:
    """Return the data files of a table's version as a dataset.

    Args:
        table: The table at its version.
        files: Where the data files are, by their paths in the table.
        added: Columns the table does not have, to be read as nulls.
        kind: Which class of dataset.
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
    return of_files(known, schema, files, kind)


def of_files(
    known: Iterable[tuple[str, Mapping[str, pa.Scalar]]],
    schema: pa.Schema,
    files: FileSystem,
    kind: type[FileSystemDataset],
) -> FileSystemDataset:
    """Return Parquet files as a dataset.

    Args:
        known: The path of each file, as a log writes it, and what all of its rows have in some
            columns.
        schema: The columns to read; null in the rows of a file that lacks them.
        files: Where the files are.
        kind: Which class of dataset.
    """
    form = ParquetFileFormat(
        # Spark's INT96 timestamps overflow in nanoseconds; see lake.scan.ENGINE_CONFIG.
        read_options=ParquetReadOptions(coerce_int96_timestamp_unit="us"),
        default_fragment_scan_options=ParquetFragmentScanOptions(pre_buffer=True),
    )
    fragments = [
        form.make_fragment(unquote(path), files, _guarantee(values)) for path, values in known
    ]
    return kind(fragments, schema, form, files)


def _guarantee(values: Mapping[str, pa.Scalar]) -> pc.Expression | None:
    """Say what all rows of one file have in some columns."""
    known = [
        pc.field(name) == value if value.is_valid else pc.field(name).is_null()
        for name, value in values.items()
    ]
    return reduce(and_, known) if known else None

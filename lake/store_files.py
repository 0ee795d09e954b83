"""The files of a table in an object store, as PyArrow and DuckDB read them while a build runs.

A store may fail in the middle of a scan. Its error then goes through PyArrow's C++ and DuckDB,
which add a traceback and drop the exception itself: what a person gets to read has to be its text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake.fs import DeltaStorageHandler

from lake.errors import LakeError, TableBroken
from lake.failures import through_arrow, way_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deltalake import DeltaTable

    from lake.places import Place


def watch_over(place: Place) -> Watch | None:
    """Watch over a place, unless it is a folder of this machine."""
    return None if place.folder is not None else Watch(place)


class Watch:
    """What went wrong with a place while something else was reading there.

    Attributes:
        place: The place.
        failure: The first failure, for whoever can still raise it.
    """

    def __init__(self, place: Place) -> None:
        """Watch over a place; nothing is wrong yet."""
        self.place = place
        self.failure: LakeError | None = None

    def noted(self, error: Exception, path: str) -> LakeError:
        """Note a failure, and return it as an error of ours.

        Args:
            error: What delta-rs raised.
            path: What was being read.
        """
        failure = self.place.failure(error) or TableBroken(
            f"{path} of the Delta table at {self.place} cannot be read "
            f"({self.place.reason(error)}): "
            f"{way_out(error) or 'restore it from a backup, or read another version'}."
        )
        self.failure = self.failure or failure
        return failure

    def through_arrow(self, error: Exception, path: str) -> OSError:
        """Note a failure, and return it as an error of which DuckDB gets the sentence."""
        return through_arrow(self.noted(error, path))

    def batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        """Yield what a reader of delta-rs' engine yields, and say so if it fails."""
        try:
            yield from reader
        except (OSError, ValueError, pa.ArrowException) as error:
            raise self.through_arrow(error, "A data file") from None


class StoreFile:
    """One file that is being read."""

    def __init__(self, file: Any, path: str, watch: Watch) -> None:  # noqa: ANN401 -- delta-rs' own
        """Read a file of delta-rs' under somebody's watch."""
        self._file = file
        self._path = path
        self._watch = watch

    def read(self, *size: int) -> bytes:
        """Read as `io.RawIOBase.read`."""
        try:
            return bytes(self._file.read(*size))
        except OSError as error:
            raise self._watch.through_arrow(error, self._path) from None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- delta-rs' own
        """Leave everything else to delta-rs."""
        return getattr(self._file, name)


class StoreFiles(DeltaStorageHandler):
    """The files of one version of a table."""

    def __init__(
        self, table: DeltaTable, watch: Watch, further: Mapping[str, int] | None = None
    ) -> None:
        """Prepare to read; the store is not asked yet.

        Args:
            table: The table at its version.
            watch: Where failures are told.
            further: The sizes of other files, by their paths. A file of unknown size is asked for
                when it is opened, and where that fails PyArrow has been seen to hang.
        """
        added = pa.table(table.get_add_actions())
        paths = map(unquote, added["path"].to_pylist())
        sizes = dict(zip(paths, added["size_bytes"].to_pylist(), strict=True))
        known = sizes | dict(further or {})
        super().__init__(table.table_uri, {**watch.place.options}, known)
        self._watch = watch

    def open_input_file(self, path: str) -> pa.PythonFile:
        """Open a file at any position."""
        try:
            file = self._handler.open_input_file(path)
        except OSError as error:
            raise self._watch.through_arrow(error, path) from None
        return pa.PythonFile(StoreFile(file, path, self._watch), "r")

"""The entries of a Delta table's log, one per version.

An entry is a file of JSON lines, each of them one action
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md#actions). Old entries are cleaned up
once a checkpoint has what they said, so any of them may be gone.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyarrow.fs import FileType

from lake import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deltalake import DeltaTable

    from lake.places import Place


@dataclass(frozen=True)
class Entry:
    """What one version of a table changed.

    Attributes:
        version: The version that it made.
        digest: The SHA-256 of the entry, in hexadecimal: another table has another, and so has the
            same table once it was put back from a backup and went on from there.
        actions: Each a dict with one key, the kind of action.
    """

    version: int
    digest: str
    actions: tuple[dict[str, Any], ...]

    def having(self, *kinds: str) -> Iterator[dict[str, Any]]:
        """Yield the contents of all actions of some kinds."""
        for action in self.actions:
            for kind in kinds:
                if kind in action:
                    yield action[kind]


class CommitLog:
    """The log of one table, and the files beside it.

    Attributes:
        place: Where the table is.
        table: The table at the version that is open.
    """

    def __init__(self, place: Place, table: DeltaTable) -> None:
        """Name the table; nothing is read yet."""
        self.place = place
        self.table = table
        self._files = tables.files(place, table)
        self._entries: dict[int, Entry | None] = {}

    def entry(self, version: int) -> Entry | None:
        """Read a version's entry once, or return None where it is not there (any more).

        Raises:
            OSError, ValueError: It cannot be read.
        """
        if version not in self._entries:
            self._entries[version] = self._read(version)
        return self._entries[version]

    def _read(self, version: int) -> Entry | None:
        try:
            with self._files.open_input_file(f"_delta_log/{version:020}.json") as file:
                content = file.read()
        except FileNotFoundError:
            return None
        return Entry(
            version=version,
            digest=hashlib.sha256(content).hexdigest(),
            actions=tuple(json.loads(line) for line in content.splitlines() if line.strip()),
        )

    def lost(self, paths: Sequence[str]) -> list[str]:
        """Name the files that are not there (any more).

        Args:
            paths: As actions have them, relative to the table.
        """
        found = self._files.get_file_info(list(paths))
        return [path for path, info in zip(paths, found, strict=True) if info.type != FileType.File]

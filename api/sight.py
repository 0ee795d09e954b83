"""What one look at the folder of publications shows, cheap enough for several a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from publication import Pointer, Store

NANOSECOND = 1e-9


class Sight(NamedTuple):
    """What lies in the folder at one moment. Unequal sights: it is worth another try.

    Attributes:
        pointer: What is named current.
        since: When it came to be, in seconds of the file system's clock. Nothing but the rename
            that published it sets this time (``st_ctime``); a copied modification time may be old.
        files: Inode, size and modification time of file and manifest, or None where one cannot be
            seen. A replaced file has others.
        touched: When anything about the two last changed, permissions and links included.
    """

    pointer: Pointer
    since: float
    files: tuple[tuple[int, int, int] | None, ...]
    touched: tuple[int, ...]

    def same_files(self, other: Sight | None) -> bool:
        """Tell whether another sight shows the very files that this one does.

        Links and permissions do not count: a rollback adds a link to a file that is served.
        """
        return other is not None and (self.pointer, self.files) == (other.pointer, other.files)


def look(store: Store) -> Sight | None:
    """Look at the folder; None if there is no pointer. Blocks.

    Raises:
        PointerBroken: The pointer is there but cannot be read.
    """
    pointer = store.pointer()
    if pointer is None:
        return None
    file = store.folder / pointer.file
    stats = [
        _stat(path) for path in (store.folder / "current.json", file.with_suffix(".json"), file)
    ]
    since = stats[0].st_ctime_ns * NANOSECOND if stats[0] else 0.0
    return Sight(
        pointer,
        since,
        files=tuple(stat and (stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats[1:]),
        touched=tuple(stat.st_ctime_ns if stat else 0 for stat in stats[1:]),
    )


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None

"""What files of every format have in common."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class InputFile:
    """A file of rows; each format reads its own, as :class:`lake.load.chunks.Source` says."""

    header: Sequence[str] | None

    def __init__(self, path: Path) -> None:
        """Take note of where the file is."""
        self.path = path
        self.place = str(path)
        # A name need not be UTF-8, and what is kept of it must: \xe9 stands for such a byte.
        self.name = os.fsencode(path.name).decode(errors="backslashreplace")

    def digest(self) -> str:
        """Return the SHA-256 of the file as it is stored."""
        with self.path.open("rb") as stored:
            return hashlib.file_digest(stored, "sha256").hexdigest()

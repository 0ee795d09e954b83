"""The bytes of a file, compressed by gzip or not, and how many of them have been read."""

from __future__ import annotations

import gzip
import zlib
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from lake.errors import InputRejected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Octets(NamedTuple):
    """A file that is being read.

    Attributes:
        stream: Its content, decompressed.
        stored: The bytes as they are stored.
        size: How many are stored.
    """

    stream: IO[bytes]
    stored: IO[bytes]
    size: int

    @property
    def share(self) -> float:
        """How much has been read, from 0 to 1."""
        return min(self.stored.tell() / self.size, 1.0)


@contextmanager
def reading(path: Path) -> Iterator[Octets]:
    """Open a file for reading; one that ends in ``.gz`` is decompressed.

    Raises:
        InputRejected: The file cannot be decompressed, or (where the caller decodes it) is not
            in UTF-8.
    """
    compressed = path.suffix.lower() == ".gz"
    with path.open("rb") as stored, ExitStack() as open_files:
        stream = open_files.enter_context(gzip.open(stored)) if compressed else stored
        try:
            yield Octets(cast("IO[bytes]", stream), stored, max(path.stat().st_size, 1))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputRejected(f"{path} cannot be decompressed: {error}.") from None
        except UnicodeDecodeError:
            raise InputRejected(
                f"{path} is not in UTF-8 (line {_undecodable_line(path)} is the first that is "
                "not): save it as UTF-8 and load it again."
            ) from None


def _undecodable_line(path: Path) -> int:
    """Return the first line that is not UTF-8."""
    with reading(path) as octets:
        for number, line in enumerate(octets.stream, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1

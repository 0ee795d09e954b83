"""Files with one JSON object a line (https://github.com/ndjson/ndjson-spec)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from lake.errors import InputRejected
from lake.load.chunks import ROWS, Chunk, Rejected
from lake.load.input_file import InputFile
from lake.load.octets import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

DEPTH_LIMIT = 100
"""How deep objects and lists may lie in each other; Python itself gives up at some hundreds."""


class NdjsonFile(InputFile):
    """An NDJSON file. The values of a new column decide its type."""

    def __init__(self, path: Path) -> None:
        """Prepare to read the file.

        Raises:
            InputRejected: It is empty.
        """
        super().__init__(path)
        self.header = None
        if not path.stat().st_size:
            raise InputRejected(f"{path} is empty: it must have one JSON object a line.")

    def type_of(self, column: str) -> pa.DataType | None:
        """Leave it to the values."""
        del column
        return None

    def chunks(self) -> Iterator[Chunk]:
        """Read the file from its start."""
        with reading(self.path) as octets:
            lines: list[int] = []
            rows: list[dict[str, Any]] = []
            broken: list[Rejected] = []
            for number, line in enumerate(octets.stream, start=1):
                text = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
                if not (text := text.strip()):
                    continue
                row = _row(number, text)
                if isinstance(row, Rejected):
                    broken.append(row)
                else:
                    lines.append(number)
                    rows.append(row)
                if len(rows) + len(broken) >= ROWS:
                    yield _chunk(lines, rows, broken, octets.share)
                    lines, rows, broken = [], [], []
            yield _chunk(lines, rows, broken, octets.share)


def _row(line: int, text: bytes) -> dict[str, Any] | Rejected:
    try:
        row = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Rejected(line, f"no JSON: {error}", text.decode(errors="backslashreplace"))
    except RecursionError:
        row = None
    if row is None or _too_deep(row, text):
        reason = f"objects and lists lie more than {DEPTH_LIMIT} deep in each other"
        return Rejected(line, reason, text.decode())
    if not isinstance(row, dict):
        return Rejected(line, "no JSON object", row)
    return row


def _too_deep(row: Any, text: bytes) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether a row goes deeper than the limit; most texts have too few brackets for that."""
    if text.count(b"[") + text.count(b"{") <= DEPTH_LIMIT:
        return False
    containers = [row]
    for _ in range(DEPTH_LIMIT):
        groups = [each.values() if isinstance(each, dict) else each for each in containers]
        containers = [each for group in groups for each in group if isinstance(each, (dict, list))]
    return bool(containers)


def _chunk(
    lines: list[int], rows: list[dict[str, Any]], broken: list[Rejected], share: float
) -> Chunk:
    names = dict.fromkeys(name for row in rows for name in row)
    columns: dict[str, Sequence[object]] = {name: [row.get(name) for row in rows] for name in names}
    return Chunk(lines, columns, share, [list(row) for row in rows], broken)

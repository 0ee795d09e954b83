"""The statistics in a Parquet file's footer, rewritten as other writers have them.

A footer is one Thrift struct in the compact protocol
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md). Here a struct
is a dict of field numbers, each with its type and value, so that what is not changed is written as
it was read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)

MAGIC = b"PAR1"

Struct = dict[int, tuple[int, Any]]

# Field numbers of parquet.thrift.
ROW_GROUPS, COLUMNS, META_DATA, STATISTICS = 4, 1, 3, 12
PATH_IN_SCHEMA, NUM_VALUES = 3, 5
OLD_MAX, OLD_MIN, NULL_COUNT, DISTINCT, MAX, MIN, MAX_EXACT, MIN_EXACT = range(1, 9)


@dataclass
class Reader:
    """Reads a struct from bytes."""

    data: bytes
    at: int = 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        shift = number = 0
        while True:
            byte = self.byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7

    def signed(self) -> int:
        number = self.varint()
        return (number >> 1) ^ -(number & 1)

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]

    def value(self, kind: int) -> Any:
        match kind:
            case 1 | 2:  # an element of a list
                return self.byte()
            case 3:
                return self.byte()
            case 4 | 5 | 6:
                return self.signed()
            case 7:
                return self.bytes(8)
            case 8:
                return self.bytes(self.varint())
            case 9 | 10:
                head = self.byte()
                count = head >> 4 if head >> 4 < 15 else self.varint()
                return head & 15, [self.value(head & 15) for _ in range(count)]
            case 12:
                return self.struct()
        raise ValueError(f"A Parquet footer has no type {kind}.")

    def struct(self) -> Struct:
        found: Struct = {}
        number = 0
        while head := self.byte():
            number = number + (head >> 4) if head >> 4 else self.signed()
            kind = head & 15
            found[number] = (kind, kind == TRUE if kind in (TRUE, FALSE) else self.value(kind))
        return found


def varint(number: int) -> bytes:
    written = b""
    while number > 0x7F:
        written += bytes([number & 0x7F | 0x80])
        number >>= 7
    return written + bytes([number])


def signed(number: int) -> bytes:
    return varint((number << 1) ^ (number >> 63))


def value(kind: int, content: Any) -> bytes:
    match kind:
        case 1 | 2 | 3:
            return bytes([content])
        case 4 | 5 | 6:
            return signed(content)
        case 7:
            return content
        case 8:
            return varint(len(content)) + content
        case 9 | 10:
            element, items = content
            head = bytes([min(len(items), 15) << 4 | element])
            count = varint(len(items)) if len(items) >= 15 else b""
            return head + count + b"".join(value(element, item) for item in items)
        case 12:
            return struct_of(content)
    raise ValueError(f"A Parquet footer has no type {kind}.")


def struct_of(fields: Struct) -> bytes:
    written, last = b"", 0
    for number, (kind, content) in sorted(fields.items()):
        if kind in (TRUE, FALSE):
            kind = TRUE if content else FALSE
        step = number - last
        written += bytes([step << 4 | kind]) if step < 16 else bytes([kind]) + signed(number)
        written += b"" if kind in (TRUE, FALSE) else value(kind, content)
        last = number
    return written + b"\0"


def rewrite(path: Path, change: Callable[[str, Struct], Struct | None]) -> None:
    """Change the statistics of every column of every row group.

    Args:
        path: The file.
        change: Takes a column's path and statistics, and returns others or none.
    """
    data = path.read_bytes()
    (length,) = struct.unpack("<I", data[-8:-4])
    footer = Reader(data[-8 - length : -8]).struct()
    for group in footer[ROW_GROUPS][1][1]:
        for chunk in group[COLUMNS][1][1]:
            column = chunk[META_DATA][1]
            name = b".".join(column[PATH_IN_SCHEMA][1][1]).decode()
            changed = change(name, column.get(STATISTICS, (STRUCT, {}))[1])
            column.pop(STATISTICS, None)
            if changed is not None:
                column[STATISTICS] = (STRUCT, changed)
    written = struct_of(footer)
    path.write_bytes(
        data[: -8 - length] + written + struct.pack("<I", len(written)) + MAGIC
    )

"""One digest for what a publication holds, whatever made the file.

Rule 2. A mart's digest is the SHA-256 of lines of JSON, each with a line feed behind it. The first
says the mart's name, grain, columns with their types and number of rows; then follows one line per
row, in the order of the grain: a JSON array of its values. DuckDB writes the values: the shortest
text that reads back as the same number, ``NaN``, ``-0.0`` apart from ``0.0``, zoned timestamps in
UTC, bytes escaped. So neither the order of insertion nor threads, file layout or machine change
the digest, and any changed value does. Descriptions and tests are not content: they belong to the
manifest.

The content digest of a publication is the SHA-256 of one line per mart, by name: a JSON array of
the mart's name and its digest. So it is made anew from the digests of marts that did not change.
(Rule 1, of manifests without ``rule``, was one SHA-256 over the lines of all marts.)
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from publication.sql import identifier, listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow

    from publication.connection import MartFile
    from publication.manifest import Column, Mart

RULE = 2
"""The version of the rule above; it is noted in every manifest."""

BATCH_ROWS = 8_192
"""How many lines are in memory at once."""


def content_digest(marts: Iterable[Mart]) -> str:
    """Digest marts that were digested each; returns ``sha256:`` and hex digits."""
    digest = hashlib.sha256()
    for mart in sorted(marts, key=lambda mart: mart.name):
        digest.update(msgspec.json.encode((mart.name, mart.digest)) + b"\n")
    return f"sha256:{digest.hexdigest()}"


def mart_digest(file: MartFile, mart: Mart) -> str:
    """Read a mart once and digest it; returns ``sha256:`` and hex digits.

    Args:
        file: The file that holds it.
        mart: With its types as DuckDB spells them, and with a grain that is unique. If it is
            sorted, its rows are read as they lie in the file.
    """
    head = {
        "mart": mart.name,
        "grain": mart.grain,
        "columns": [(column.name, column.type) for column in mart.columns],
        "rows": mart.rows,
    }
    digest = hashlib.sha256(msgspec.json.encode(head) + b"\n")
    values = ", ".join(map(_value, mart.columns))
    order = "" if mart.sorted else f"order by {listed(mart.grain)}"
    # A relation streams its batches; the result of `execute` would be in memory as a whole.
    lines = file.connection.sql(
        f"select json_array({values}) || chr(10) from {file.table(mart.name)} {order}"  # noqa: S608 quoted
    )
    for batch in lines.to_arrow_reader(BATCH_ROWS):
        digest.update(_bytes(batch.column(0)))
    return f"sha256:{digest.hexdigest()}"


def _bytes(texts: pyarrow.Array) -> memoryview:
    """The bytes of an Arrow array of texts, one behind the other, as they lie in memory."""
    _, offsets, data = texts.buffers()
    wide = str(texts.type).startswith("large")
    places = memoryview(offsets).cast("q" if wide else "i")
    return memoryview(data)[places[texts.offset] : places[texts.offset + len(texts)]]


def _value(column: Column) -> str:
    # As JSON it would lose its white space and the spelling of its numbers.
    return identifier(column.name) + ("::varchar" if column.type == "JSON" else "")

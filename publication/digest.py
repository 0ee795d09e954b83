"""One digest for what a publication holds, whatever made the file.

SHA-256 over, for each mart by name, one line of JSON that says its name, grain, columns with
their types and number of rows, then one line per row in grain order: a JSON array of its values.
DuckDB writes the values: the shortest text that reads back as the same number, ``NaN``, ``-0.0``
apart from ``0.0``, zoned timestamps in UTC, bytes escaped. So neither the order of insertion nor
threads, file layout or machine change the digest, and any changed value does. Descriptions and
tests are not content: they belong to the manifest.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from publication.sql import identifier, listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from publication.manifest import Column, Mart

ROWS_AT_A_TIME = 10_000
"""What is in Python's memory at once."""


def content_digest(connection: duckdb.DuckDBPyConnection, marts: Iterable[Mart]) -> str:
    """Read every mart and return ``sha256:`` and the hex digest of the content.

    Args:
        connection: To the publication, with ``TimeZone`` UTC.
        marts: With their types as DuckDB spells them, and with a grain that is unique.
    """
    digest = hashlib.sha256()
    for mart in sorted(marts, key=lambda mart: mart.name):
        head = {
            "mart": mart.name,
            "grain": mart.grain,
            "columns": [(column.name, column.type) for column in mart.columns],
            "rows": mart.rows,
        }
        digest.update(msgspec.json.encode(head) + b"\n")
        values = ", ".join(map(_value, mart.columns))
        rows = connection.execute(
            f"select json_array({values}) from {identifier('main', mart.name)} "  # noqa: S608 quoted
            f"order by {listed(mart.grain)}"
        )
        while batch := rows.fetchmany(ROWS_AT_A_TIME):
            digest.update("".join(f"{row}\n" for (row,) in batch).encode())
    return f"sha256:{digest.hexdigest()}"


def _value(column: Column) -> str:
    # As JSON it would lose its white space and the spelling of its numbers.
    return identifier(column.name) + ("::varchar" if column.type == "JSON" else "")

"""Writes the demo lake: both tables, the same content for the same seed and end on any machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from lake import places, tables
from lake.contracts import LEADS, MARKETING_CONVERSIONS
from lake.demo.leads import SCHEMA, DemoLeads
from lake.demo.marketing import DemoMarketing
from lake.errors import TableExists
from lake.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lake.contracts import TableContract
    from lake.demo.period import Period
    from lake.places import Place

BATCH = 100_000
"""Leads made at a time, which bounds the memory and changes nothing in the content."""


@dataclass(frozen=True)
class Written:
    """One table of the demo lake, and what was written to it."""

    name: str
    place: Place
    rows: int


def write(leads: int, period: Period, *, force: bool) -> list[Written]:
    """Write both tables of the demo lake.

    Args:
        leads: How many leads to make.
        period: The days in which everything happens.
        force: Replace the rows of tables that exist, in a new version of each.

    Raises:
        TableExists: There is a table at one of the places and ``force`` is not set; nothing has
            been written.
        PlaceInvalid: A place is none for a table.
        StoreFailed: An object store cannot be reached, or refuses.
    """
    found = {
        contract.name: places.table_place(contract) for contract in (MARKETING_CONVERSIONS, LEADS)
    }
    for place in found.values():
        if not force and tables.open_table(place) is not None:
            raise TableExists(
                f"There is a Delta table in {place} already, and a demo must not replace your "
                "rows by made-up ones: choose another place with LEADMARTS_DATA, or add --force "
                "to put the demo's rows in a new version of it."
            )
    return [
        _write(MARKETING_CONVERSIONS, found, DemoMarketing(period).batches()),
        _write(LEADS, found, DemoLeads(leads, period).batches(BATCH), SCHEMA, leads),
    ]


def _write(
    contract: TableContract,
    found: dict[str, Place],
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema | None = None,
    expected: int | None = None,
) -> Written:
    place = found[contract.name]
    rows = 0

    def counted(progress: Progress) -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in batches:
            yield batch
            rows += batch.num_rows
            if expected:
                progress.reached(rows / expected)

    with Progress(f"{contract.name}: writing") as progress:
        reader = pa.RecordBatchReader.from_batches(schema or contract.schema, counted(progress))
        if (table := tables.open_table(place)) is None:
            tables.create(place, reader)
        else:
            tables.replace(place, table, reader)
    return Written(contract.name, place, rows)

"""What each lake table promises: its key, its columns and their types.

Everything downstream reads a table through its contract: a contracted column that an older or
foreign writer left out reads as null, and a key column that is missing is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable

LEAD_EVENT_DATES = (
    "date_prise_contact",
    "date_reponse_prospect",
    "date_appel_propose",
    "date_appel_booke",
    "date_relance",
)
"""The five event columns of a lead, in the order of the funnel. All are nullable."""

SUM_LIMIT = 10**12
"""How large a number may be that is added up, either way.

The marts add in decimals that hold 10^20, which a hundred million such rows do not exceed."""


@dataclass(frozen=True)
class TableContract:
    """One lake table: its name, its key and the Arrow schema it is created with.

    Attributes:
        name: The table's name, as in ``data/lake/<name>/``.
        key: The columns that identify a row; never null, unique after an upsert.
        schema: The contracted columns in order. Further columns are attributes and come and go.
        additive: The columns that are summed where one file repeats a key. Empty means that the
            last row with a key wins.
    """

    name: str
    key: tuple[str, ...]
    schema: pa.Schema
    additive: tuple[str, ...] = ()

    def spelled(self, columns: Iterable[str]) -> TableContract:
        """Return the same contract in a table's own spelling of its columns.

        Args:
            columns: The table's columns; what it does not have is spelled as here.
        """
        own = spellings(columns)
        fields = [field.with_name(own.get(field.name, field.name)) for field in self.schema]
        return replace(
            self,
            key=tuple(own.get(name, name) for name in self.key),
            schema=pa.schema(fields),
            additive=tuple(own.get(name, name) for name in self.additive),
        )


LEADS = TableContract(
    name="leads",
    key=("id",),
    schema=pa.schema(
        [pa.field("id", pa.string(), nullable=False)]
        + [pa.field(column, pa.date32()) for column in LEAD_EVENT_DATES]
        + [pa.field("deleted", pa.bool_())]
    ),
)
"""One row a lead."""

MARKETING_CONVERSIONS = TableContract(
    name="marketing_conversions",
    key=("product", "campaign_type", "campaign", "channel", "date"),
    schema=pa.schema(
        [
            pa.field("product", pa.string(), nullable=False),
            pa.field("campaign_type", pa.string(), nullable=False),
            pa.field("campaign", pa.string(), nullable=False),
            pa.field("channel", pa.string(), nullable=False),
            pa.field("date", pa.date32(), nullable=False),
            pa.field("conversions", pa.float64()),
        ]
    ),
    additive=("conversions",),
)
"""One row per product, campaign type, campaign, channel and day."""

TABLES = {contract.name: contract for contract in (LEADS, MARKETING_CONVERSIONS)}
"""Every contracted table by its name."""

NAMES = {"leads": LEADS, "marketing": MARKETING_CONVERSIONS}
"""What the tables are called on the command line."""


def spellings(columns: Iterable[str]) -> dict[str, str]:
    """Return how a table spells its columns, by their names in lower case.

    Delta and DuckDB take ``Deleted`` and ``deleted`` for one column. delta-rs and PyArrow do not:
    they have to be asked for a column as the table spells it.
    """
    return {name.lower(): name for name in columns}

"""A Delta table's properties, as its writers may have written them.

Spark takes ``TRUE`` for ``true``, and so does its Delta writer
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md#change-metadata).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CHANGE_DATA_FEED = "delta.enableChangeDataFeed"
COLUMN_MAPPING = "delta.columnMapping.mode"


def feed_is_on(properties: Mapping[str, str | None]) -> bool:
    """Tell whether a table's writers are to keep what each commit changes."""
    return (properties.get(CHANGE_DATA_FEED) or "false").lower() == "true"


def columns_are_mapped(properties: Mapping[str, str | None]) -> bool:
    """Tell whether a table's columns have other names in its data files."""
    return (properties.get(COLUMN_MAPPING) or "none").lower() != "none"

"""How many rows a commit changed, as its writer counted them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lake.commits import Commit

INSERTED = ("num_added_rows", "num_target_rows_inserted", "numTargetRowsInserted", "numOutputRows")
UPDATED = ("num_updated_rows", "num_target_rows_updated", "numTargetRowsUpdated", "numUpdatedRows")
DELETED = ("num_deleted_rows", "num_target_rows_deleted", "numTargetRowsDeleted", "numDeletedRows")
"""What delta-rs and Spark call them, the more telling ones first."""


def rows(commit: Commit) -> tuple[int | None, int | None, int | None]:
    """Return how many rows a commit inserted, updated and deleted; ``None`` if it does not say."""
    inserted, updated, deleted = (_first(commit, names) for names in (INSERTED, UPDATED, DELETED))
    return inserted, updated, deleted


def _first(commit: Commit, names: tuple[str, ...]) -> int | None:
    said = (str(commit.metrics.get(name, "")) for name in names)
    return next((int(text) for text in said if text.isdecimal()), None)

"""What changed in a table since the warehouse last saw it, or why that cannot be told.

A model that counts by changes writes down, with every entry it makes, which version of which table
it has seen. The plugin reads the last entry when it connects and decides here what the next one is
to be made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from deltalake.exceptions import DeltaError

from lake.commit_log import CommitLog
from lake.contracts import TABLES, spellings
from lake.errors import LakeError
from lake.feed import CHANGE_TYPE, changed_rows, obstacle

if TYPE_CHECKING:
    from pyarrow.dataset import FileSystemDataset

    from lake.pinned import PinnedTable


class Mode(StrEnum):
    """What a run has to count to know a table's rows at its version."""

    CHANGES = "changes"
    """The rows that changed since the version that was seen."""
    FULL = "full"
    """All rows: what was seen is no help."""
    SEEN = "seen"
    """Nothing: this is the version that was seen."""
    ASIDE = "aside"
    """All rows, for this run only: a later version was seen, and is to be gone on from."""


@dataclass(frozen=True)
class Seen:
    """The last entry of a ledger.

    Attributes:
        entry: Its number.
        table_id: Delta's id of the table that was seen.
        version: The version that was seen.
        commit: The digest of that version's entry in the table's log.
        code: A fingerprint of the code that counted.
        tested: Whether the rows had passed their tests.
        intact: Whether the ledger's rows are those that its entries were made of; None where an
            older version made the ledger, which cannot tell.
    """

    entry: int
    table_id: str
    version: int
    commit: str | None
    code: str
    tested: bool
    intact: bool | None = True


@dataclass(frozen=True)
class Changes:
    """What a run is to count of one table.

    Attributes:
        mode: All rows, those that changed, or none.
        reason: Why, as a clause.
        commit: The digest of the pinned version's entry in the log, if that is there.
        seen: The last entry, if there is any.
        scan: The rows that changed, with ``_change_type``; none but in the mode ``changes``.
    """

    mode: Mode
    reason: str
    commit: str | None
    seen: Seen | None
    scan: Any


CHECKSUM = (
    "sum(cast(md5_number_lower(concat_ws('|', entry, event_type, event_date, leads)) as hugeint))"
)
"""The macro ``lead_ledger_checksum``. Where it differs, every build counts in full and says so."""


def last_seen(connection: duckdb.DuckDBPyConnection, ledger: str) -> Seen | None:
    """Read the last entry of a ledger.

    Args:
        connection: To the warehouse.
        ledger: The ledger's schema and name. It has the columns ``entry``, ``event_type``,
            ``event_date``, ``leads``, ``table_id``, ``to_version``, ``to_commit``, ``code``,
            ``tested`` and ``checksum``; see :class:`Seen`.

    Returns:
        The entry; None where there is no ledger, none in it, or one of another shape.
    """
    with connection.cursor() as cursor:
        try:
            # An older ledger lacks the checksum, and keeps the numbers of its entries.
            columns = {name for name, *_ in cursor.execute(f"describe {ledger}").fetchall()}
            intact = (
                f"checksum is not distinct from (select {CHECKSUM} from {ledger})"  # noqa: S608 - the profile's
                if "checksum" in columns
                else "cast(null as boolean)"
            )
            row = cursor.execute(
                f"select entry, table_id, to_version, to_commit, code, tested, {intact} "  # noqa: S608 - the profile's
                f"from {ledger} order by entry desc limit 1"
            ).fetchall()
        except (duckdb.CatalogException, duckdb.BinderException):
            return None
    return Seen(*row[0]) if row else None


def changes_of(pinned: PinnedTable, seen: Seen | None) -> Changes:
    """Decide what a run has to count of a table at its pinned version."""
    log = CommitLog(pinned.place, pinned.table)
    try:
        commit = log.entry(pinned.version)
        mode, clause = _decide(pinned, log, seen, commit.digest if commit else None)
        scan = no_changes(pinned.name)
        if seen and mode is Mode.CHANGES:
            scan = _scan(log, seen.version, TABLES[pinned.name].schema)
    except (DeltaError, OSError, ValueError, pa.ArrowException, LakeError) as error:
        clause = f"its changes cannot be read ({pinned.place.reason(error)})"
        mode = Mode.FULL
        commit, scan = None, no_changes(pinned.name)
    return Changes(mode, clause, commit.digest if commit else None, seen, scan)


def no_changes(name: str) -> pa.Table:
    """Return the changes of a table that has none, with the columns of its contract."""
    return pa.schema([*TABLES[name].schema, CHANGE_TYPE]).empty_table()


def _decide(
    pinned: PinnedTable, log: CommitLog, seen: Seen | None, digest: str | None
) -> tuple[Mode, str]:
    """Compare what was seen with what is there, and say why it leads to a mode."""
    if clause := _lost_track(pinned, log, seen, digest):
        return Mode.FULL, clause
    assert seen is not None  # noqa: S101 -- else there is no track
    if seen.version == pinned.version:
        return Mode.SEEN, f"nothing has changed since version {seen.version}"
    if seen.version > pinned.version:
        return Mode.ASIDE, f"version {seen.version} has been counted already"
    if clause := obstacle(log, seen.version):
        return Mode.FULL, clause
    return Mode.CHANGES, f"version {seen.version} has been counted"


def _lost_track(
    pinned: PinnedTable, log: CommitLog, seen: Seen | None, digest: str | None
) -> str | None:
    """Say why what was seen is not known to be a version of this table."""
    if seen is None:
        return "there is no earlier count"
    if not seen.intact:
        older = seen.intact is None
        what = "of an older version of Lead Marts" if older else "not as the last build left it"
        return f"the ledger is {what}"
    if seen.table_id != pinned.table_id:
        return "the table was made anew"
    if seen.version != pinned.version:
        commit = log.entry(seen.version)
        digest = commit.digest if commit else None
    if digest is None:
        return f"the log of its version {seen.version} is gone"
    if digest != seen.commit:
        return f"its version {seen.version} is not the one that was counted"
    return None


def _scan(log: CommitLog, since: int, contract: pa.Schema) -> FileSystemDataset:
    has = spellings(field.name for field in log.table.schema().fields)
    return changed_rows(
        log,
        since,
        columns=[has[name] for name in contract.names if name in has],
        added=[field.with_nullable(True) for field in contract if field.name not in has],
    )

"""The dbt-duckdb plugin through which models read the lake.

Named in ``profiles.yml``:

    plugins:
      - module: lake.delta_source
        alias: lake
        config:
          tables:
            leads: {uri: data/lake/leads, version: latest, absent: empty, ledger: counts.ledger}

Each table is opened once per run at one version, and registered on every cursor under its name,
so that ``temp.main.leads`` is the same rows in every thread. ``temp.main.delta_versions`` tells
which versions those are. A table that nobody ever loaded is empty where the profile allows that
(``absent: empty``) and another table is there; it has no version.

Where a model keeps a ``ledger`` of a table in the warehouse, the plugin reads its last entry when
it connects (:func:`lake.changes.last_seen` says which columns).
``temp.main.delta_changes`` then tells what the next entry is to be made of, and
``temp.main.<table>_changes`` has the rows that changed since. See
https://github.com/duckdb/dbt-duckdb#writing-your-own-plugins.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.flags import get_flags
from dbt_common.events.base_types import EventLevel
from dbt_common.events.functions import fire_event
from dbt_common.events.types import Note
from dbt_common.exceptions import DbtRuntimeError

from lake import memory, variables
from lake.changes import Changes, Seen, changes_of, last_seen, no_changes
from lake.contracts import TABLES
from lake.errors import LakeError, PlaceInvalid, StoreUnreachable, TableMissing
from lake.pinned import PinnedTable, pin
from lake.places import at, time_zone
from lake.stores import is_secret
from lake.versions import EMPTY, LATEST
from telemetry import run

if TYPE_CHECKING:
    from dbt.adapters.duckdb.credentials import DuckDBCredentials
    from duckdb import DuckDBPyConnection

VERSIONS = pa.schema(
    [
        ("name", pa.string()),
        ("uri", pa.string()),
        ("table_id", pa.string()),
        ("version", pa.int64()),
        ("committed_at", pa.timestamp("us", tz="UTC")),
    ]
)
"""The columns of ``temp.main.delta_versions``, one row per table that could be opened."""

CHANGES = pa.schema(
    [
        ("name", pa.string()),
        ("mode", pa.string()),
        ("reason", pa.string()),
        ("table_id", pa.string()),
        ("version", pa.int64()),
        ("commit_digest", pa.string()),
        ("seen_entry", pa.int64()),
        ("seen_version", pa.int64()),
        ("seen_code", pa.string()),
        ("seen_tested", pa.bool_()),
    ]
)
"""The columns of ``temp.main.delta_changes``, one row per table that has a ledger; see
:class:`lake.changes.Changes` and :class:`lake.changes.Seen`."""

NEED_THE_LAKE = frozenset({"run", "build", "test", "freshness", "show", "snapshot"})
"""The dbt commands that read tables. All others connect too, and work without a lake."""


class Plugin(BasePlugin):
    """Registers the lake's Delta tables on every cursor of a dbt run."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Take the tables from the profile; open none, since every command comes through here.

        Args:
            plugin_config: ``tables``: for each name its ``uri`` and, optionally, its ``version``
                (see :mod:`lake.versions`), ``options`` of its object store, which go before the
                environment's, whether it may be ``absent``, ``error`` (as without it) or
                ``empty``, and the schema and name of its ``ledger``. ``variables``: the names of
                those that the profile reads.
        """
        self._tables: dict[str, dict[str, Any]] = plugin_config["tables"]
        self._variables: list[str] | None = plugin_config.get("variables")
        self._pinned: list[PinnedTable] | None = None
        self._seen: dict[str, Seen | None] = {}
        self._changes: dict[str, Changes] = {}
        self._absent: dict[str, str] = {}
        self._unreadable: list[str] = []
        self._lock = threading.Lock()

    def update_connection_config(
        self,
        creds: DuckDBCredentials,
        config: dict[str, Any],  # noqa: ARG002 -- dbt-duckdb's signature
    ) -> None:
        """Check the variables, the time zone and the memory before DuckDB is told to use them.

        Raises:
            DbtRuntimeError: There is no variable or time zone of that name, or the memory is no
                amount; one sentence.
        """
        flags = get_flags()
        try:
            if self._variables is not None and _needs_the_lake():
                project = Path(getattr(flags, "PROJECT_DIR", None) or ".")
                variables.check(getattr(flags, "VARS", None) or {}, project, self._variables)
            time_zone()
            if limit := (creds.settings or {}).get("memory_limit"):
                memory.check(str(limit))
        except LakeError as error:
            raise DbtRuntimeError(str(error)) from error

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Read the last entry of every ledger, before the run adds another."""
        if self._pinned is None:  # dbt-duckdb closes and opens the warehouse within a run
            for name, table in self._tables.items():
                if "ledger" in table:
                    self._seen[name] = last_seen(conn, table["ledger"])

    def configure_cursor(self, cursor: DuckDBPyConnection) -> None:
        """Register each readable table, and what versions they are, on one cursor.

        Raises:
            DbtRuntimeError: The command needs the lake, and a table is missing or broken; one
                sentence each. This is before dbt runs its first node.
        """
        needed = _needs_the_lake()
        pinned = self._open(needed)
        if self._unreadable and needed:
            raise DbtRuntimeError(" ".join(self._unreadable))
        for table in pinned:
            cursor.register(table.name, table.scan)
        for name in self._absent:
            cursor.register(name, TABLES[name].schema.empty_table())
        versions = [
            {column: getattr(table, column) for column in VERSIONS.names} for table in pinned
        ]
        cursor.register("delta_versions", pa.Table.from_pylist(versions, VERSIONS))
        for name in self._seen:
            changes = self._changes.get(name)
            cursor.register(f"{name}_changes", changes.scan if changes else no_changes(name))
        rows = [
            _row(table, self._changes[table.name])
            for table in pinned
            if table.name in self._changes
        ]
        cursor.register("delta_changes", pa.Table.from_pylist(rows, CHANGES))

    def _open(self, needed: bool) -> list[PinnedTable]:
        """Open every table once; threads that come meanwhile wait and get the same."""
        with self._lock:
            if self._pinned is None:
                self._pinned = []
                for name, table in self._tables.items():
                    try:
                        self._open_one(name, table, self._pinned)
                    except StoreUnreachable as error:
                        self._unreadable.append(str(error))
                        break  # waiting as long again for the next table would tell nothing new
                newest_first = sorted(self._pinned, key=lambda t: t.committed_at, reverse=True)
                run.follow([table.traceparent for table in newest_first])
                if not self._pinned:  # no lake at all is nobody's intention; one sentence is enough
                    self._unreadable += [*self._absent.values()][:1]
                elif needed and not self._unreadable:
                    for name, sentence in self._absent.items():
                        warning = f"{name} is taken as empty. {sentence}"
                        fire_event(Note(msg=warning), level=EventLevel.WARN)
            return self._pinned

    def _open_one(self, name: str, config: dict[str, Any], pinned: list[PinnedTable]) -> None:
        uri, version = str(config["uri"]), str(config.get("version", LATEST))
        if version == EMPTY and name in TABLES:
            self._absent[name] = f"'{EMPTY}' was asked for as its version."
            return
        try:
            options = _options(name, config)
            table = pin(name, uri, version, options)
        except TableMissing as error:
            may_be = config.get("absent") == "empty" and version == LATEST and name in TABLES
            folder = at(uri, options).folder
            if may_be and not (folder and folder.exists()):
                self._absent[name] = str(error)
            else:
                self._unreadable.append(str(error))
        except StoreUnreachable:
            raise
        except LakeError as error:
            self._unreadable.append(str(error))
        else:
            pinned.append(table)
            if name in self._seen:
                self._changes[name] = changes_of(table, self._seen[name])


def _needs_the_lake() -> bool:
    """Tell whether the dbt command that runs reads tables."""
    return getattr(get_flags(), "WHICH", None) in NEED_THE_LAKE


def _row(table: PinnedTable, changes: Changes) -> dict[str, Any]:
    """Write a table's changes as a row of ``temp.main.delta_changes``."""
    seen = changes.seen
    return {
        "name": table.name,
        "mode": changes.mode,
        "reason": changes.reason,
        "table_id": table.table_id,
        "version": table.version,
        "commit_digest": changes.commit,
        "seen_entry": seen.entry if seen else 0,
        "seen_version": seen.version if seen else None,
        "seen_code": seen.code if seen else None,
        "seen_tested": bool(seen and seen.tested),
    }


def _options(name: str, table: dict[str, Any]) -> dict[str, str]:
    """Return a table's options in the profile; an empty one counts as not set.

    Raises:
        PlaceInvalid: A secret is written out there. ``dbt debug`` prints the profile, less what
            variables called ``DBT_ENV_SECRET_…`` hold.
    """
    options = {key: str(value) for key, value in (table.get("options") or {}).items() if value}
    hidden = {value for key, value in os.environ.items() if key.startswith("DBT_ENV_SECRET_")}
    for option, value in options.items():
        if is_secret(option) and value not in hidden:
            raise PlaceInvalid(
                f"The option {option} of {name} in profiles.yml is a secret that `dbt debug` would "
                "print: take it from env_var('DBT_ENV_SECRET_…'), or leave it out and set "
                f"{option.upper()}."
            )
    return options

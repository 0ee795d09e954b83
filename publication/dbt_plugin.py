"""The dbt-duckdb plugin through which a dbt run publishes.

Named in ``profiles.yml``; all of its config is optional (see :mod:`publication.settings`):

    plugins:
      - module: publication.dbt_plugin
        alias: publication
        config: {folder: data/publications, link: data/marts.duckdb, wait_seconds: 10}

It does two things: it lets one dbt process at a time into the warehouse, and it gives SQL the
function ``publish_marts(run, sources)``, which the macro ``publish`` calls when a run has ended.
See https://github.com/duckdb/dbt-duckdb#writing-your-own-plugins.
"""

from __future__ import annotations

import atexit
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.events.base_types import EventLevel
from dbt_common.events.functions import fire_event
from dbt_common.events.types import Note
from dbt_common.exceptions import DbtRuntimeError
from duckdb.sqltypes import VARCHAR

from publication import builder
from publication.errors import PublicationError
from publication.run import decode
from publication.settings import Settings
from publication.store import Store
from publication.warehouse import Warehouse

if TYPE_CHECKING:
    from dbt.adapters.duckdb.credentials import DuckDBCredentials
    from duckdb import DuckDBPyConnection

    from publication.manifest import Manifest


class Plugin(BasePlugin):
    """Publishes the marts of a dbt run, and keeps two runs out of one warehouse."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Take the places and limits from the profile and the environment; touch nothing.

        Args:
            plugin_config: ``folder``, ``link``, ``keep``, ``keep_for_hours``: see
                :class:`publication.settings.Settings`. ``wait_seconds`` (10): how long to wait
                for another process that holds the warehouse.

        Raises:
            DbtRuntimeError: One of them cannot be used; one sentence.
        """
        try:
            settings = Settings.read(plugin_config)
        except PublicationError as error:
            raise DbtRuntimeError(str(error)) from error
        self._store = Store.of(settings, _warn)
        self._wait_seconds = settings.wait_seconds
        self._warehouse: Warehouse | None = None
        self._repaired = False

    def update_connection_config(self, creds: DuckDBCredentials, config: dict[str, Any]) -> None:
        """Let this process into the warehouse, right before dbt-duckdb opens it.

        Raises:
            DbtRuntimeError: Another process is in it, and did not leave in time; one sentence.
        """
        if creds.path.startswith(":memory:") or creds.is_motherduck:
            return
        try:
            if self._warehouse is None:
                self._warehouse = Warehouse(Path(creds.path), self._wait_seconds, _warn)
            self._warehouse.take(config)
        except PublicationError as error:
            raise DbtRuntimeError(str(error)) from error
        self._repair()

    def _repair(self) -> None:
        """Put right what a killed run left, though this one may never come to publishing."""
        if self._repaired:
            return
        with suppress(
            PublicationError, OSError
        ):  # publishing says it; other commands need not write
            if not self._store.folder.exists():
                return
            self._repaired = True
            for sentence in self._store.repair():
                _warn(sentence)

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Give SQL the function ``publish_marts``."""
        # The connection owns the function: a strong reference back would keep the file open.
        warehouse = weakref.ref(conn)

        def publish_marts(run: str, sources: str) -> str:
            connection = warehouse()
            assert connection is not None  # noqa: S101 it is running us
            try:
                with connection.cursor() as cursor:
                    manifest = builder.publish(self._store, cursor, *decode(run, sources))
            except PublicationError as error:
                # dbt prints it again as the hook's error, behind what DuckDB puts before it.
                fire_event(Note(msg=f"Published nothing: {error}"), level=EventLevel.ERROR)
                raise
            return _announce(manifest)

        # A program that never closes its connections (sqlfluff) would end on a page of leaks.
        atexit.register(_close, warehouse)
        conn.create_function(
            "publish_marts", publish_marts, [VARCHAR, VARCHAR], VARCHAR, side_effects=True
        )


def _close(connection: weakref.ref[DuckDBPyConnection]) -> None:
    if (left := connection()) is not None:
        left.close()


def _warn(text: str) -> None:
    fire_event(Note(msg=text), level=EventLevel.WARN)


def _announce(manifest: Manifest) -> str:
    marts = "1 mart" if len(manifest.marts) == 1 else f"{len(manifest.marts)} marts"
    tests = manifest.build.tests.replace("-", " ")
    text = f"Published {manifest.number} ({Path(manifest.file).stem}): {marts}, tests {tests}."
    fire_event(Note(msg=text), level=EventLevel.INFO)
    return text

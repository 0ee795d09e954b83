"""The dbt-duckdb plugin through which a dbt run logs and traces like everything else.

Named in ``profiles.yml``; it has no config:

    plugins:
      - module: telemetry.dbt_plugin
        alias: telemetry

A run is a span, and so is each of its nodes. It belongs to the trace that ``TRACEPARENT`` names,
else to that of the newest commit it reads (:func:`telemetry.run.follow`). What dbt prints stays as
it is; where logs are JSON, each of its messages is a line of ours on standard error besides.
See https://github.com/duckdb/dbt-duckdb#writing-your-own-plugins.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.flags import get_flags
from dbt_common.events.event_manager_client import add_callback_to_manager
from dbt_common.exceptions import DbtRuntimeError
from google.protobuf.json_format import MessageToDict
from loguru import logger

from telemetry import log, run
from telemetry.errors import TelemetryInvalid
from telemetry.sending import send
from telemetry.settings import Settings

if TYPE_CHECKING:
    from dbt_common.events.base_types import EventMsg

TRACED = frozenset({"run", "build", "test", "seed", "snapshot", "freshness"})
"""The dbt commands that do work. Others only look, sqlfluff's among them."""

LEVELS = {"info": "INFO", "warn": "WARNING", "error": "ERROR"}
"""Loguru's names of dbt's levels; what is below them is left to dbt's own log file."""

COLOUR = re.compile(r"\x1b\[[\d;]*m")

FAILED = frozenset({"error", "fail", "runtime error"})
"""The statuses of nodes that did not succeed."""


class Plugin(BasePlugin):
    """Makes a span of the run and of each node, and lines of what dbt says."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:  # noqa: ARG002 -- dbt-duckdb's
        """Begin to listen to the run.

        Raises:
            DbtRuntimeError: A setting of logs is wrong; one sentence.
        """
        command = getattr(get_flags(), "WHICH", None)
        if command not in TRACED:
            return
        try:
            settings = Settings.from_environment()
        except TelemetryInvalid as error:
            raise DbtRuntimeError(str(error)) from error
        send(settings, "lead-marts-dbt")
        run.begin(f"dbt {command}")
        self._writes = settings.format == "json"
        if self._writes:
            log.configure(settings.format)
        add_callback_to_manager(self._hear)

    def _hear(self, event: EventMsg) -> None:
        """Take an event of dbt's."""
        info: Any = event.info  # a message of protobuf, whose fields have no types
        name = info.name
        text = COLOUR.sub("", info.msg).strip()
        if self._writes and text and (level := LEVELS.get(info.level)):
            logger.bind(event=name).log(level, text)
        if name == "NodeFinished":
            _node_ended(MessageToDict(event.data, preserving_proto_field_name=True))
        elif name == "CommandCompleted":
            run.end(None if event.data.success else "The run did not succeed.")


def _node_ended(data: dict[str, Any]) -> None:
    node = data["node_info"]
    status = str(data.get("run_result", {}).get("status") or node.get("node_status", ""))
    run.record(
        f"dbt {node['resource_type']}",
        _nanoseconds(node.get("node_started_at")),
        _nanoseconds(node.get("node_finished_at")),
        {"dbt.node": node["unique_id"], "dbt.status": status},
        f"{node['unique_id']} ended with the status {status}." if status in FAILED else None,
    )


def _nanoseconds(moment: str | None) -> int:
    """Read a moment of dbt's, in UTC, or take the present one."""
    if not moment:
        return time.time_ns()
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1e9)

"""What the tests of Notion share: a server, a workspace of its own for each test, a lake."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from httpx._transports import default as transports

from lake.__main__ import main
from lake.notion import Ingested, ingest, service
from lake.notion.settings import from_environment
from tests.lake.notion.workspace import DATABASE, TOKEN, Server, Workspace, serving

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from click.testing import Result

    from tests.lake.conftest import Lake


@dataclass
class Notion:
    """A workspace that is served, and a lake to bring it into."""

    server: Server
    lake: Lake
    monkeypatch: pytest.MonkeyPatch

    @property
    def workspace(self) -> Workspace:
        return self.server.workspace

    def ingest(self, wanted: str = "Leads", **options: Any) -> Ingested:
        return ingest(from_environment(), wanted, **options)

    def counts(self, **options: Any) -> tuple[int, int, int, int, int]:
        """Ingest and return inserted, updated, unchanged, rejected, deleted."""
        done = self.ingest(**options)
        rows = done.loaded.upserted
        updated = rows.updated - done.deleted
        return rows.inserted, updated, rows.unchanged, done.loaded.rejected, done.deleted

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``python -m lake ingest notion`` in a process of its own."""
        return self.lake.run("ingest", "notion", *arguments, **environment)

    def command(self, *arguments: str, **environment: str) -> Result:
        """Run the same command in this process, which is quicker."""
        return CliRunner().invoke(main, ["ingest", "notion", *arguments], env=environment)

    def queries(self) -> list[dict[str, Any]]:
        """The bodies of the queries since the last time, with what they asked to see."""
        asked = [
            body | {"whole": "filter_properties" not in path}
            for method, path, body in self.workspace.requests
            if method == "POST"
        ]
        self.workspace.requests.clear()
        return asked


ssl_context = cache(transports.create_ssl_context)
"""Every client makes one, though nothing here speaks TLS: that is a fifth of a reading's time."""


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def notion(lake: Lake, server: Server, monkeypatch: pytest.MonkeyPatch) -> Notion:
    """A new workspace; a failed request is repeated without much waiting."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NOTION_TOKEN", TOKEN)
    monkeypatch.setenv("NOTION_DATABASE_ID", DATABASE)
    monkeypatch.setenv("NOTION_BASE_URL", server.url)
    monkeypatch.setattr(service, "WAITS", (0.01,) * len(service.WAITS))
    monkeypatch.setattr(transports, "create_ssl_context", ssl_context)
    server.workspace = Workspace()
    return Notion(server, lake, monkeypatch)

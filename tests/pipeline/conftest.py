"""What the pipeline's tests share: lakes made by hand and the real dbt command."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tests.forked import Forked, import_early
from tests.pipeline.quick_dbt import QuickDbt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]

import_early("dbt.cli.main", "dbt.adapters.duckdb", "lake.delta_source", "publication.dbt_plugin")

LEADS = pa.schema(
    [
        ("id", pa.string()),
        ("date_prise_contact", pa.date32()),
        ("date_reponse_prospect", pa.date32()),
        ("date_appel_propose", pa.date32()),
        ("date_appel_booke", pa.date32()),
        ("date_relance", pa.date32()),
        ("deleted", pa.bool_()),
    ]
)


@pytest.fixture(scope="session")
def write_leads() -> Callable[..., None]:
    """Write leads as a Delta table: each a dict with its `id` and any of the other columns."""

    def write(table: Path, leads: list[dict[str, Any]], mode: str = "append") -> None:
        write_deltalake(table, pa.Table.from_pylist(leads, LEADS), mode=mode)

    return write


@dataclass(frozen=True)
class Project:
    """The project as a person has it: its commands, over a data folder of its own."""

    data: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every command: nothing of Lead Marts set but the data folder."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LEADMARTS", "DBT"))}
        return inherited | {
            "LEADMARTS_DATA": str(self.data),
            "DBT_TARGET_PATH": str(self.data / "target"),
            "DBT_LOG_PATH": str(self.data / "logs"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DBT_USE_COLORS": "false",
            "PYTHONPATH": str(ROOT),
        }

    @property
    def leads(self) -> Path:
        """Where the leads' Delta table is."""
        return self.data / "lake" / "leads"

    def start(self, *command: str, cwd: Path = ROOT, **environment: str) -> subprocess.Popen[str]:
        """Start a command with these variables set too, and leave it running."""
        return subprocess.Popen(
            [str(Path(sys.executable).with_name(command[0])), *command[1:]],
            cwd=cwd,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; the options are those of `start`."""
        process = self.start(*command, **options)
        try:
            output, _ = process.communicate(timeout=180)
        finally:
            process.kill()
        return subprocess.CompletedProcess(command, process.returncode, output)

    def dbt(
        self, *arguments: str, cwd: Path = ROOT, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run dbt to its end, without the second that its start takes; `run("dbt")` starts it."""
        output = self.data.with_name(f"{uuid4().hex}.out")
        command = Forked(
            "dbt.cli.main:cli",
            ["dbt", *arguments],
            output=output,
            cwd=cwd,
            env=self.environment | environment,
        )
        try:
            said, _ = command.communicate(timeout=180)
        finally:
            command.kill()
            output.unlink()
        return subprocess.CompletedProcess(["dbt", *arguments], command.returncode or 0, said)

    @contextmanager
    def api(self, **environment: str) -> Iterator[httpx.Client]:
        """Serve the current publication with `python -m api`; yield a client of it.

        Args:
            environment: Variables to set for it.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = self.data / f"api-{port}.log"  # several may serve one folder
        with log.open("w") as output:
            server = subprocess.Popen(
                [sys.executable, "-m", "api", "--port", str(port)],
                cwd=ROOT,
                env=self.environment | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
                deadline = time.monotonic() + 60
                while True:
                    try:
                        client.get("/health/live").raise_for_status()
                        break
                    except httpx.HTTPError:
                        assert server.poll() is None, log.read_text()
                        assert time.monotonic() < deadline, log.read_text()
                        time.sleep(0.1)
                yield client
        finally:
            server.terminate()
            server.wait(60)


@pytest.fixture(scope="session")
def project_in() -> Callable[[Path], Project]:
    """Makes the project over a data folder of the caller's."""
    return Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The project over an empty data folder."""
    return Project(tmp_path / "data")


@pytest.fixture(scope="session")
def three_leads(write_leads: Callable[..., None]) -> Callable[[Project], None]:
    """Writes a lake of three leads."""

    def write(project: Project) -> None:
        project.data.mkdir()
        write_leads(
            project.leads,
            [
                {
                    "id": "a",
                    "date_prise_contact": date(2025, 1, 1),
                    "date_relance": date(2025, 1, 9),
                },
                {"id": "b", "date_prise_contact": date(2025, 1, 5)},
                {"id": "c", "date_prise_contact": date(2025, 2, 3), "deleted": True},
            ],
        )

    return write


@pytest.fixture
def project_with_leads(project: Project, three_leads: Callable[[Project], None]) -> Project:
    """The project over a lake of three leads."""
    three_leads(project)
    return project


@pytest.fixture(scope="session")
def built_once(made_once: Callable[..., Path], three_leads: Callable[[Project], None]) -> Project:
    """The project over that lake after one green `dbt build`, for tests that change nothing."""

    def build(folder: Path) -> None:
        project = Project(folder / "data")
        three_leads(project)
        build = project.run("dbt", "build")
        assert build.returncode == 0, build.stdout
        assert (project.data / "publications" / "current.json").exists(), build.stdout

    return Project(made_once("three-leads", build) / "data")


@pytest.fixture
def built(built_once: Project, project: Project) -> Project:
    """The same as the test's own."""
    shutil.copytree(built_once.data, project.data, symlinks=True)
    return project


@pytest.fixture(scope="session")
def quick_dbt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuickDbt]:
    """The dbt command over a data folder of its own, without its start-up each time."""
    folder = tmp_path_factory.mktemp("quick-dbt")
    project = Project(folder / "data")
    environment = project.environment | {
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }
    dbt = QuickDbt(ROOT, project.data, environment)
    yield dbt
    dbt.close()

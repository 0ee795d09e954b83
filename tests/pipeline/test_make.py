"""`make run` as a person types it, in the environment that `make` made."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.served import check_the_demo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.pipeline.conftest import Project

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def made_environment() -> None:
    if not (ROOT / ".venv" / "run").exists():
        pytest.skip("There is no environment that make made: run the tests with `make test`.")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def make(project: Project, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    # Under `make test` this would be a make within a make, which speaks otherwise.
    typed = {k: v for k, v in project.environment.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.Popen(
        ["make", *arguments],
        cwd=ROOT,
        env=typed | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # its children end with it
    )


def test_make_run_ends_on_a_server_that_says_what_to_open(project: Project) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run = make(project, "run", f"PORT={port}")
    assert run.stdout is not None
    try:
        said = []
        for line in run.stdout:
            said.append(line)
            if found := re.search(rf"(http://127\.0\.0\.1:{port}/docs)", line):
                break
        else:
            pytest.fail("".join(said))
        check_the_demo(found[1].removesuffix("/docs"))
    finally:
        os.killpg(run.pid, signal.SIGINT)  # Ctrl-C
        rest, _ = run.communicate(timeout=60)
    assert "Lead Marts stops." in rest
    assert "Traceback" not in rest
    assert "Abort" not in rest


def test_a_failed_build_is_said_in_one_line_and_starts_no_server(
    project_with_leads: Project,
) -> None:
    for file in project_with_leads.leads.glob("*.parquet"):
        file.unlink()
    run = make(project_with_leads, "run", "PORT=0")
    output, _ = run.communicate(timeout=180)
    assert run.returncode != 0
    assert output.count("The build failed, for the reason above: nothing was published.") == 1
    assert output.count("lacks 1 of its data files") == 1
    assert "Traceback" not in output
    assert "listens on" not in output


def test_a_port_in_use_is_said_in_one_line_and_nothing_is_built(
    project: Project, taken_port: int
) -> None:
    run = make(project, "run", f"PORT={taken_port}")
    output, _ = run.communicate(timeout=180)
    assert run.returncode != 0
    assert not project.data.exists()
    (line,) = [line for line in output.splitlines() if str(taken_port) in line]
    assert "in use" in line
    assert "Traceback" not in output


def test_a_lake_that_is_named_gets_no_demo(project: Project, tmp_path: Path) -> None:
    named = make(project, "demo", LEADMARTS_LEADS_URI=str(tmp_path / "theirs"))
    output, _ = named.communicate(timeout=180)
    assert (named.returncode, output) == (0, "")
    assert not project.data.exists()
    assert not (tmp_path / "theirs").exists()

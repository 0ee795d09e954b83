"""Each command that README and the guide name, run alone and first.

First without a lake, in an empty data folder; then over a lake without a warehouse, which is what
a CI job has. A command does what it says, or says in one sentence what to do.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pipeline.conftest import Project
    from tests.pipeline.quick_dbt import QuickDbt

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("run_commands.py")
DOCUMENTS = ("README.md", "docs/operations.md")
INPUT = Path(__file__).with_name("leads.csv")
CONVERSIONS = Path(__file__).with_name("marketing.csv")

NO_LAKE = "There is no Delta table leads at"
NOT_BUILT = "which this command reads and does not build: run `dbt build` first"
PUBLISHED = "Published 1 ("

DBT = {
    "dbt build": ([], NO_LAKE, PUBLISHED),
    "dbt build --full-refresh": ([], NO_LAKE, PUBLISHED),
    "dbt build --vars": (["{leads_version: 0, marketing_version: empty}"], NO_LAKE, PUBLISHED),
    "dbt build -s": (["lead_event_counts_weekly"], NO_LAKE, NOT_BUILT),
    "dbt compile": ([], "", ""),
    "dbt docs generate": ([], "Catalog written", "Catalog written"),
    "dbt ls": ([], "lead_event_counts_weekly", "lead_event_counts_weekly"),
    "dbt parse": ([], "", ""),
    "dbt run": ([], NO_LAKE, PUBLISHED),
    "dbt seed": ([], "Completed successfully", "Completed successfully"),
    "dbt source freshness": ([], NO_LAKE, "PASS freshness of lake.leads"),
    "dbt test": ([], NO_LAKE, NOT_BUILT),
}
"""What follows a command, and what it says without a lake and with one."""

OURS: dict[str, list[str]] = {
    "api users": ["list"],
    "lake compact": [],
    "lake demo": [],
    "lake history": ["leads"],
    "lake ingest": ["notion"],
    "lake load": ["leads", str(INPUT)],
    "lake load --help": [],
    "lake load marketing": [str(CONVERSIONS)],
    "lake rejects": [],
    "lake status": [],
    "lake vacuum": [],
    "publication list": [],
    "publication repair": [],
    "publication rollback": ["1"],
    "publication show": ["1"],
    "publication verify": [],
}
"""What follows a command of our own."""

SERVERS = {"api"}
"""Commands that do not end; tests/api has them."""

OPTIONS = {"--full-refresh", "--help", "--vars", "-s"}


def documented() -> set[str]:
    """The commands in the documents, each up to its arguments."""
    found = set()
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        quoted = re.findall(r"`([^`\n]+)`", text)
        blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        for command in [*quoted, *lines]:
            for part in re.split(r"&&|\|", command.partition(" #")[0]):
                found |= form(part)
    return found


def form(text: str) -> set[str]:
    """The form of a command: its program and the words that say what it does; none of others."""
    called = re.search(r"(?:^|\s)(dbt|python -m (?:lake|publication|api))(?=\s|$)(.*)", text)
    if called is None:
        return set()
    program = called[1].removeprefix("python -m ")
    words = called[2].split()
    taken = [word for word in words[:1] if re.fullmatch(r"[a-z]+", word)]
    if not taken:
        return {program} if program == "api" else set()
    if taken[0] in {"docs", "source"} or (words[1:2] == ["marketing"] and taken[0] == "load"):
        taken += words[1:2]
    return {" ".join([program, *taken, *(word for word in words if word in OPTIONS)])}


def test_every_documented_command_is_run_here() -> None:
    assert documented() - DBT.keys() - OURS.keys() - SERVERS == set()
    assert len(documented()) > 20


@pytest.fixture(scope="module")
def lake(made_once: Callable[..., Path], project_in: Callable[..., Project]) -> Path:
    """A small demo lake."""

    def make(folder: Path) -> None:
        words = ("python", "-m", "lake", "demo", "--leads", "200", "--days", "60")
        made = project_in(folder).run(*words)
        assert made.returncode == 0, made.stdout

    return made_once("small-demo", make) / "lake"


def assert_clear(output: str) -> None:
    assert not re.search(
        r"Traceback|Catalog Error|Binder Error|Parser Error|does not exist|jinja|KeyError", output
    ), output


@pytest.mark.parametrize("command", DBT)
def test_a_dbt_command_works_or_says_what_to_do(
    quick_dbt: QuickDbt, lake: Path, tmp_path: Path, command: str
) -> None:
    further, without, with_lake = DBT[command]
    words = [*command.split()[1:], *further]
    filled = tmp_path / "filled"
    shutil.copytree(lake, filled / "lake")
    for folder, sentence in ((tmp_path / "empty", without), (filled, with_lake)):
        done = quick_dbt.run(*words, LEADMARTS_DATA=str(folder))
        said = " ".join(done.output.split())
        assert done.code == (1 if sentence in {NO_LAKE, NOT_BUILT} else 0), done.output
        assert sentence in said, done.output
        assert_clear(done.output)


def test_what_a_ci_job_runs_needs_nothing_before_it(
    quick_dbt: QuickDbt, lake: Path, tmp_path: Path
) -> None:
    """The tests and a part come after `dbt run` alone; nobody has run `dbt seed`."""
    shutil.copytree(lake, tmp_path / "lake")
    for words in (
        ("run",),
        ("test",),
        ("build", "-s", "lead_event_counts_weekly"),
        ("build", "-s", "+marketing_conversions"),
    ):
        done = quick_dbt.run(*words, LEADMARTS_DATA=str(tmp_path))
        assert done.code == 0, done.output


def test_a_command_of_ours_works_or_says_what_to_do(
    project_in: Callable[..., Project], lake: Path, tmp_path: Path
) -> None:
    commands = []
    for number, form_ in enumerate(sorted(OURS.keys() & documented())):
        for name in ("empty", "filled"):
            folder = tmp_path / f"{name}-{number}"
            if name == "filled":
                shutil.copytree(lake, folder / "lake")
            commands.append(([*form_.split(), *OURS[form_]], {"LEADMARTS_DATA": str(folder)}))
    done = subprocess.run(
        [sys.executable, str(DRIVER)],
        cwd=ROOT,
        env=project_in(tmp_path / "none").environment,
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=True,
    )
    for (words, _), (code, output) in zip(commands, json.loads(done.stdout), strict=True):
        assert_clear(output)
        assert code in {0, 1}, (words, output)
        if code == 1:  # one sentence, which ends as one
            assert re.search(r"\S+ \S+.*\.$", output.strip()), (words, output)
        assert output.strip(), words

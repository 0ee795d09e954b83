"""Older versions are built again from what a publication says of itself, and come out the same.

Two processes do all the work: one lives through a lake's history and publishes on the way, another
one builds all of it again from a copy of the lake in another place.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pipeline.conftest import Project

DRIVER = Path(__file__).with_name("run_commands.py")
ROOT = Path(__file__).parents[2]

LEADS = [
    "id,date_prise_contact,date_relance\na,2025-01-01,2025-01-09\nb,2025-01-05,\n",
    "id,date_prise_contact,date_relance\na,2025-02-01,2025-01-09\nc,2025-03-01,2025-03-02\n",
    "id,date_prise_contact,deleted\nb,2025-01-05,true\nd,2025-04-01,\n",
    "id,date_relance\ne,2025-05-01\n",
]
MARKETING = (
    "product,campaign_type,campaign,channel,date,conversions\n"
    "p,branding,c,tv,2025-01-01,1.5\np,branding,c,facebook,2025-01-02,2\n"
)

Outcome = tuple[int, str]


def run(project: Project, *commands: tuple[list[str], dict[str, str]]) -> list[Outcome]:
    """Run commands in one process, each with environment variables of its own."""
    ended = subprocess.run(
        [sys.executable, str(DRIVER)],
        cwd=ROOT,
        env=project.environment,
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return [(code, output) for code, output in json.loads(ended.stdout)]


def build(variables: str = "", **environment: str) -> tuple[list[str], dict[str, str]]:
    options = ["--vars", variables] if variables else []
    return ["dbt", "--no-use-colors", "build", *options], environment


def manifests(data: Path) -> list[dict[str, Any]]:
    """Every publication's manifest, oldest first."""
    paths = sorted((data / "publications").glob("0*.json"))
    return [json.loads(path.read_text()) for path in paths]


def pins(manifest: dict[str, Any]) -> str:
    """The variables that build a publication again, as somebody reads them off its manifest."""
    versions = {source["name"]: source["version"] for source in manifest["sources"]}
    leads, marketing = versions["leads"], versions.get("marketing_conversions", "empty")
    return f"{{leads_version: {leads}, marketing_version: {marketing}}}"


@dataclass(frozen=True)
class History:
    """A lake and what was published of it on the way."""

    project: Project
    published: list[dict[str, Any]]

    def copy(self, folder: Path) -> dict[str, str]:
        """Copy the lake, with files as old as the copy; return what reads it from there."""
        shutil.copytree(self.project.data / "lake", folder / "lake", copy_function=shutil.copyfile)
        for path in sorted(folder.rglob("*.json"), reverse=True):
            os.utime(path)  # the youngest commit is the oldest file
        return {
            "LEADMARTS_LEADS_URI": str(folder / "lake" / "leads"),
            "LEADMARTS_MARKETING_URI": str(folder / "lake" / "marketing_conversions"),
        }


@pytest.fixture(scope="module")
def history(
    tmp_path_factory: pytest.TempPathFactory, project_in: Callable[[Path], Project]
) -> History:
    """Two loads, each published; marketing came with the second; then more loads and upkeep."""
    folder = tmp_path_factory.mktemp("history")
    project = project_in(folder / "data")
    commands = []
    for number, content in enumerate(LEADS):
        (folder / f"{number}.csv").write_text(content)
        commands.append((["lake", "load", "leads", str(folder / f"{number}.csv")], {}))
        if number == 1:
            (folder / "marketing.csv").write_text(MARKETING)
            commands.append((["lake", "load", "marketing", str(folder / "marketing.csv")], {}))
        if number < 2:
            commands.append(build())
    commands += [(["lake", "compact"], {}), (["lake", "vacuum"], {})]
    for code, output in run(project, *commands):
        assert code == 0, output
    published = manifests(project.data)
    assert [m["sources"][0]["version"] for m in published] == [0, 1]
    assert published[0]["digest"] != published[1]["digest"]
    return History(project, published)


def test_a_publication_is_built_again_from_its_manifest(
    history: History, project_in: Callable[[Path], Project], tmp_path: Path
) -> None:
    """After later loads and a compaction, in another process, folder and copy of the lake.

    The first by its numbers, the second by the moment of its commit. What cannot be built any more
    is a sentence, and publishes nothing. (Builds are few: new variables make dbt parse anew.)
    """
    lake = history.copy(tmp_path)
    again = project_in(tmp_path / "data")
    first, second = history.published
    moment = f"{{leads_version: {second['sources'][0]['committed_at']}, marketing_version: 0}}"
    numbers, moments, vacuum, gone = run(
        again,
        build(pins(first), **lake),
        build(moment, **lake),
        (["lake", "vacuum", "--older-than", "0h", "--force"], lake),
        build("{leads_version: 1, marketing_version: 2001-01-01}", **lake),
    )
    assert numbers[0] == moments[0] == vacuum[0] == 0, (numbers, moments, vacuum)
    assert "marketing_conversions is taken as empty. 'empty' was asked for" in numbers[1]
    for made, before in zip(manifests(again.data), history.published, strict=True):
        assert made["digest"] == before["digest"]
        assert made["build"]["invocation_id"] != before["build"]["invocation_id"]
        for name in ("name", "table_id", "version", "committed_at"):
            told = [source[name] for source in made["sources"]]
            assert told == [source[name] for source in before["sources"]]

    code, output = gone
    assert code != 0
    assert "Version 1 of the Delta table leads lacks 1 of its data files" in output
    assert "vacuumed or lost: read a newer version or restore the files." in output
    assert "'2001-01-01' is before the first commit of the Delta table marketing_conv" in output
    assert "Traceback" not in output

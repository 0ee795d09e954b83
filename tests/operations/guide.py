"""The operator's guide as a test reads it: its commands and its tables."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/operations.md").read_text()

HERE = ""
IN_CONTAINERS = "containers"


def commands(heading: str, where: str = HERE) -> list[str]:
    """Return the blocks of commands below a heading: for this machine, or for containers."""
    found = re.findall(rf"^```sh ?{where}\n(.*?)^```$", _section(heading), re.DOTALL | re.MULTILINE)
    assert found, f'"{heading}" has no commands for {where or "this machine"}'
    return found


def _section(heading: str) -> str:
    sections = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    (section,) = [text for text in sections if text.startswith(f"{heading}\n")]
    return section


def table(heading: str) -> list[list[str]]:
    """Return the cells of the rows below a heading whose first cell is code; none is empty."""
    rows = [
        [cell.strip() for cell in line.strip("| ").split(" | ")]
        for line in _section(heading).splitlines()
        if line.startswith("| `")
    ]
    assert rows, f'"{heading}" has no table'
    assert all(all(row) for row in rows)
    return rows


@dataclass(frozen=True)
class Row:
    """What the table says of a setting."""

    default: str
    read_by: frozenset[str]


def settings() -> dict[str, Row]:
    """Return the rows of the table of settings by their variables; a row may have several."""
    rows: dict[str, Row] = {}
    for variables, default, read_by, _meaning in table("Settings"):
        for variable in re.findall(r"`([^`]+)`", variables):
            assert variable not in rows, f"{variable} has two rows"
            rows[variable] = Row(default, frozenset(read_by.split(", ")))
    return rows


def run(commands: str, cwd: Path, environment: dict[str, str]) -> str:
    """Type commands of the guide into a shell; return what they say."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}"
    return done.stdout

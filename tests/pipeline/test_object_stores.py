"""dbt over tables in object stores: built, published, and no secret left anywhere."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.object_stores import servers

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.object_stores.servers import ObjectStore
    from tests.pipeline.conftest import Project

LEADS = "id,date_prise_contact,date_relance\na,2024-01-01,2024-01-09\nb,2024-01-02,\nc,no,\n"
MARKETING = "product,campaign_type,campaign,channel,date,conversions\np,t,c,tv,2024-01-01,2\n"


@dataclass(frozen=True)
class There:
    """The project, with its tables in object stores and everything else in a folder."""

    project: Project
    stores: tuple[ObjectStore, ...]
    places: dict[str, str]

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        known = {k: v for store in self.stores for k, v in store.environment.items()}
        # What stands in the environment of whoever runs the tests must not be used.
        nothing = dict.fromkeys(servers.PREFIXES, "")
        return self.project.run(*command, **{**nothing, **known, **self.places, **environment})

    def load(self, table: str, content: str, **environment: str) -> None:
        file = self.project.data / f"{table}.csv"
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        done = self.run("python", "-m", "lake", "load", table, str(file), **environment)
        assert done.returncode == 0, done.stdout

    @property
    def pointer(self) -> bytes:
        return (self.project.data / "publications" / "current.json").read_bytes()

    def manifest(self) -> dict[str, object]:
        number = json.loads(self.pointer)["number"]
        (manifest,) = (self.project.data / "publications").glob(f"{number:06}-*.json")
        return json.loads(manifest.read_text())

    def assert_no_secret_in(self, *output: str) -> None:
        """See that no secret is in what was printed, nor in any file that was written."""
        traces = [trace for store in self.stores for trace in store.traces()]
        files = (file for file in self.project.data.rglob("*") if file.is_file())
        for written in (*map(str.encode, output), *(file.read_bytes() for file in files)):
            assert not [trace for trace in traces if trace in written]


def is_one_sentence(output: str, sentence: str) -> bool:
    """Tell whether a run said it once, on one line, and nothing of Python's."""
    said = [line for line in output.splitlines() if re.search(sentence, line)]
    return len(said) == 1 and "Traceback" not in output and "\x1b[31m↳" not in output

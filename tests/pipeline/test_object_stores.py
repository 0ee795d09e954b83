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
    from pathlib import Path

    from tests.object_stores.servers import ObjectStore
    from tests.pipeline.conftest import Project

LEADS = "id,date_prise_contact,date_relance\na,2024-01-01,2024-01-09\nb,2024-01-02,\nc,no,\n"
MARKETING = "product,campaign_type,campaign,channel,date,conversions\np,t,c,tv,2024-01-01,2\n"


@dataclass(frozen=True)
class There:
    """The project, with its tables in object stores and everything else in a folder."""

    project: Project
    stores: list[ObjectStore]
    places: dict[str, str]

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command; see that it lets no secret out."""
        known = {k: v for store in self.stores for k, v in store.environment.items()}
        done = self.project.run(*command, **{**known, **self.places, **environment})
        self.assert_no_secret_in(done.stdout, *environment.values())
        return done

    def load(self, table: str, content: str, **environment: str) -> None:
        file = self.project.data / f"{table}.csv"
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        done = self.run("python", "-m", "lake", "load", table, str(file), **environment)
        assert done.returncode == 0, done.stdout

    @property
    def pointer(self) -> bytes:
        return (self.project.data / "publications" / "current.json").read_bytes()

    def sources(self) -> dict[str, tuple[str, int]]:
        """Each source's URI and version in the manifest of the current publication."""
        file = json.loads(self.pointer)["file"]
        manifest = (self.project.data / "publications" / file).with_suffix(".json")
        sources = json.loads(manifest.read_text())["sources"]
        return {source["name"]: (source["uri"], source["version"]) for source in sources}

    def assert_no_secret_in(self, *written: str) -> None:
        """See that no secret is in what was printed, nor in any file that was written."""
        traces = [trace for store in self.stores for trace in store.traces()]
        files = [file.read_bytes() for file in self.project.data.rglob("*") if file.is_file()]
        for content in (written[0].encode(), *files):
            assert not [trace for trace in traces if trace in content]


def is_one_sentence(output: str, sentence: str) -> bool:
    """Tell whether a run said it on one line, and showed nothing of Python or Rust."""
    said = [line for line in output.splitlines() if re.search(sentence, line)]
    return bool(said) and not re.search(r"Traceback|File \"|\x1b\[31m|↳|panicked", output)


@pytest.fixture
def there(project: Project, no_store_known: None, moto: dict[str, ObjectStore]) -> There:
    return There(project, [*moto.values()], {})


def test_tables_in_two_stores_are_built_and_published(
    project: Project, no_store_known: None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Then one of the stores dies in the middle of a build, and nothing changes."""
    azurite = request.getfixturevalue("azurite")
    with servers.moto(tmp_path) as moto:
        leads, marketing = moto["s3"].uri("x/leads"), azurite.uri(f"{tmp_path.name}/marketing")
        places = {"LEADMARTS_LEADS_URI": leads, "LEADMARTS_MARKETING_URI": marketing}
        there = There(project, [*moto.values(), azurite], places)
        demo = there.run("python", "-m", "lake", "demo", "--leads", "99", "--days", "30")
        assert demo.returncode == 0, demo.stdout
        assert re.search(rf"^leads: 99 rows up to .* in {leads}$", demo.stdout, re.MULTILINE)

        build = there.run("dbt", "build")
        assert build.returncode == 0, build.stdout
        assert there.sources() == {
            "leads": (leads, 0),
            "marketing_conversions": (marketing, 0),
        }
        assert [file.name for file in project.data.iterdir() if file.name == "lake"] == []
        before = there.pointer

        moto["s3"].meet(r"GET .*\.parquet", "death")
        build = there.run("dbt", "build")
        assert build.returncode == 1, build.stdout
        assert is_one_sentence(build.stdout, rf"S3 cannot be reached for {leads} \(.*try again\.")
        assert there.pointer == before

"""dbt over tables in object stores: built, published, and no secret left anywhere."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
import yaml

from tests.object_stores import servers

if TYPE_CHECKING:
    import subprocess

    from tests.object_stores.servers import ObjectStore
    from tests.pipeline.conftest import Project

ROOT = Path(__file__).parents[2]
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
        environment = {**known, **self.places, **environment}
        if command[0] == "dbt":
            done = self.project.dbt(*command[1:], **environment)
        else:
            done = self.project.run(*command, **environment)
        self.assert_no_secret_in(done.stdout)
        return done

    def load(self, table: str, content: str, **environment: str) -> None:
        file = self.project.data / f"{table}.csv"
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        done = self.run("python", "-m", "lake", "load", table, str(file), **environment)
        rejected = ",no," in content  # of these few rows, so it is more than a tenth
        assert done.returncode == int(rejected), done.stdout

    @property
    def pointer(self) -> bytes:
        return (self.project.data / "publications" / "current.json").read_bytes()

    def sources(self) -> dict[str, tuple[str, int]]:
        """Each source's URI and version in the manifest of the current publication."""
        file = json.loads(self.pointer)["file"]
        manifest = (self.project.data / "publications" / file).with_suffix(".json")
        sources = json.loads(manifest.read_text())["sources"]
        return {source["name"]: (source["uri"], source["version"]) for source in sources}

    def assert_no_secret_in(self, output: str) -> None:
        """See that no secret is in what was printed, nor in any file that was written."""
        traces = [trace for store in self.stores for trace in store.traces()]
        files = [file.read_bytes() for file in self.project.data.rglob("*") if file.is_file()]
        for content in (output.encode(), *files):
            assert not [trace for trace in traces if trace in content]


def is_one_sentence(output: str, sentence: str) -> bool:
    """Tell whether a run said it on one line, and showed nothing of Python or Rust."""
    said = [line for line in output.splitlines() if re.search(sentence, line)]
    return bool(said) and not re.search(r"Traceback|File \"|\x1b\[31m|↳|panicked", output)


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
        build = there.run("dbt", "run", "--full-refresh")  # else nothing is to be read
        assert build.returncode == 1, build.stdout
        assert is_one_sentence(build.stdout, rf"S3 cannot be reached for {leads} \(.*try again\.")
        assert there.pointer == before


@pytest.mark.soak
@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_every_store_is_loaded_built_and_published(
    project: Project, no_store_known: None, request: pytest.FixtureRequest, scheme: str
) -> None:
    name = "azurite" if scheme == "az" else "moto"
    found = request.getfixturevalue(name)
    store = found if scheme == "az" else found[scheme]
    folder = f"{scheme}-{project.data.parent.name}"
    leads, marketing = store.uri(f"{folder}/leads"), store.uri(f"{folder}/marketing")
    places = {"LEADMARTS_LEADS_URI": leads, "LEADMARTS_MARKETING_URI": marketing}
    there = There(project, [store], places)
    there.load("marketing", MARKETING)
    for content in (LEADS, LEADS, LEADS.replace("b,2024-01-02", "b,2024-02-02")):
        there.load("leads", content)

    build = there.run("dbt", "build")
    assert build.returncode == 0, build.stdout
    assert there.sources() == {"leads": (leads, 1), "marketing_conversions": (marketing, 0)}
    marts = project.data / "marts.duckdb"
    with duckdb.connect(str(marts.resolve()), read_only=True) as connection:
        months = connection.sql(
            "select mois, date_prise_contact, date_relance from lead_event_counts_monthly"
        )
        assert sorted(months.fetchall()) == [("2024-01", 1, 1), ("2024-02", 1, 0)]
    before = there.pointer

    older = there.run("dbt", "build", "--vars", "{leads_version: 0}")
    assert older.returncode == 0, older.stdout
    assert there.sources()["leads"] == (leads, 0)
    assert there.pointer != before
    before = there.pointer

    nowhere = {"LEADMARTS_LEADS_URI": store.uri(f"{folder}/nothing")}
    no_bucket = {"LEADMARTS_LEADS_URI": store.uri("x/leads", "nobody-made-this")}
    for changed, sentence in (
        (dict(store.with_a_wrong_key().environment), "refuses what it is asked about"),
        (dict(store.at("http://127.0.0.1:9").environment), r"cannot be reached .*refused"),
        (no_bucket, "There is no (bucket|container) nobody-made-this"),
        (nowhere, "There is no Delta table leads at .*/nothing"),
    ):
        file = str(project.data / "leads.csv")
        for command in (("dbt", "build"), ("python", "-m", "lake", "load", "leads", file)):
            if changed is nowhere and command[0] == "python":
                continue  # it would make that table
            done = there.run(*command, **changed)
            assert done.returncode != 0, done.stdout
            assert is_one_sentence(done.stdout, sentence), done.stdout
            assert there.pointer == before


@pytest.mark.soak
def test_the_profile_may_have_the_options_and_dbt_debug_hides_them(
    project: Project, no_store_known: None, moto: dict[str, ObjectStore], tmp_path: Path
) -> None:
    store = moto["s3"]
    uri = store.uri(f"{project.data.parent.name}/leads")
    there = There(project, [store], {"LEADMARTS_LEADS_URI": uri})
    there.load("leads", LEADS)

    profile = yaml.safe_load((ROOT / "profiles.yml").read_text())
    options = {name.lower(): f"{{{{ env_var('{name}') }}}}" for name in store.environment}
    secret = "DBT_ENV_SECRET_OF_THE_STORE"
    options["aws_secret_access_key"] = f"{{{{ env_var('{secret}') }}}}"
    plugin = profile["lead_marts"]["outputs"]["dev"]["plugins"][0]
    plugin["config"]["tables"]["leads"]["options"] = options
    (tmp_path / "profiles.yml").write_text(yaml.safe_dump(profile))

    known = dict(store.environment)
    hidden = {secret: known.pop("AWS_SECRET_ACCESS_KEY"), "DBT_PROFILES_DIR": str(tmp_path)}
    inside = There(project, [], {"LEADMARTS_LEADS_URI": uri, **known, **hidden})
    for command in (("dbt", "debug"), ("dbt", "build")):
        done = inside.run(*command)
        assert done.returncode == 0, done.stdout
        there.assert_no_secret_in(done.stdout)

    options["aws_secret_access_key"] = hidden[secret]
    (tmp_path / "profiles.yml").write_text(yaml.safe_dump(profile))
    del inside.places[secret]
    done = inside.run("dbt", "build")
    assert done.returncode != 0
    assert is_one_sentence(done.stdout, "The option aws_secret_access_key of leads in profiles.yml")
    there.assert_no_secret_in(done.stdout)

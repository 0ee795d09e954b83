"""dbt's own commands, typed in the project's root with nothing set but the data folder."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
import yaml
from deltalake import write_deltalake

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pipeline.conftest import Project


ROOT = Path(__file__).parents[2]
PLACES = (
    "LEADMARTS_DATA",
    "LEADMARTS_LEADS_URI",
    "LEADMARTS_PUBLICATIONS",
    "LEADMARTS_TIMEZONE",
    "LEADMARTS_WAREHOUSE",
)


def pointer(project: Project) -> bytes | None:
    file = project.data / "publications" / "current.json"
    return file.read_bytes() if file.exists() else None


def test_a_green_build_publishes_and_every_command_works_alone_after_it(built: Project) -> None:
    first = pointer(built)
    for command in [
        ("test",),
        ("docs", "generate"),
        ("source", "freshness"),
        ("compile",),
        ("ls",),
        ("build", "-s", "lead_event_counts_weekly"),
        ("build", "--exclude", "lead_event_counts_monthly"),
        ("run", "--empty"),
    ]:
        done = built.run("dbt", *command)
        assert done.returncode == 0, done.stdout
        assert pointer(built) == first, done.stdout
        if command[0] in {"build", "run", "test"}:
            assert done.stdout.count("Published nothing") == 1, done.stdout

    run = built.run("dbt", "run")
    assert run.returncode == 0, run.stdout
    manifest = json.loads(
        (built.data / "publications" / json.loads(pointer(built) or b"")["file"])
        .with_suffix(".json")
        .read_text()
    )
    assert manifest["number"] == 2
    assert manifest["build"]["command"] == "dbt run"
    assert manifest["build"]["tests"] == "not-run"
    assert manifest["sources"][0]["name"] == "leads"
    assert manifest["sources"][0]["version"] == 0


def test_a_failing_test_publishes_nothing(built: Project, write_leads: Callable[..., None]) -> None:
    first = pointer(built)
    files = sorted(p.name for p in (built.data / "publications").iterdir())
    write_leads(built.leads, [{"id": "a", "date_relance": date(2025, 3, 1)}])  # a twice
    build = built.dbt("build")
    assert build.returncode == 1
    assert build.stdout.count("Published nothing") == 1, build.stdout
    assert "unique_stg_leads_lead_id" in build.stdout
    assert pointer(built) == first
    assert sorted(p.name for p in (built.data / "publications").iterdir()) == files


def test_what_is_published_is_what_an_analyst_opens(built_once: Project) -> None:
    with duckdb.connect(str(built_once.data / "marts.duckdb"), read_only=True) as marts:
        assert marts.sql("from lead_event_counts_weekly order by week_start").fetchall() == [
            (date(2024, 12, 30), "2025-W01", 2, 0, 0, 0, 0),
            (date(2025, 1, 6), "2025-W02", 0, 0, 0, 0, 1),
        ]
        comments = dict(
            marts.sql(
                "select table_name, comment from duckdb_tables() where schema_name = 'main'"
            ).fetchall()
        )
        assert comments["lead_event_counts_weekly"].strip().endswith("One row per ISO week.")
        assert set(comments) == {
            "channel_sales_weekly",
            "lead_event_counts_daily",
            "lead_event_counts_implausible",
            "lead_event_counts_monthly",
            "lead_event_counts_weekly",
            "marketing_conversions",
        }


def test_implausible_dates_are_published_in_a_mart_of_their_own(
    project_with_leads: Project, write_leads: Callable[..., None]
) -> None:
    write_leads(
        project_with_leads.leads,
        [
            {"id": "x", "date_relance": date(1999, 12, 31)},
            {"id": "y", "date_relance": date(2999, 1, 1), "date_prise_contact": date(2000, 1, 1)},
        ],
    )
    build = project_with_leads.dbt("build")
    assert build.returncode == 0, build.stdout
    with duckdb.connect(str(project_with_leads.data / "marts.duckdb"), read_only=True) as marts:
        assert marts.sql("from lead_event_counts_implausible order by event_date").fetchall() == [
            ("date_relance", "Follow-up", date(1999, 12, 31), "too early", 1),
            ("date_relance", "Follow-up", date(2999, 1, 1), "too late", 1),
        ]
        assert marts.sql(
            "select min(date), sum(date_relance) from lead_event_counts_daily"
        ).fetchall() == [(date(2000, 1, 1), 1)]


def test_a_day_that_no_format_can_write_is_counted_apart_and_stops_nothing(
    project: Project,
) -> None:
    """Another writer's usual "for ever", a year of five digits, and days before the year 1."""
    forever = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # in Paris the year 10000
    moments = [datetime(2025, 1, 5, tzinfo=UTC), forever, None, None]
    days = pa.array([20_000, 6_700_000, 2**31 - 1, -1_000_000], pa.int32()).cast(pa.date32())
    leads = pa.table(
        {
            "id": list("abcd"),
            "date_relance": pa.array(moments, pa.timestamp("us", tz="UTC")),
            "date_prise_contact": days,
        }
    )
    without_statistics = {"delta.dataSkippingNumIndexedCols": "0"}  # days that Python cannot read
    write_deltalake(project.leads, leads, configuration=without_statistics)
    build = project.dbt("build")
    assert build.returncode == 0, build.stdout
    with duckdb.connect(str(project.data / "marts.duckdb"), read_only=True) as marts:
        assert marts.sql(
            "select event_type, event_date, reason, leads from lead_event_counts_implausible "
            "order by all"
        ).fetchall() == [
            ("date_prise_contact", date(1, 1, 1), "too early", 1),
            ("date_prise_contact", date(9999, 12, 31), "too late", 2),
            ("date_relance", date(9999, 12, 31), "too late", 1),
        ]
        assert marts.sql("select count(*) from lead_event_counts_daily").fetchall() == [(2,)]


def test_leads_without_a_single_event_publish_nothing(
    project: Project, write_leads: Callable[..., None]
) -> None:
    write_leads(project.leads, [{"id": "a"}, {"id": "b"}])
    for command in ("build", "run"):
        done = project.dbt(command)
        assert done.returncode == 1
        said = " ".join(done.stdout.split())
        assert "There are leads, but not one of them has any of the five events (date_" in said
        assert "Traceback" not in done.stdout
    assert pointer(project) is None
    write_leads(project.leads, [{"id": "c", "date_relance": date(2025, 1, 1)}])
    assert project.dbt("run").returncode == 0
    write_leads(project.leads, [{"id": "d", "deleted": True}], mode="overwrite")
    assert project.dbt("run").returncode == 0  # there is no lead any more


def test_a_variable_that_nothing_reads_is_refused_with_the_near_name(
    built: Project, tmp_path: Path
) -> None:
    first = pointer(built)
    for command in (("run",), ("test",), ("build", "-s", "stg_leads"), ("source", "freshness")):
        done = built.dbt(*command, "--vars", "{lead_version: 0}")
        assert done.returncode != 0
        sentence = "There is no variable lead_version: did you mean leads_version?"
        assert done.stdout.count(sentence) == 1, done.stdout
        assert "Traceback" not in done.stdout
    assert pointer(built) == first
    root = tmp_path / "checkout"
    root.mkdir()
    for name in ("profiles.yml", "models", "macros", "seeds", "tests"):
        (root / name).symlink_to(ROOT / name)
    own = (ROOT / "dbt_project.yml").read_text().replace("vars:\n", "vars:\n  of_my_own: 1\n")
    (root / "dbt_project.yml").write_text(own)
    done = built.dbt("run", "-s", "stg_leads", "--vars", "{of_my_own: 2}", cwd=root)
    assert done.returncode == 0, done.stdout


def test_both_bounds_of_plausible_dates_are_variables(built: Project) -> None:
    def implausible(variables: str) -> Any:
        build = built.dbt("build", "--vars", variables)
        assert build.returncode == 0, build.stdout
        with duckdb.connect(str(built.data / "marts.duckdb"), read_only=True) as marts:
            found = marts.sql("select event_date, reason from lead_event_counts_implausible")
            return sorted(set(found.fetchall()))

    days = [date(2025, 1, 1), date(2025, 1, 5), date(2025, 1, 9)]
    early = implausible("{plausible_from: 2025-01-05}")
    assert early == [(days[0], "too early")]
    late = implausible("{plausible_years_ahead: -100}")
    assert late == [(day, "too late") for day in days]


def test_a_test_alone_after_another_load_finds_nothing_wrong(
    built: Project, write_leads: Callable[..., None]
) -> None:
    write_leads(built.leads, [{"id": "d", "date_relance": date(2025, 6, 1)}])
    for command in [("test",), ("build", "-s", "+lead_event_counts_weekly")]:
        done = built.dbt(*command)
        assert done.returncode == 0, done.stdout


def test_the_day_of_a_timestamp_is_taken_in_the_configured_zone(project: Project) -> None:
    at = [datetime(2025, 1, 5, 23, 30, tzinfo=UTC)]
    write_deltalake(project.leads, pa.table({"id": ["a"], "date_relance": at}))
    for zone, day in [("Europe/Paris", 6), ("America/New_York", 5), ("Pacific/Auckland", 6)]:
        build = project.dbt("build", LEADMARTS_TIMEZONE=zone)
        assert build.returncode == 0, build.stdout
        with duckdb.connect(str(project.data / "marts.duckdb"), read_only=True) as marts:
            assert marts.sql(
                "select date, date_relance from lead_event_counts_daily"
            ).fetchall() == [(date(2025, 1, day), 1)]
    refused = project.dbt("build", LEADMARTS_TIMEZONE="Mars")
    assert refused.returncode != 0
    assert refused.stdout.count("LEADMARTS_TIMEZONE is 'Mars', which is no time zone") == 1
    assert "Traceback" not in refused.stdout


def test_an_environment_that_is_none_is_one_sentence(built: Project) -> None:
    first = pointer(built)
    wrong = {"LEADMARTS_ENV": "staging"}
    for done in (
        built.dbt("build", **wrong),
        built.run("python", "-m", "lake", "status", **wrong),
        built.run("python", "-m", "publication", "list", **wrong),
    ):
        assert done.returncode != 0
        sentence = 'LEADMARTS_ENV is "staging"; set it to development or production.'
        assert done.stdout.count(sentence) == 1, done.stdout
        assert "Traceback" not in done.stdout
    assert pointer(built) == first


def test_memory_that_is_no_amount_is_one_sentence(built: Project) -> None:
    first = pointer(built)
    for wrong in ["lots", "1KB"]:
        refused = built.dbt("build", LEADMARTS_MEMORY=wrong)
        assert refused.returncode != 0
        sentence = (
            f'LEADMARTS_MEMORY (or memory_limit in profiles.yml) is "{wrong}"; set it to an amount '
            "of memory, such as 512MB or 4GB."
        )
        assert refused.stdout.count(sentence) == 1, refused.stdout
        assert "Traceback" not in refused.stdout
        assert pointer(built) == first
    build = built.dbt("build", LEADMARTS_MEMORY="1.5 GiB")
    assert build.returncode == 0, build.stdout


def test_an_empty_lake_builds_empty_marts(
    project: Project, write_leads: Callable[..., None]
) -> None:
    write_leads(project.leads, [])
    build = project.dbt("build")
    assert build.returncode == 0, build.stdout
    with duckdb.connect(str(project.data / "marts.duckdb"), read_only=True) as marts:
        assert marts.sql("from lead_event_counts_weekly").fetchall() == []


@pytest.mark.parametrize("command", ["run", "build", "test", "source freshness"])
def test_without_a_lake_one_sentence_says_how_to_make_one(project: Project, command: str) -> None:
    done = project.dbt(*command.split())
    assert done.returncode != 0
    assert done.stdout.count("There is no Delta table leads at") == 1, done.stdout
    assert "`python -m lake demo`" in done.stdout
    assert "Traceback" not in done.stdout
    assert pointer(project) is None


def test_without_a_lake_what_reads_no_table_still_works(project: Project) -> None:
    for command in [("parse",), ("ls",), ("compile",), ("docs", "generate")]:
        done = project.dbt(*command)
        assert done.returncode == 0, done.stdout


def test_a_data_file_that_is_no_parquet_is_no_traceback(project_with_leads: Project) -> None:
    for file in project_with_leads.leads.glob("*.parquet"):
        file.write_bytes(b"not parquet" * 100)
    build = project_with_leads.dbt("build")
    assert build.returncode == 1
    assert "Traceback" not in build.stdout
    assert "Published nothing" in build.stdout
    assert pointer(project_with_leads) is None


def test_the_ci_target_has_a_data_folder_of_its_own(
    project: Project, tmp_path: Path, write_leads: Callable[..., None]
) -> None:
    root = tmp_path / "checkout"
    root.mkdir()
    for name in ("dbt_project.yml", "profiles.yml", "models", "macros", "seeds", "tests"):
        (root / name).symlink_to(ROOT / name)
    write_leads(root / "data/ci/lake/leads", [{"id": "a", "date_relance": date(2025, 1, 1)}])
    # A variable that is empty counts as not set.
    build = project.dbt("build", "--target", "ci", cwd=root, **dict.fromkeys(PLACES, ""))
    assert build.returncode == 0, build.stdout
    assert [path.name for path in (root / "data").iterdir()] == ["ci"]
    assert (root / "data/ci/publications/current.json").exists()
    assert (root / "data/ci/marts.duckdb").exists()


def patience(folder: Path, seconds: int) -> tuple[str, ...]:
    """The options that let dbt wait for another one for so many seconds."""
    profiles = yaml.safe_load((ROOT / "profiles.yml").read_text())
    for target in profiles["lead_marts"]["outputs"].values():
        (publication,) = (p for p in target["plugins"] if p["alias"] == "publication")
        publication["config"]["wait_seconds"] = seconds
    (folder / "profiles.yml").write_text(yaml.safe_dump(profiles))
    return ("--profiles-dir", str(folder))


def test_of_two_builds_at_once_the_second_waits_then_says_one_sentence(
    built: Project, tmp_path: Path
) -> None:
    first = pointer(built)
    warehouse = built.data / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)):  # a build that does not end
        done = built.dbt("build", *patience(tmp_path, 1))
    assert done.returncode != 0
    assert done.stdout.count(f"{warehouse} is open in ") == 1, done.stdout
    assert "Traceback" not in done.stdout
    assert pointer(built) == first

    # However busy the machine is, the first ends before the second gives up.
    command = ("dbt", "build", *patience(tmp_path, 120))
    builds = [built.start(*command) for _ in range(2)]
    outputs = [build.communicate(timeout=180)[0] for build in builds]
    assert [build.returncode for build in builds] == [0, 0], outputs
    assert json.loads(pointer(built) or b"")["number"] == 3

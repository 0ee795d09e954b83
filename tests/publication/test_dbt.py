"""Which dbt commands publish, and what: the real macros and plugin in a project of four models."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dbt.adapters.duckdb.credentials import DuckDBCredentials

from publication import Store, connect
from publication.dbt_plugin import Plugin

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("LEADMARTS_")},
    "REPOSITORY": str(REPOSITORY),
    "PYTHONPATH": str(REPOSITORY),
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
}
PUBLISHED = re.compile(r"Published (\d+) \((\d{6}-[0-9a-f]{8})\): (.*)\n")
WHOLE = "a whole `dbt run` or `dbt build` does."

# The commands after a first `dbt build`, and what each has to say. They run in this order in one
# project. What publishes nothing has to leave current.json as it is, byte by byte.
PUBLISHING = {
    "run": (0, "2 marts, tests not run."),
    "build --full-refresh": (0, "2 marts, tests passed."),
    "build --vars {odd:\xa0[1]}": (0, "2 marts, tests warned."),
    "run --target in_memory": (0, "2 marts, tests not run."),
}
SILENT = {
    "build --empty": (0, f"a run with --empty does not publish; {WHOLE}"),
    "run --sample 1\xa0day": (0, f"a run with --sample does not publish; {WHOLE}"),
    "run --target selecting": (
        0,
        "the run left out days, months, versions; a whole `dbt run` or `dbt build` publishes.",
    ),
    "build -s weeks": (0, f"a run with --select does not publish; {WHOLE}"),
    "build --select *": (0, f"a run with --select does not publish; {WHOLE}"),
    "run --exclude weeks": (0, f"a run with --exclude does not publish; {WHOLE}"),
    "build --resource-type model": (0, f"a run with --resource-type does not publish; {WHOLE}"),
    "test": (0, f"`dbt test` does not publish; {WHOLE}"),
    "compile": (0, f"`dbt compile` does not publish; {WHOLE}"),
    "docs generate": (0, f"`dbt docs generate` does not publish; {WHOLE}"),
    "build --vars {few:\xa0[1]}": (1, "1 of 8 nodes did not succeed: test few_leads (fail)."),
    # dbt skips what a failed unit test is about, and its tests.
    "build --vars {leads:\xa02*leads}": (
        1,
        "4 of 8 nodes did not succeed: unit_test months_are_summed (fail), 3 skipped.",
    ),
    "retry": (1, f"`dbt retry` does not publish; {WHOLE}"),
    "run --vars {leads:\xa0other}": (
        1,
        "2 of 4 nodes did not succeed: model months (error), model weeks (error).",
    ),
    "retry --vars {leads:\xa0leads}": (0, f"`dbt retry` does not publish; {WHOLE}"),
    "build --vars {grain:\xa0[]}": (
        1,
        'Mart "months" does not name its grain; add config.meta.grain to its YAML.',
    ),
    "run --vars {grain:\xa0[mois]}": (1, 'The grain of mart "months" names "mois", which'),
    "run --vars {grain:\xa0mois}": (
        1,
        "is not a list of its columns, such as [week_start]; mend config.meta.grain in its YAML.",
    ),
    "run --vars {grain:\xa0null}": (1, 'The grain of mart "months" is not a list of its columns'),
    "run --vars {about:\xa0scopes}": (1, 'Mart "months" has config.meta.scopes and no config'),
    "run --vars {beside:\xa0scope}": (1, 'Mart "months" has config.scope and no config.meta.scope'),
    "run --vars {people:\xa0true}": (
        1,
        (
            'Column "lead_id" of mart "people" is named like what leads to a person, which is '
            "personal data; leave it out, or say why everyone who may read the mart may see it as "
            "config.meta.personal_data_allowed of the column in its YAML."
        ),
    ),
    "run --vars {people:\xa0true,reason:\xa0reviewed}": (
        1,
        (
            'Column "note" of mart "people" holds what looks like e-mail addresses, which are '
            "personal data; leave it out, or say why"
        ),
    ),
    "run --vars {people:\xa0true,reason:\xa0true}": (
        1,
        'Column "lead_id" of mart "people" has a config.meta.personal_data_allowed that is no text',
    ),
    "run --vars {amounts:\xa0true}": (
        1,
        (
            'model amounts (error). In the YAML of amounts, the key "2)" of column "amount" has no '
            "value: inline YAML ends a text at its comma; put quotes around the text, such as "
            'data_type: "decimal(5,2)".'
        ),
    ),
    "run --target wrong": (2, 'LEADMARTS_KEEP_PUBLICATIONS (or keep) is "many"'),
}


def dbt(project, *words):
    return subprocess.run(
        [Path(sys.executable).with_name("dbt"), "--no-use-colors", *words],
        cwd=project,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_folder_that_cannot_even_be_looked_for_stops_no_other_command(tmp_path):
    """Here its name is too long; it may as well be in a folder of somebody else's."""
    plugin = Plugin("publication", {"folder": str(tmp_path / ("x" * 300))})
    warehouse = DuckDBCredentials(database="w", schema="main", path=str(tmp_path / "w.duckdb"))
    plugin.update_connection_config(warehouse, {})


@pytest.fixture(scope="module")
def built(made_once):
    """The project after a first build, and what that said."""

    def make(folder):
        shutil.copytree(HERE / "project", folder / "project")
        build = dbt(folder / "project", "build")
        assert build.returncode == 0, build.stdout
        (folder / "output").write_text(build.stdout)

    folder = made_once("publication-dbt", make)
    return folder / "project", (folder / "output").read_text()


@pytest.fixture
def project(built, tmp_path):
    """A built project of the test's own."""
    shutil.copytree(built[0], tmp_path / "project", symlinks=True)
    return tmp_path / "project"


def run_all(project, commands):
    """Run commands in order; yield each with its exit code, its output and both pointers."""
    before = (project / "data/publications/current.json").read_text()
    answer = subprocess.run(
        [sys.executable, HERE / "run_dbt_commands.py"],
        cwd=project,
        env=ENVIRONMENT,
        input=json.dumps([[w.replace("\xa0", " ") for w in c.split(" ")] for c in commands]),
        capture_output=True,
        text=True,
        check=True,
    )
    for command, (code, output, after) in zip(commands, json.loads(answer.stdout), strict=True):
        yield command, code, output, before, after
        before = after


def test_what_publishes_nothing_says_why(project):
    left = project / "data/publications/000002-00000000.duckdb"
    left.write_text("half")
    outputs = []
    for command, code, output, before, after in run_all(project, SILENT):
        outputs.append(output)
        expected, sentence = SILENT[command]
        assert code == expected, (command, output)
        assert after == before, (command, output)
        assert sentence in output, (command, output)
        assert not PUBLISHED.search(output), (command, output)
        if expected < 2:
            assert output.count("Published nothing: ") == 1, (command, output)
    # Whatever a run comes to, it puts right what a killed one has left.
    assert "".join(outputs).count(f"has left: {left.name}.") == 1
    assert not left.exists()


def test_what_publishes_says_what(project):
    head = commit(project)
    stuck = project / "data/publications/000000-00000000.json"
    stuck.mkdir()  # looks like a sixth publication, and cannot be removed as one
    os.utime(stuck, (0, 0))
    warnings = []
    for command, code, output, before, after in run_all(project, PUBLISHING):
        expected, sentence = PUBLISHING[command]
        assert code == expected, (command, output)
        number, stem, what = PUBLISHED.search(output).groups()
        pointer = json.loads(after)
        assert what == sentence, (command, output)
        assert (pointer["number"], pointer["file"]) == (int(number), f"{stem}.duckdb")
        assert pointer["number"] == json.loads(before)["number"] + 1
        assert pointer["digest"] == json.loads(before)["digest"]
        assert "Published nothing" not in output
        warnings += re.findall(r"Published (\d+), but not all that follows .*000000", output)
    assert warnings == ["5"]
    manifests = Store(project / "data" / "publications").manifests()
    assert [manifest.build.git_commit for manifest in manifests] == [*[head] * 4, None]


def commit(project):
    """Put a project under git, and return the commit that is checked out."""
    (project / ".gitignore").write_text("*\n")
    git = ["git", "-C", project, "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    return subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_manifest_of_a_build(built):
    project, output = built
    manifest = Store(project / "data" / "publications").current()
    assert PUBLISHED.search(output).groups() == (
        "1", manifest.file.removesuffix(".duckdb"), "2 marts, tests passed."
    )  # fmt: skip
    assert manifest.build.command == "dbt build"
    assert manifest.build.project_version == "1.2.3"
    assert manifest.build.git_commit is None
    assert manifest.build.invocation_id in (project / "logs" / "dbt.log").read_text()
    (source,) = manifest.sources
    assert (source.name, source.uri, source.table_id, source.version) == (
        "leads", "data/lake/leads", "4f2a", 7
    )  # fmt: skip
    assert source.committed_at.isoformat() == "2025-12-31T23:30:00+00:00"
    months, weeks = manifest.marts
    assert (weeks.name, weeks.grain, weeks.scope, weeks.rows) == (
        "weeks", ("week_start",), "open", 3
    )  # fmt: skip
    assert weeks.description == 'It\'s the "weeks": one row per ISO week.'
    assert [(c.name, c.type, c.nullable, c.description) for c in weeks.columns] == [
        ("week_start", "DATE", False, "L'ISO week's Monday; {{ no template."),
        ("leads", "BIGINT", True, "How many."),
    ]
    assert [(test.name, test.status) for test in weeks.tests] == [
        ("unique_weeks_week_start", "passed")
    ]
    assert months.scope is None
    assert [(test.name, test.status) for test in months.tests] == [
        ("few_leads", "passed"), ("months_are_summed", "passed"), ("odd_leads", "passed")
    ]  # fmt: skip


def test_the_file_of_a_build(built):
    project, _ = built
    with connect(project / "data" / "marts.duckdb") as connection:
        assert connection.execute("select week_start::varchar, leads from weeks").fetchall() == [
            ("2024-12-30", 21), ("2025-01-06", 70), ("2025-01-13", 99)
        ]  # fmt: skip
        assert connection.execute(
            "select comment from duckdb_columns() where table_name = 'weeks'"
        ).fetchall() == [("L'ISO week's Monday; {{ no template.",), ("How many.",)]
    Store(project / "data" / "publications").verify(1)
    assert list((project / "data" / "publications" / ".staging").iterdir()) == []


def test_two_builds_at_once_take_turns(project):
    runs = [
        subprocess.Popen(
            [Path(sys.executable).with_name("dbt"), "run", "--target-path", f"target{number}"],
            cwd=project,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for run in runs:
        output, _ = run.communicate()
        assert run.returncode == 0, output
    store = Store(project / "data" / "publications")
    assert [manifest.number for manifest in store.manifests()] == [3, 2, 1]


def test_a_warehouse_that_is_not_let_go_is_a_sentence(project):
    holder = subprocess.Popen(
        [sys.executable, HERE / "hold_the_warehouse.py", "data/warehouse.duckdb", "politely"],
        cwd=project,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        run = dbt(project, "run", "--target", "impatient")
    finally:
        holder.communicate("")
    assert run.returncode != 0
    assert (
        "data/warehouse.duckdb is being built in by another dbt command "
        f"(process {holder.pid}); run this one again when that one has ended.\n"
    ) in run.stdout
    assert "Traceback" not in run.stdout + run.stderr

"""The command line as people and scripts run it: in a process of its own."""

from __future__ import annotations

import re
import shlex
import shutil
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner
from deltalake import write_deltalake

from lake.__main__ import main
from lake.contracts import MARKETING_CONVERSIONS
from lake.errors import TableMissing
from lake.load import load, rejects
from lake.pinned import pin
from tests.lake.conftest import CONTRACTS


def test_help_reads_well(lake):
    for command in ([], ["demo"], ["load"], ["rejects"]):
        shown = lake.run(*command, "--help")
        assert shown.returncode == 0
        assert "Usage: python -m lake" in shown.stdout


def test_a_demo_of_the_asked_size_and_only_once(lake):
    made = lake.run("demo", "--leads", "300", "--days", "40", "--end", "2024-03-01")
    assert made.returncode == 0, made.stderr
    assert "leads: 300 rows up to 2024-03-01 in" in made.stdout
    assert made.stderr == ""
    rows = lake.rows()
    assert len(rows) == 300

    again = lake.run("demo")
    assert again.returncode == 1
    assert again.stdout == ""
    assert again.stderr.startswith("Error: There is a Delta table in ")
    assert again.stderr.count("\n") == 1
    assert lake.versions() == {"leads": 0, "marketing_conversions": 0}

    forced = lake.run("demo", "--force", "--leads", "300", "--days", "40", "--end", "2024-03-01")
    assert forced.returncode == 0, forced.stderr
    assert lake.versions() == {"leads": 1, "marketing_conversions": 1}
    assert lake.rows() == rows


def test_loading_says_what_it_did(lake):
    good = "".join(f"{n},2024-01-01\n" for n in range(9))
    file = lake.file("leads.csv", f"id,date_relance\n{good}b,no\n")
    loaded = lake.run("load", "leads", file)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout == (
        "leads: 9 inserted, 0 updated, 0 unchanged, 1 rejected; "
        f"see {lake.folder('leads_rejects')}\n"
    )
    assert lake.run("load", "leads", file).stdout.startswith(
        "leads: 0 inserted, 0 updated, 9 unchanged, 1 rejected"
    )
    file = lake.file(
        "m.csv",
        "product,campaign_type,campaign,channel,date,conversions\n"
        "p,t,c,tv,2024-01-01,1.5\np,t,c,tv,2024-01-01,2\n",
    )
    assert lake.run("load", "marketing", file).stdout == (
        "marketing: 1 inserted, 0 updated, 0 unchanged, 0 rejected; "
        "1 added to others with the same key\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["load", "leads", "nowhere.csv"], 2, "'nowhere.csv' does not exist"),
        (["load", "sales", "README.md"], 2, "'sales' is not one of"),
        (["load", "leads", "README.md"], 1, "README.md is of no kind that can be loaded"),
        (["demo", "--end", "yesterday"], 2, "'yesterday' does not match"),
        (["demo", "--leads", "-1"], 2, "-1 is not in the range"),
        (["polish"], 2, "No such command"),
    ],
)
def test_a_mistake_is_a_sentence(lake, arguments, code, sentence):
    ended = lake.run(*arguments)
    assert ended.returncode == code
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_that_cannot_be_made_is_a_sentence(lake):
    lake.file("occupied", "a file")
    ended = lake.run("demo", LEADMARTS_DATA=str(lake.data / "occupied"))
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "occupied" in ended.stderr


@pytest.mark.parametrize("command", [["load", "leads", "1.csv"], ["demo"]])
@pytest.mark.parametrize("own", [False, True])
def test_a_file_where_a_table_should_be_is_a_sentence(lake, command, own):
    command = [
        str(lake.file("1.csv", "id,date_relance\na,\n")) if part == "1.csv" else part
        for part in command
    ]
    lake.folder("leads").parent.mkdir()
    place = lake.file("lake/leads", "a file")
    moved = {"LEADMARTS_LEADS_URI": str(place), "LEADMARTS_DATA": str(lake.data / "other")}
    ended = lake.run(*command, **(moved if own else {}))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Error: {place} is a file, and a Delta table is a folder")
    assert ended.stderr.count("\n") == 1
    assert not list(lake.data.rglob("_delta_log"))


def test_progress_is_plain_lines_when_nobody_watches(lake):
    made = lake.run("demo", "--leads", "3000000", "--days", "40", "--end", "2024-03-01")
    assert made.returncode == 0, made.stderr
    assert "\x1b" not in made.stderr
    assert made.stderr.startswith("leads: writing, ")


def test_a_load_names_the_columns_it_adds(lake):
    file = lake.file("typo.csv", "id,date_prise_contct,date_relance\na,2025-01-01,\n")
    first, again = (lake.run("load", "leads", file).stdout for _ in range(2))
    assert first.rstrip().endswith(
        "0 rejected; new columns: date_prise_contct; did you mean date_prise_contact?"
    )
    assert "new columns" not in again
    assert "did you mean" not in again


@pytest.mark.parametrize(
    ("columns", "meant"),
    [
        ("date_realnce", "; did you mean date_relance?"),
        ("Date Relance", "; did you mean date_relance?"),
        ("delted,score,date_appel_boké", "; did you mean date_appel_booke and deleted?"),
        ("date_naissance,date_appel,created,date_appel_prevu", ""),
    ],
)
def test_a_new_column_that_may_be_misspelt_is_asked_about(lake, columns, meant):
    cells = columns.count(",") * ",x" + ",x"
    file = lake.file("typo.csv", f"id,{columns}\na{cells}\n")
    said = lake.run("load", "leads", file, "--no-events").stdout
    assert said.endswith(f"0 rejected; new columns: {columns.replace(',', ', ')}{meant}\n")


def test_a_file_of_which_no_row_can_be_taken_is_not_loaded(lake):
    known = lake.file("known.csv", "id,date_relance\na,2024-01-01\n")
    assert lake.run("load", "leads", known).returncode == 0
    bad = lake.file("bad.csv", "id,date_relance\na,no\nb,never\n")
    for _ in range(2):
        loaded = lake.run("load", "leads", bad)
        assert loaded.returncode == 1
        assert loaded.stdout == ""
        assert loaded.stderr == (
            f"Error: Nothing was loaded from {bad}, since not one of its rows could be taken "
            "(2 rejected): see why with `python -m lake rejects leads`, put them right and load "
            "the file again.\n"
        )
    assert lake.versions() == {"leads": 0, "leads_rejects": 0}
    assert lake.run("load", "leads", known).returncode == 0  # none is new, but all are taken
    empty = lake.file("empty.csv", "id,date_relance\n")
    assert lake.run("load", "leads", empty).returncode == 0


def test_a_load_of_which_more_than_a_tenth_is_rejected_has_failed(lake):
    """The other rows are loaded; rows that a later one with their id replaces do not count."""
    good = "".join(f"{n},2024-01-01\n" for n in range(9))
    for bad, code in (("x,no\n", 0), ("x,no\ny,no\n", 1), (good * 3 + "x,no\n", 0)):
        file = lake.file("leads.csv", f"id,date_relance\n{bad}{good}")
        loaded = lake.run("load", "leads", file)
        assert loaded.returncode == code, loaded.stderr
        assert loaded.stdout.startswith("leads: ")
        said = (
            f"Error: More than a tenth of the rows of {file} could not be taken (2), and the "
            "others are loaded: see why with `python -m lake rejects leads`, put them right and "
            "load the file again.\n"
        )
        assert loaded.stderr == said * code
    assert len(lake.rows()) == 9


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_leads_without_a_column_of_an_event_are_refused_unless_that_is_meant(lake, kind):
    content = "id,owner\na,x\n" if kind == "csv" else '{"id": "a", "owner": "x"}\n'
    file = lake.file(f"leads.{kind}", content)
    refused = lake.run("load", "leads", file)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr == (
        f"Error: Nothing was loaded from {file}, since it has no column of an event date: call one "
        "date_prise_contact, date_reponse_prospect, date_appel_propose, date_appel_booke or "
        "date_relance (its columns are id, owner), or load it without with --no-events.\n"
    )
    assert not lake.folder("leads").exists()
    meant = lake.run("load", "leads", file, "--no-events")
    assert meant.returncode == 0, meant.stderr
    assert lake.by_id() == {"a": {"owner": "x"}}


def test_rejects_are_shown_by_reason(lake):
    assert lake.run("rejects").stdout == (
        "leads: no row was rejected\nmarketing: no row was rejected\n"
    )
    lake.load("1.csv", "id,date_relance\na,no\nb,2024\nc,\nc,2024-01-02\nd,\x1b[2J\n")
    lake.load("2.csv", "id,date_relance\n,\n")
    reason = "is no date (YYYY-MM-DD, or with a time after T or a space)"
    shown = lake.run("rejects", "leads", "--limit", "2")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == (
        f"leads: 5 rejected, kept in {lake.folder('leads_rejects')}\n\n"
        f"3 rows: date_relance: … {reason}\n"
        f"""  1.csv, line 2: date_relance: 'no' {reason}: {{"id":"a","date_relance":"no"}}\n"""
        f"""  1.csv, line 3: date_relance: '2024' {reason}: {{"id":"b","date_relance":"2024"}}\n"""
        "  … and 1 more (--limit)\n\n"
        "1 row: id: empty, but every row needs one\n"
        """  2.csv, line 2: {"id":null,"date_relance":null}\n\n"""
        "1 row: line … has the same id and wins\n"
        """  1.csv, line 4: line 5 has the same id and wins: {"id":"c","date_relance":null}\n"""
    )
    assert "\x1b" not in lake.run("rejects").stdout
    lake.load(
        "3.csv",
        "product,campaign_type,campaign,channel,date,conversions\n,,,,,\n",
        "marketing_conversions",
    )
    assert "\nmarketing: 1 rejected" in lake.run("rejects").stdout


def test_rejects_of_one_kind_are_one_group(lake, monkeypatch):
    """Where in a line the JSON breaks off, and what of a value does not fit, is no other reason."""
    monkeypatch.setattr(rejects, "GROUPS_SHOWN", 5)
    write_deltalake(
        lake.folder("leads"), pa.table({"id": ["z"], "budget": [Decimal("1.50")], "tags": [["x"]]})
    )
    lines = [
        *('{"id": "' + "x" * number for number in range(7)),
        *('{"id": ' + "1" * number + "x" for number in range(1, 7)),
        *(f'{{"id": "b", "budget": "{number}e9"}}' for number in range(1, 6)),
        *(f'{{"id": "b", "tags": "{"1" * number}", "budget": 1e9}}' for number in range(1, 5)),
        *["[]"] * 3,
        *["{}"] * 2,
        '{"id": "' + "[" * 101,
        '{"id": true}',
    ]
    lake.load("l.ndjson", "\n".join(lines))
    shown = CliRunner().invoke(main, ["rejects", "leads", "--limit", "0"])
    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines()[1:] == [
        "",
        "8 rows: no JSON: Input data was truncated",
        "",
        "6 rows: no JSON: JSON is malformed: expected ',' or '}'",
        "",
        "5 rows: budget: … does not fit",
        "",
        "4 rows: budget: … does not fit; tags: … does not fit",
        "",
        "3 rows: no JSON object",
        "",
        "3 rows with 2 less frequent reasons are not shown",
    ]


def test_rejects_that_memory_is_too_small_for_are_a_sentence(lake, monkeypatch):
    made = duckdb.connect().sql(
        """
        select i::varchar as digest, 'l.csv' as file, i as line, 'no text' as reason,
            repeat(i::varchar, 100) as row, now() as loaded_at from range(60000) as numbers (i)
        """
    )
    write_deltalake(lake.folder("leads_rejects"), made.to_arrow_table())
    monkeypatch.setenv("LEADMARTS_MEMORY", "20MB")
    shown = CliRunner().invoke(main, ["rejects", "leads", "--limit", "50000"])
    assert isinstance(shown.exception, SystemExit)
    assert shown.exit_code == 1
    assert "cannot be sorted out in 20MB of memory" in shown.output
    assert shown.output.count("\n") == 1


@pytest.mark.parametrize(
    ("missing", "elsewhere", "there"),
    [
        ("leads", False, []),
        ("leads", False, ["marketing_conversions"]),
        ("leads", True, []),
        ("leads", True, ["leads", "marketing_conversions"]),
        ("marketing_conversions", False, ["leads"]),
    ],
)
def test_what_to_do_about_a_missing_table_can_be_done(lake, missing, elsewhere, there):
    files = {
        "leads": lake.file("leads.csv", "id,date_relance\na,\n"),
        "marketing_conversions": lake.file(
            "m.csv", f"{','.join(MARKETING_CONVERSIONS.schema.names)}\np,t,c,tv,2024-01-01,1\n"
        ),
    }
    for name in there:
        load(CONTRACTS[name], files[name])
    uri = str(lake.data / "a b's" / missing) if elsewhere else str(lake.folder(missing))
    with pytest.raises(TableMissing, match=f"no Delta table {missing} at {uri}") as refused:
        pin(missing, uri)
    commands = re.findall("`(.*?)`", str(refused.value))
    assert len(commands) == (1 if elsewhere or there else 2)
    before = {name: lake.rows(name) for name in there}
    for command in commands:
        words = shlex.split(command.replace("FILE", str(files[missing])))
        variables = dict(word.split("=", 1) for word in words if "=" in word)
        arguments = words[words.index("lake") + 1 :]
        shutil.rmtree(uri, ignore_errors=True)
        done = lake.run(*arguments, **variables)
        assert done.returncode == 0, (command, done.stderr)
        assert pin(missing, uri).version == 0
    assert {name: lake.rows(name) for name in there} == before


def test_a_missing_table_that_the_lake_does_not_write_is_its_writer_s(lake):
    with pytest.raises(TableMissing, match="have its writer make it there"):
        pin("visits", str(lake.folder("visits")))

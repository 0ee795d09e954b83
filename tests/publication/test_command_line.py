"""``python -m publication``: what people see, what machines see, and the exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from publication.__main__ import main


def builtins(value):
    return json.loads(msgspec.json.encode(value))


@pytest.fixture
def run(tmp_path):
    """Run a command; return its exit code, standard output and standard error."""

    def run(*words):
        environment = {"LEADMARTS_DATA": str(tmp_path / "data"), "LEADMARTS_PUBLICATIONS": ""}
        result = CliRunner(env=environment).invoke(main, words, prog_name="publication")
        return result.exit_code, result.stdout, result.stderr

    return run


def test_with_nothing_published(run):
    sentence = "Nothing was published yet: run `dbt build` or `make run`.\n"
    assert run("list") == (0, sentence, "")
    assert run("list", "--json") == (0, "[]\n", "")
    assert run("show") == run("verify") == (1, "", f"Error: {sentence}")
    code, _, error = run("rollback", "1")
    assert code == 1
    assert "nothing was published yet; run `dbt build` or `make run`." in error


def test_list_show_verify_rollback(run, store, publish):
    publish(leads=1)
    publish(leads=2)
    assert run("rollback", "1") == (0, "Published 3, which holds what 1 held.\n", "")
    code, text, _ = run("list")
    lines = text.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines] == ["number", "3", "2", "1"]
    assert lines[1].split()[-3:] == ["leads", "7", "1"]
    code, text, _ = run("show")
    assert code == 0
    assert text.startswith("Publication 3, the content of 1 again\n")
    assert "source   leads version 7 of data/lake/leads\n" in text
    assert ["weekly", "10", "week_start", "open", "1", "passed"] in [
        line.split() for line in text.splitlines()
    ]
    assert "Publication 2\n" in run("show", "2")[1]
    path = store.path(store.manifest(2))
    assert run("verify", "2") == (0, f"Publication 2 is whole: {path}\n", "")
    path.chmod(0o600)
    code, text, error = run("verify", "2")
    assert (code, text) == (1, "")
    assert error == (
        f"Error: Publication 2 is broken: {path} has mode 0600 and should be read-only (0444).\n"
    )


def test_a_lost_pointer_is_said(run, store, publish):
    publish()
    publish(leads=1)
    (store.folder / "current.json").unlink()
    sentence = "current.json is lost; `rollback N` or `dbt build` makes it anew.\n"
    code, text, error = run("list")
    assert (code, error) == (0, sentence)
    assert [line.split()[0] for line in text.splitlines()] == ["number", "2", "1"]
    assert run("show") == run("verify") == (1, "", f"Error: {sentence}")
    assert run("verify", "2")[0] == 0
    assert run("rollback", "1") == (0, "Published 3, which holds what 1 held.\n", "")
    assert run("list")[2] == ""


def test_a_damaged_manifest_is_said(run, store, publish):
    path = store.path(publish()).with_suffix(".json")
    publish(leads=1)
    path.chmod(0o644)
    path.write_text("{")
    code, text, error = run("list", "--json")
    assert (code, [each["number"] for each in json.loads(text)]) == (0, [2])
    assert error.startswith(f"The manifest {path} cannot be read: ")
    assert error.count("\n") == 1


def test_what_follows_a_publication_is_no_more_than_a_warning(run, monkeypatch, store, publish):
    path = store.path(publish()).with_suffix(".json")
    publish(leads=1)
    publish(leads=2)
    path.unlink()
    path.mkdir()  # cannot be removed as a manifest is
    monkeypatch.setenv("LEADMARTS_KEEP_PUBLICATIONS", "1")
    monkeypatch.setenv("LEADMARTS_KEEP_HOURS", "0")
    code, text, error = run("rollback", "2")
    assert (code, text) == (0, "Published 4, which holds what 2 held.\n")
    assert error.startswith("Published 4, but not all that follows could be done: [Errno ")
    assert error.endswith(f"'{path}'. The next publication tries again.\n")
    assert [manifest.number for manifest in store.manifests()] == [4]


def test_repair(run, store, publish):
    publish()
    assert run("repair") == (0, "There is nothing to repair.\n", "")
    (store.folder / "000002-00000000.duckdb").write_text("half")
    sentence = "Removed what a run that did not end has left: 000002-00000000.duckdb.\n"
    assert run("repair") == (0, sentence, "")


def test_json_for_machines(run, store, publish):
    publish()
    publish(leads=1)
    shown = json.loads(run("show", "1", "--json")[1])
    assert shown == builtins(store.manifest(1))
    assert json.loads(run("list", "--json")[1]) == builtins(store.manifests())
    assert json.loads(run("verify", "--json")[1]) == {
        "number": 2,
        "digest": store.current().digest,
        "whole": True,
    }
    assert json.loads(run("rollback", "1", "--json")[1])["rolled_back_to"] == 1


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("show", "9"), 1, "Error: There is no publication 9: they go from 1 to 1.\n"),
        (("rollback", "1"), 1, "Error: Publication 1 is current already.\n"),
        (("rollback",), 2, "Missing argument 'NUMBER'"),
        (("show", "x"), 2, "'x' is not a valid integer"),
    ],
)
def test_mistakes(run, publish, words, code, sentence):
    publish()
    result = run(*words)
    assert result[:2] == (code, "")
    assert sentence in result[2]


def test_a_bad_setting(monkeypatch, run):
    monkeypatch.setenv("LEADMARTS_KEEP_PUBLICATIONS", "none")
    code, _, error = run("list")
    assert code == 1
    assert error.startswith("Error: LEADMARTS_KEEP_PUBLICATIONS")


def test_as_a_module(tmp_path):
    answer = subprocess.run(
        [sys.executable, "-m", "publication", "list"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={"LEADMARTS_DATA": str(tmp_path)},
    )
    assert answer.stdout == "Nothing was published yet: run `dbt build` or `make run`.\n"

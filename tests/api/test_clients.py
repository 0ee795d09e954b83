"""The official clients of PostgREST, unchanged, against the same questions asked in SQL."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest
from postgrest import APIError, SyncPostgrestClient

from tests.api.clients.questions import COUNTED, QUESTIONS, REFUSED

CLIENTS = Path(__file__).with_name("clients")
EVERYTHING = {**QUESTIONS, **COUNTED, **REFUSED}


@pytest.fixture(scope="module")
def in_sql(served):
    """Asks the file that is served; rows as JSON has them."""
    file = (served.log_file.parent / "marts.duckdb").resolve()
    with duckdb.connect(str(file), read_only=True) as connection:

        def ask(sql):
            found = connection.execute(f"select to_json(t) from ({sql}) t").fetchall()
            return [json.loads(row) for (row,) in found]

        yield ask


class Python:
    """PyPI's `postgrest`."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._client = SyncPostgrestClient(url, headers=headers)

    def close(self) -> None:
        self._client.aclose()

    def ask(self, name: str) -> dict[str, Any]:
        mart, calls, _ = EVERYTHING[name]
        query: Any = self._client.from_(mart) if mart else self._client
        for method, *given in calls:
            query = self._call(query, method, given)
        try:
            answer = query.execute()
        except APIError as error:
            return {"data": None, "count": None, "error": error.json()}
        # Nothing found is no answer at all here.
        return {
            "data": answer.data if answer else None,
            "count": answer.count if answer else None,
            "error": None,
        }

    @staticmethod
    def _call(query: Any, method: str, given: list[Any]) -> Any:
        if method == "not":
            column, operator, value = given
            return Python._call(query.not_, operator, [column, value])
        if method == "select":
            options = given.pop() if given and isinstance(given[-1], dict) else {}
            return query.select(*given, **options)
        if method == "order":
            options = given.pop()
            names = {"nulls_first": "nullsfirst", "of": "foreign_table"}
            return query.order(*given, **{names.get(k, k): v for k, v in options.items()})
        if method == "is":
            return query.is_(given[0], "null")
        named = {}
        if given and isinstance(given[-1], dict) and "of" in given[-1]:
            name = "foreign_table" if method == "limit" else "reference_table"
            named = {name: given.pop()["of"]}
        name = {"maybeSingle": "maybe_single", "in": "in_", "or": "or_"}.get(method, method)
        return getattr(query, name)(*given, **named)


class JavaScript:
    """npm's `@supabase/postgrest-js`: all questions in one process."""

    def __init__(self, url: str, token: str, folder: Path) -> None:
        for name in ("package.json", "package-lock.json", "ask.mjs"):
            shutil.copy(CLIENTS / name, folder)
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        self._run(folder, *install)
        asked = [
            {"name": name, "mart": mart, "calls": calls}
            for name, (mart, calls, _) in EVERYTHING.items()
        ]
        (folder / "questions.json").write_text(json.dumps(asked))
        lines = self._run(folder, "node", "ask.mjs", url, token, "questions.json").splitlines()
        self._answers = {answer["name"]: answer for answer in map(json.loads, lines)}

    @staticmethod
    def _run(folder: Path, *command: str) -> str:
        done = subprocess.run(
            command, cwd=folder, check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, name: str) -> dict[str, Any]:
        return self._answers[name]


def why_no_javascript() -> str | None:
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"the JavaScript client was not tested: {program} is not installed"
    version = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True)
    major = int(re.match(r"v(\d+)", version.stdout)[1])
    return f"the JavaScript client was not tested: node {major} is older than 20" * (major < 20)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(Python, id="python"),
        pytest.param(
            JavaScript,
            id="javascript",
            marks=pytest.mark.skipif(bool(why_no_javascript()), reason=str(why_no_javascript())),
        ),
    ],
)
def asking(request, served, users, tmp_path_factory):
    url, token = f"{served.url}/api/v1/marts", served.token(*users["operator"])
    if request.param is JavaScript:
        yield JavaScript(url, token, tmp_path_factory.mktemp("javascript"))
        return
    python = Python(url, token)
    yield python
    python.close()


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_same_as_in_sql(asking, in_sql, name):
    answer = asking.ask(name)
    expected = in_sql(QUESTIONS[name][2])
    if "single" in name:
        assert len(expected) <= 1
        expected = expected[0] if expected else None
    assert answer["error"] is None
    assert answer["data"] == expected


@pytest.mark.parametrize("name", COUNTED)
def test_counts(asking, in_sql, name):
    answer = asking.ask(name)
    assert answer["error"] is None
    assert [{"n": answer["count"]}] == in_sql(COUNTED[name][2])


@pytest.mark.parametrize("name", REFUSED)
def test_errors(asking, name):
    error = asking.ask(name)["error"]
    assert {"message", "code", "details", "hint"} <= error.keys()
    for member, beginning in REFUSED[name][2].items():
        assert error[member].startswith(beginning)


def test_there_are_enough_questions():
    assert len(QUESTIONS) >= 40
    assert all(any(call[0] == "select" for call in calls) for _, calls, _ in QUESTIONS.values())

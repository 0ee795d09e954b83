"""A model with a contract is all it takes: published, served, described, in every format."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from api.described import TYPES
from tests.api.cells import KINDS, assert_equal, types_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pipeline.conftest import Project

ROOT = Path(__file__).parents[2]

SUMS = {"INTEGER": "DECIMAL(38,0)", "BIGINT": "DECIMAL(38,0)", "DOUBLE": "DOUBLE"}
"""The types of sums."""

MODEL = """
select
    'Q' || quarter(month_start) as "quarter",
    sum(date_prise_contact)::bigint as contacts,
    max(month_start) as latest
from {{ ref('lead_event_counts_monthly') }}
group by all
"""

CONTRACT = """
version: 2
models:
  - name: contacts_by_quarter
    description: First contacts by quarter of the year. One row per quarter.
    config:
      meta: {grain: [quarter], scope: open}
    data_tests: [grain]
    columns:
      - name: quarter
        data_type: varchar
        description: The quarter.
        constraints: [{type: not_null}]
      - {name: contacts, data_type: bigint, description: How many leads were contacted.}
      - {name: latest, data_type: date, description: The latest month that counts.}
"""

JSON_TYPES = {
    "DATE": "string",
    "VARCHAR": "string",
    "BIGINT": "integer",
    "INTEGER": "integer",
    "DOUBLE": "number",
}


@pytest.fixture(scope="module")
def built(made_once: Callable[..., Path], project_in: Callable[..., Project]) -> Project:
    """The project with one more model, built."""

    def make(folder: Path) -> None:
        copied = folder / "project"
        copied.mkdir()
        for name in ("models", "macros", "seeds", "lake", "publication"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, copied / name, ignore=ignored)
        shutil.copytree(ROOT / "tests" / "dbt", copied / "tests" / "dbt")
        for name in ("dbt_project.yml", "profiles.yml"):
            shutil.copy(ROOT / name, copied / name)
        marts = copied / "models" / "marts" / "leads"
        (marts / "contacts_by_quarter.sql").write_text(MODEL)
        (marts / "contacts_by_quarter.yml").write_text(CONTRACT)
        project = project_in(folder / "data")
        for command in (["python", "-m", "lake", "demo", "--leads", "500"], ["dbt", "build"]):
            done = project.run(*command, cwd=copied)
            assert done.returncode == 0, done.stdout

    return project_in(made_once("new-mart", make) / "data")


def test_a_model_is_all_it_takes(built: Project) -> None:
    with built.api() as client:
        listed = {mart["name"]: mart for mart in client.get("/api/v1/marts").json()}
        assert listed["contacts_by_quarter"]["scope"] == "open"
        assert listed["contacts_by_quarter"]["tests"]
        path = "/api/v1/marts/contacts_by_quarter"
        rows = client.get(path).json()
        with duckdb.connect(str((built.data / "marts.duckdb").resolve()), read_only=True) as file:
            stored = file.execute("from contacts_by_quarter order by quarter").fetchall()
        assert [(r["quarter"], r["contacts"], r["latest"]) for r in rows] == [
            (quarter, contacts, latest.isoformat()) for quarter, contacts, latest in stored
        ]
        assert client.get(f"{path}?quarter=eq.Q1").json() == [rows[0]]
        assert client.get(f"{path}.csv").text.startswith('"quarter","contacts","latest"\r\n"Q1",')
        assert path in client.get("/openapi.json").json()["paths"]
        assert client.get(f"{path}/changes?since=1").json()["changes"] == []


def test_contract_file_and_openapi_agree_on_every_column(built: Project) -> None:
    manifest = json.loads((built.data / "target" / "manifest.json").read_text())
    contracts: dict[str, list[dict[str, Any]]] = {
        node["name"]: list(node["columns"].values())
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["access"] == "public"
    }
    with built.api() as client:
        document = client.get("/openapi.json").json()
    file = str((built.data / "marts.duckdb").resolve())
    with duckdb.connect(file, read_only=True) as connection:
        stored = connection.execute(
            "select table_name, column_name, data_type, comment, is_nullable from duckdb_columns() "
            "where schema_name = 'main' and not internal order by table_name, column_index"
        ).fetchall()
        spelled = {
            one["data_type"]: str(connection.sqltype(one["data_type"]))
            for columns in contracts.values()
            for one in columns
        }
    assert len(contracts) == 7
    assert {row[0] for row in stored} == contracts.keys()
    for mart, columns in contracts.items():
        described = document["components"]["schemas"][f"mart.{mart}"]
        in_file = [row[1:] for row in stored if row[0] == mart]
        properties = described["properties"]
        assert [row[0] for row in in_file] == list(properties) == described["required"]
        assert [one["name"] for one in columns] == list(properties)
        operation = document["paths"][f"/api/v1/marts/{mart}"]["get"]
        filters = {one["name"]: one["description"] for one in operation["parameters"]}
        for contracted, (name, kind, comment, nullable) in zip(columns, in_file, strict=True):
            shown = properties[name]
            assert spelled[contracted["data_type"]] == kind == shown["x-duckdb-type"]
            assert contracted["description"] == comment == shown["description"]
            assert filters[name].startswith(comment)
            assert nullable == ("null" in json.dumps(shown.get("type", shown.get("anyOf"))))
            assert JSON_TYPES[kind] in json.dumps(shown)
            assert TYPES.get(kind, {"type": "string"}).items() <= shown.items() or nullable


def questions(mart: dict[str, Any], middle: int) -> list[tuple[str, dict[str, str], str]]:
    """Queries of a mart, each with the types of its answer, and in SQL."""
    columns = {one["name"]: one["type"] for one in mart["columns"]}
    number = next(name for name, kind in columns.items() if kind in SUMS)
    sums = {name: SUMS[kind] for name, kind in columns.items() if kind in SUMS}
    texts = ",".join(f"{name}::text" for name in columns)
    asked = ",".join(f"{name}:{name}.sum()" for name in sums)
    summed = ", ".join(f"sum({name}::decimal(38, 18))::{kind}" for name, kind in sums.items())
    source = f"from {mart['name']} as mart"
    order = "order by " + ", ".join(f"mart.{column}" for column in mart["grain"])
    many = f"where {number} > {middle}"
    return [
        ("", columns, f"select * {source} {order}"),
        ("offset=3", columns, f"select * from (select * {source} {order} offset 3)"),
        (f"{number}=lt.-1", columns, f"select * {source} where {number} < -1"),
        (
            f"{number}=gt.{middle}&order={number}.desc",
            columns,
            f"select * {source} {many} {order.replace('by', f'by {number} desc,')}",
        ),
        (
            f"select={texts}",
            dict.fromkeys(columns, "VARCHAR"),
            f"select columns(*)::varchar {source} {order}",
        ),
        (
            f"select=rows:count(),{asked}&{number}=gt.{middle}",
            {"rows": "BIGINT"} | sums,
            f"select count(*), {summed} {source} {many}",
        ),
    ]


def test_every_mart_is_equal_in_four_formats(built: Project) -> None:
    file = duckdb.connect(str((built.data / "marts.duckdb").resolve()), read_only=True)
    names = set()
    with file, built.api() as client:
        demo_user = ("marketing_op", "marketing_op_supersecret")
        token = client.get("/api/auth/token/", auth=demo_user).json()["data"]["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        for mart in client.get("/api/v1/marts").json():
            names.add(mart["name"])
            for query, types, sql in questions(mart, middle=1):
                path = f"/api/v1/marts/{mart['name']}"
                answers = {
                    suffix: client.get(f"{path}.{suffix}?limit=999&{query}".rstrip("&"))
                    for suffix in KINDS
                }
                assert {one.status_code for one in answers.values()} == {200}, query
                rows = file.sql(f"{sql} limit 999").fetchall()
                expected = [dict(zip(types, row, strict=True)) for row in rows]
                contents = {suffix: one.content for suffix, one in answers.items()}
                assert_equal(contents, types_of(types), expected)
    assert {"channel_sales_weekly", "lead_event_counts_daily"} < names
    assert len(names) == 7

"""The links of the OpenAPI document, each of them followed."""

from __future__ import annotations

from typing import Any

import pytest

ARGUMENTS = {"mart": "lead_event_counts_weekly", "number": 2, "since": 1}
"""What an operation needs that has a link, where it needs something."""

ENDS = {
    "again": 304,
    "changes": 200,
    "publication": 200,
    "refresh": 200,
    "rows": 200,
}


@pytest.fixture(scope="module")
def operations(client) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each operation, by its name."""
    paths = client.get("/openapi.json").json()["paths"]
    return {
        operation["operationId"]: (method, path, operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def evaluated(expression, arguments, answer):
    """A value, or what a runtime expression says (OpenAPI 3.1 §4.8.20.4)."""
    if isinstance(expression, dict):
        return {name: evaluated(one, arguments, answer) for name, one in expression.items()}
    place, _, pointer = expression.partition("#")
    match place.split("."):
        case ["$request", "path", name]:
            return arguments[name]
        case ["$response", "header", name]:
            return answer.headers[name]
        case ["$response", "body"]:
            found = answer.json()
            for step in pointer.split("/")[1:]:
                found = found[int(step) if isinstance(found, list) else step]
            return found
    return expression


def ask(client, operation, arguments, form, user):
    """Ask an operation, with each argument where it takes it."""
    method, path, described = operation
    places = {parameter["name"]: parameter["in"] for parameter in described["parameters"]}
    assert arguments.keys() <= places.keys()
    query = {name: value for name, value in arguments.items() if places[name] == "query"}
    headers = {name: value for name, value in arguments.items() if places[name] == "header"}
    if form is not None:
        headers["Authorization"] = ""
    basic = user if method == "get" and "token" in path else None
    given = {name: value for name, value in arguments.items() if places[name] == "path"}
    return client.request(
        method, path.format(**given), params=query, headers=headers, data=form, auth=basic
    )


def test_every_link_leads_where_it_says(operator, operations, users):
    followed = set()
    name, password = users["operator"]
    sign_in = {"grant_type": "password", "username": name, "password": password}
    for operation in operations.values():
        method, path, described = operation
        links = described["responses"]["200"].get("links", {})
        if not links:
            continue
        needed = {one["name"] for one in described["parameters"] if one.get("required")}
        arguments = {name: ARGUMENTS[name] for name in needed}
        form = sign_in if method == "post" else None
        answer = ask(operator, operation, arguments, form, (name, password))
        assert answer.status_code == 200, path
        for kind, link in links.items():
            assert link["description"]
            end = ask(
                operator,
                operations[link["operationId"]],
                evaluated(link.get("parameters", {}), arguments, answer),
                evaluated(link["requestBody"], arguments, answer) if kind == "refresh" else None,
                (name, password),
            )
            assert end.status_code == ENDS[kind], (path, kind, end.text)
            if kind == "publication":
                assert end.json()["number"] == int(answer.headers.get("publication", "2"))
            if kind == "refresh":
                assert end.json()["access_token"]
            if kind == "changes":
                assert end.json()["since"] <= 2
            followed.add((described["operationId"], kind))
    assert {kind for _, kind in followed} == ENDS.keys()
    assert ("read_marketing_conversions", "changes") in followed
    assert len(followed) > 30


def test_parts_of_rows_have_the_same_links(operations):
    for _, path, described in operations.values():
        responses = described["responses"]
        if "206" in responses:
            assert responses["206"]["links"] == responses["200"]["links"], path

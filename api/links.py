"""Links of the OpenAPI document: which answer has what another question needs."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]

OF_PATH = "$request.path.mart"
"""The mart that was asked for, where it is in the path."""

SERVED = "$response.header.Publication"
"""The publication that an answer comes from."""


def _to(operation: str, description: str, **parameters: str) -> Document:
    return {"operationId": operation, "parameters": parameters, "description": description}


def _publication(number: str) -> Document:
    return _to("getPublication", "The publication that this comes from.", number=number)


def _marts_of(publication: str) -> Document:
    """Link from a publication, at this place of an answer, to the first of its marts."""
    mart, number = f"{publication}/marts/0/name", f"{publication}/number"
    return {
        "rows": _to(
            "readMart", "The rows that a mart of it has, such as the first.", mart=mart,
            publication=number,
        ),
        "changes": _to(
            "listChanges", "What changed since in a mart of it, such as the first.", mart=mart,
            since=number,
        ),
    }  # fmt: skip


def _refresh(operation: str, token: str) -> Document:
    return {
        "refresh": {
            "operationId": operation,
            "requestBody": {"grant_type": "refresh_token", "refresh_token": token},
            "description": "The next access token, without the password.",
        }
    }


FIRST = "$response.body#/0/name"

LINKS: Document = {
    "getReadiness": {"publication": _publication("$response.body#/publication")},
    "listPublications": {"publication": _publication("$response.body#/0/number")},
    "getCurrentPublication": _marts_of("$response.body#"),
    "getPublication": _marts_of("$response.body#"),
    "listMarts": {
        "rows": _to("readMart", "The rows of a mart, such as the first.", mart=FIRST),
        "changes": _to(
            "listChanges", "What changes in a mart from now on.", mart=FIRST, since=SERVED
        ),
    },
    "readMart": {
        "changes": _to(
            "listChanges", "What changed in the mart since these rows.", mart=OF_PATH, since=SERVED
        )
    },
    "listChanges": {
        "rows": _to(
            "readMart", "The rows with these changes.", mart=OF_PATH, publication=SERVED
        )
    },
    "getToken": _refresh("postToken", "$response.body#/data/refresh_token"),
    "getTokenAlias": _refresh("postTokenAlias", "$response.body#/data/refresh_token"),
    "postToken": _refresh("postToken", "$response.body#/refresh_token"),
    "postTokenAlias": _refresh("postTokenAlias", "$response.body#/refresh_token"),
}  # fmt: skip
"""By ``operationId``, besides those that :func:`add_links` finds by itself."""


def add_links(operation: Document) -> None:
    """Add the links of an operation to its successful answers.

    Whatever says by a header which publication it comes from links to that; what can be asked
    again with an entity tag and takes nothing else, to itself.

    Args:
        operation: The operation, complete but for its links.
    """
    name = operation["operationId"]
    answer = operation["responses"]["200"]
    links = dict(LINKS.get(name, {}))
    if "Publication" in answer["headers"]:
        links["publication"] = _publication(SERVED)
    if [parameter["name"] for parameter in operation["parameters"]] == ["If-None-Match"]:
        tag = {"If-None-Match": "$response.header.ETag"}
        links["again"] = _to(name, "The same, unless it is still as it was.", **tag)
    if links:
        for status in {"200", "206"} & operation["responses"].keys():
            operation["responses"][status]["links"] = links


def name_mart(operation: Document, mart: str) -> None:
    """Say in an operation's links which mart it is about, where its path has it by name.

    Args:
        operation: A copy of the one about all marts.
        mart: The mart's name.
    """
    for response in operation["responses"].values():
        for link in response.get("links", {}).values():
            if link["parameters"].get("mart") == OF_PATH:
                link["parameters"]["mart"] = mart

"""The marts of a publication in the OpenAPI document: each a path of its own, with its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from api.links import name_mart
from publication.types import read

if TYPE_CHECKING:
    from publication import Column, Manifest, Mart
    from publication.types import Type

Document = dict[str, Any]

ANY = "/api/v1/marts/{mart}"
"""The path of the document that is about all marts alike."""

WHOLE: Document = {"type": "integer"}

NO_NUMBER: Document = {"enum": ["NaN", "Infinity", "-Infinity"]}

TYPES: dict[str, Document] = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "UTINYINT", "USMALLINT"), WHOLE),
    "INTEGER": {"type": "integer", "format": "int32"},
    "BIGINT": {"type": "integer", "format": "int64"},
    **dict.fromkeys(("UINTEGER", "UBIGINT", "HUGEINT", "UHUGEINT"), WHOLE),
    "FLOAT": {"anyOf": [{"type": "number", "format": "float"}, NO_NUMBER]},
    "DOUBLE": {"anyOf": [{"type": "number", "format": "double"}, NO_NUMBER]},
    "DECIMAL": {"type": "number"},
    "BOOLEAN": {"type": "boolean"},
    "DATE": {"type": "string", "format": "date"},
    "TIMESTAMP WITH TIME ZONE": {"type": "string", "format": "date-time"},
    "UUID": {"type": "string", "format": "uuid"},
    "BLOB": {"type": "string", "contentEncoding": "base64"},
}
"""What a DuckDB type that is not nested is in JSON; a text, if it is not here."""

FILES = {
    "text/csv": {"schema": {"type": "string"}},
    "application/vnd.apache.arrow.stream": {"schema": {}},
    "application/vnd.apache.parquet": {"schema": {}},
}

SINGULAR = "application/vnd.pgrst.object+json"


def describe_marts(document: Document, manifest: Manifest) -> None:
    """Add to a document a path and a schema for each mart of a publication.

    Args:
        document: The document, which has the path about all marts alike.
        manifest: What the publication says of itself.
    """
    for flow in document["components"]["securitySchemes"]["OAuth2"]["flows"].values():
        for scope in sorted({scope for mart in manifest.marts for scope in mart.needs}):
            names = [mart.name for mart in manifest.marts if scope in mart.needs]
            flow["scopes"].setdefault(scope, f"Read {', '.join(names)}.")
    for mart in manifest.marts:
        document["components"]["schemas"][_schema(mart)] = _row(mart)
        document["paths"][ANY.replace("{mart}", mart.name)] = {
            "get": _operation(document["paths"][ANY]["get"], mart)
        }
    document["paths"] = dict(sorted(document["paths"].items()))


def _schema(mart: Mart) -> str:
    """What the schema of a mart's row is called: no schema of the API's own has a dot."""
    return f"mart.{mart.name}"


def _row(mart: Mart) -> Document:
    return {
        "type": "object",
        "description": mart.description,
        "properties": {column.name: _column(column) for column in mart.columns},
        "required": [column.name for column in mart.columns],
    }


def _column(column: Column) -> Document:
    described = _value(read(column.type), nullable=column.nullable)
    return {**described, "description": column.description, "x-duckdb-type": column.type}


def _value(kind: Type, *, nullable: bool = True) -> Document:
    """Describe a value; what is in a list, a struct or a map may always be null."""
    described: Document = {**TYPES.get(kind.kind, {"type": "string"})}
    match kind.kind:
        case "LIST":
            described = {"type": "array", "items": _value(kind.parts[0][1])}
        case "MAP":
            described = {"type": "object", "additionalProperties": _value(kind.parts[1][1])}
        case "STRUCT":
            described = {
                "type": "object",
                "properties": {name: _value(one) for name, one in kind.parts},
                "required": [name for name, _ in kind.parts],
            }
    if nullable and "anyOf" in described:
        described["anyOf"] = [*described["anyOf"], {"type": "null"}]
    elif nullable:
        described["type"] = [described["type"], "null"]
    return described


def _operation(of_any: Document, mart: Mart) -> Document:
    """What is the same for all marts, and what this one has besides."""
    operation: Document = msgspec.json.decode(msgspec.json.encode(of_any))
    operation["operationId"] = f"read_{mart.name}"
    operation["summary"] = f"Rows of {mart.name}"
    operation["description"] = (
        f"{mart.description}\n\nRows come by {', '.join(mart.grain)} unless `order` says "
        "otherwise. With `select` they have other columns, and with a cast other types. "
        f"`{mart.name}.csv`, `.arrow`, `.parquet` and `.json` answer in that format whatever is "
        "accepted."
    )
    others = [one for one in operation["parameters"] if one["in"] != "path"]
    columns = [
        {
            "name": column.name,
            "in": "query",
            "description": f"{column.description} As `operator.value`, such as `eq.value`.",
            "schema": {"type": "string"},
        }
        for column in mart.columns
    ]
    operation["parameters"] = columns + others
    row = {"$ref": f"#/components/schemas/{_schema(mart)}"}
    responses = operation["responses"]
    for status in ("200", "206"):
        responses[status]["content"] = {
            "application/json": {"schema": {"type": "array", "items": row}},
            **({SINGULAR: {"schema": row}} if status == "200" else {}),
            **FILES,
        }
    name_mart(operation, mart.name)
    say_who_may_read(operation, mart)
    return operation


def say_who_may_read(operation: Document, mart: Mart) -> None:
    """Say in an operation about one mart which token it needs, if it needs one.

    Args:
        operation: The operation, which says what its route needs whatever mart it reads: nothing
            where no token is one of the ways.
        mart: The mart.
    """
    ways = operation["security"]
    own = set() if {} in ways else {one for way in ways for one in way.get("OAuth2", [])}
    if mart.is_open and not own:
        del operation["responses"]["401"], operation["responses"]["403"]
        operation["security"] = []
    else:
        operation["security"] = [{"OAuth2": sorted(own | mart.needs)}, {"Bearer": []}]

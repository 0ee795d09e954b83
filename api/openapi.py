"""The OpenAPI document, made anew for each publication."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, get_args, get_type_hints

import msgspec
import yaml
from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec

from api import __version__
from api.described import describe_marts, say_who_may_read
from api.links import add_links
from api.opened import OpenPublication

Document = dict[str, Any]


Example = Callable[[OpenPublication], Awaitable[Any]]
"""Reads from a publication what a route that reads one mart would answer."""

DESCRIPTION = """\
Weekly and monthly marts over leads, read-only.

Every answer comes whole from one *publication*, an immutable numbered state of all marts.
HEAD works wherever GET does, and a trailing slash may be added to every path.
Some lists need a token: sign in with *Authorize* above, or with `GET /api/auth/token/`.
Every error is a problem (RFC 9457) with a sentence in `detail`; a path that is not there is 404,
a method that is not possible 405 with `Allow`. Only what `POST /api/auth/token/` refuses is told
as OAuth clients read it (RFC 6749, section 5.2).
"""

NOT_MODIFIED = "The answer is still the one that `If-None-Match` names."

RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds until it is worth another try.",
        "schema": {"type": "integer", "minimum": 1},
    }
}

CHALLENGE = {
    "WWW-Authenticate": {
        "description": "How to get further (RFC 6750, RFC 7617).",
        "schema": {"type": "string"},
    }
}

RATE = {
    name: {
        "description": "As with a token (draft-ietf-httpapi-ratelimit-headers).",
        "schema": {"type": "string"},
    }
    for name in ("RateLimit", "RateLimit-Policy")
}

HEADERS_OF_PROBLEMS: Document = {
    "401": CHALLENGE,
    "403": CHALLENGE,
    "416": {
        "Content-Range": {"description": "How many rows there are.", "schema": {"type": "string"}}
    },
    "429": {**RETRY_AFTER, **RATE},
    "503": RETRY_AFTER,
}
"""What the problems with these statuses carry."""

TOKENS = "/api/auth/token/"
SCOPES = {"marketing:read": "Read marketing conversions and what is made of them."}

SECURITY_SCHEMES: Document = {
    "OAuth2": {
        "type": "oauth2",
        "description": "A user's name and password, or those of a program.",
        "flows": {
            "password": {"tokenUrl": TOKENS, "refreshUrl": TOKENS, "scopes": SCOPES},
            "clientCredentials": {"tokenUrl": TOKENS, "scopes": SCOPES},
        },
    },
    "Bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token that you have already.",
    },
    "Basic": {
        "type": "http",
        "scheme": "basic",
        "description": "A user's name and password, for a token.",
    },
}
"""Ways to sign in, as the page's Authorize button offers them."""


def skeleton(routes: Sequence[BaseRouteHandler], injected: Iterable[str]) -> Document:
    """Make the part of the OpenAPI document that is the same for every publication.

    Litestar makes it, from an app that is only described: one that is served would also get
    Litestar's own documentation pages, which load scripts from other hosts.

    Args:
        routes: What is served.
        injected: What handlers get from the app and not from a query.
    """
    dependencies = {name: Provide(lambda: None, sync_to_thread=False) for name in injected}
    config = OpenAPIConfig(
        title="Lead Analytics API",
        version=__version__,
        description=DESCRIPTION,
        use_handler_docstrings=True,
    )
    described = Litestar(
        list(routes), dependencies=dependencies, openapi_config=config, logging_config=None
    )
    document = described.openapi_schema.to_schema()
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation)
    answered = [get_args(get_type_hints(handler.fn)["return"])[0] for handler in routes]
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    refused = {spec.data_container for handler in routes for spec in _problems(handler)}
    forms = [handler.opt["form"] for handler in routes if "form" in handler.opt]
    document["components"]["schemas"] = _schemas([*answered, *refused, *forms])
    # Litestar keeps a route's paths in a set, and types come in one: every worker says the same.
    document["paths"] = dict(sorted(document["paths"].items()))
    schemas = document["components"]["schemas"]
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    for handler in routes:
        _add_told(document["paths"], handler)
    for operations in document["paths"].values():
        for operation in operations.values():
            add_links(operation)
    return document


def _add_told(paths: Document, handler: BaseRouteHandler) -> None:
    """Add to a handler's paths what it tells by its ``opt``: what its signature cannot say."""
    for path in handler.paths:
        if form := handler.opt.get("form"):
            paths[path]["post"]["requestBody"] = _form_body(form)
        if parameters := handler.opt.get("parameters"):
            paths[_spelled(path)]["get"]["parameters"] += parameters
        for status in ("200", "206"):
            if content := handler.opt.get("content", {}).get(status):
                paths[_spelled(path)]["get"]["responses"][status]["content"] |= content
        if mart := handler.opt.get("mart"):
            paths[path]["get"]["x-mart"] = mart
        if example := handler.opt.get("example"):
            answer = paths[path]["get"]["responses"]["200"]
            answer["content"]["application/json"]["example"] = msgspec.to_builtins(example)


def _spelled(path: str) -> str:
    """A path as OpenAPI writes it: parameters without their types."""
    return re.sub(r"{(\w+):\w+}", r"{\1}", path)


def _problems(handler: BaseRouteHandler) -> list[ResponseSpec]:
    return list((getattr(handler, "responses", None) or {}).values())


def _form_body(form: type[msgspec.Struct]) -> Document:
    schema = {"$ref": f"#/components/schemas/{form.__name__}"}
    content = {"application/x-www-form-urlencoded": {"schema": schema}}
    return {"required": True, "content": content}


def _schemas(answered: list[Any]) -> Document:
    """Describe all structs among and in some types; msgspec loses none of their limits."""
    _, schemas = msgspec.json.schema_components(
        answered, ref_template="#/components/schemas/{name}"
    )
    for schema in schemas.values():
        # The rest of a docstring describes the attributes to Python programmers.
        schema["description"] = schema["description"].partition("\n\n")[0]
    return schemas


def _complete(operation: Document) -> None:
    """Say what Litestar cannot know of an operation, and take back what it gets wrong."""
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        # "or null" is Python's; a query has no null.
        for kind in parameter["schema"].pop("oneOf", []):
            if kind != {"type": "null"}:
                parameter["schema"].update(kind)
    _complete_responses(operation["responses"])
    if "304" in operation["responses"]:
        parameters.append(
            {
                "name": "If-None-Match",
                "in": "header",
                "description": "Entity tags of answers that the client has, or `*`.",
                "schema": {"type": "string"},
            }
        )


def _complete_responses(responses: Document) -> None:
    # Litestar's own validation errors never leave this server: they become problems, and a path
    # with a wrong number is a path that is not there. They are described in place, ours by name.
    own = responses.get("400", {"content": {}})["content"].values()
    if any("$ref" not in kind["schema"] for kind in own):
        del responses["400"]
    content = responses["200"]["content"]
    if "application/yaml" in content:
        content["application/yaml"]["schema"] = {"type": "object"}
    # Litestar keeps headers in a set, whose order differs between workers.
    headers = responses["200"]["headers"] = dict(sorted(responses["200"]["headers"].items()))
    for name, least in (("Publication", 1), ("X-Total-Count", 0)):
        if name in headers:
            headers[name]["schema"] = {"type": "integer", "minimum": least}
    if "ETag" in headers:
        responses["304"] = {"description": NOT_MODIFIED, "headers": headers}
    if "206" in responses:
        responses["206"]["headers"] = headers
    for status, added in HEADERS_OF_PROBLEMS.items():
        if status in responses:
            responses[status]["headers"] = added


async def document_of(
    publication: OpenPublication | None, template: Document, examples: Mapping[str, Example]
) -> Document:
    """Complete the OpenAPI document with what depends on the publication.

    Args:
        publication: What is served, if anything is.
        template: From :func:`skeleton`.
        examples: Per ``operationId``, what gives an example. Everybody may read the document, so it
            has those of open marts alone.
    """
    document: Document = msgspec.json.decode(msgspec.json.encode(template))
    if publication is None:
        return document
    manifest = publication.manifest
    # Nothing that differs between machines: equal content has an equal document.
    document["info"]["description"] += (
        f"\nMade from publication {manifest.number} with the content {manifest.digest[:19]}.\n"
    )
    for path in document["paths"].values():
        for operation in path.values():
            mart = publication.marts.get(operation.get("x-mart", ""))
            if mart is None:
                continue
            say_who_may_read(operation, mart)
            read = examples.get(operation["operationId"])
            if read and mart.is_open:
                content = operation["responses"]["200"]["content"]["application/json"]
                content["example"] = msgspec.to_builtins(await read(publication))
    describe_marts(document, manifest)
    columns = {
        column.name: column.description for mart in manifest.marts for column in mart.columns
    }
    for schema in document["components"]["schemas"].values():
        for name, described in schema.get("properties", {}).items():
            if name in columns and "description" not in described and "$ref" not in described:
                described["description"] = columns[name]
    # Again, so that nothing in it is the same object: YAML would show that.
    copied: Document = msgspec.json.decode(msgspec.json.encode(document))
    return copied


def as_yaml(document: Document) -> str:
    """Write the document as YAML, in its own order."""
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))

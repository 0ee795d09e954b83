"""The OpenAPI document, made anew for each publication, and the page that shows it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, get_args, get_type_hints

import msgspec
import yaml
from litestar import Litestar, Response, get
from litestar.di import Provide
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec

from api import __version__
from api.answers import HEADERS, etag, reusable
from api.opened import OpenPublication
from api.problems import AnyRequest, documented

Document = dict[str, Any]

Example = Callable[[OpenPublication], Awaitable[Any]]
"""Reads from a publication what a route would answer, or None where it has nothing for it."""

DESCRIPTION = """\
Weekly and monthly marts over leads, read-only.

Every answer comes whole from one *publication*, an immutable numbered state of all marts.
HEAD works wherever GET does, and a trailing slash may be added to every path.
Some lists need a token: sign in with *Authorize* above, or with `GET /api/auth/token/`.
Every error is a problem (RFC 9457) with a sentence in `detail`; a path that is not there is 404,
a method that is not possible 405 with `Allow`. Only the refusal of a CORS preflight, which no
page ever sees, is plain text.
"""

NOT_MODIFIED = "The answer is still the one that `If-None-Match` names."

ASSETS = {
    "start.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
"""The files of Swagger UI that the page needs, and their media types."""

START = b"""\
SwaggerUIBundle({
  dom_id: "#docs",
  url: "/openapi.json",
  deepLinking: true,
});
"""

PAGE = b"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lead Analytics API</title>
<link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<noscript>This page needs JavaScript; the document itself is at /openapi.json.</noscript>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/start.js"></script>
</body>
</html>
"""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The page loads nothing from other hosts. Swagger UI sets styles on elements."""


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


def skeleton(routes: Sequence[BaseRouteHandler], dependencies: Mapping[str, Provide]) -> Document:
    """Make the part of the OpenAPI document that is the same for every publication.

    Litestar makes it, from an app that is only described: one that is served would also get
    Litestar's own documentation pages, which load scripts from other hosts.
    """
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
    for handler in routes:
        if form := handler.opt.get("form"):
            for path in handler.paths:
                document["paths"][path]["post"]["requestBody"] = _form_body(form)
    return document


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
        examples: Per ``operationId``, what reads an example.
    """
    document: Document = msgspec.json.decode(msgspec.json.encode(template))
    if publication is None:
        return document
    manifest = publication.manifest
    built_at = manifest.built_at.isoformat(sep=" ", timespec="minutes")
    document["info"]["description"] += (
        f"\nServed now: publication {manifest.number}, built at {built_at}.\n"
    )
    for path in document["paths"].values():
        for operation in path.values():
            read = examples.get(operation["operationId"])
            if read and (example := await read(publication)) is not None:
                content = operation["responses"]["200"]["content"]["application/json"]
                content["example"] = msgspec.to_builtins(example)
    columns = {
        column.name: column.description for mart in manifest.marts for column in mart.columns
    }
    for schema in document["components"]["schemas"].values():
        for name, described in schema.get("properties", {}).items():
            if name in columns and "description" not in described and "$ref" not in described:
                described["description"] = columns[name]
    return document


async def _document(request: AnyRequest) -> Document:
    state = request.app.state
    return await document_of(request.state.publication, state.template, state.examples)


@get(
    "/openapi.json",
    operation_id="getOpenapiJson",
    summary="This document as JSON",
    tags=["System"],
    response_headers=HEADERS,
    responses=documented(406),
)
async def openapi_json(request: AnyRequest) -> Response[Document]:
    """Describe this API, with examples from the publication that is served (OpenAPI 3.1)."""
    document = await _document(request)
    return reusable(document, etag(msgspec.json.encode(document)))


@get(
    "/openapi.yaml",
    operation_id="getOpenapiYaml",
    summary="This document as YAML",
    tags=["System"],
    media_type="application/yaml",
    response_headers=HEADERS,
    responses=documented(406),
)
async def openapi_yaml(request: AnyRequest) -> Response[bytes]:
    """Describe this API, with examples from the publication that is served (OpenAPI 3.1)."""
    document = await _document(request)
    text = await asyncio.to_thread(_yaml, document)
    return reusable(text.encode(), etag(text), media_type="application/yaml")


@get(["/docs", "/api/docs"], operation_id="getDocs", include_in_schema=False)
async def page() -> Response[bytes]:
    """Show the OpenAPI document to people."""
    policy = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return reusable(PAGE, etag(PAGE), media_type="text/html", headers=policy)


@get("/docs/assets/{name:str}", operation_id="getDocsAsset", include_in_schema=False)
async def asset(name: str) -> Response[bytes]:
    """Send a file that the page needs."""
    if name not in ASSETS:
        raise NotFoundException
    content = await asyncio.to_thread(_read_asset, name)
    return reusable(content, etag(content), media_type=ASSETS[name])


def _yaml(document: Document) -> str:
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def _read_asset(name: str) -> bytes:
    if name == "start.js":
        return START
    return files("swagger_ui").joinpath("static", name).read_bytes()


ROUTES = [openapi_json, openapi_yaml, page, asset]

"""The routes that show the OpenAPI document, and the pages for people."""

import asyncio
from importlib.resources import files
from typing import cast

import msgspec
from litestar import Response, get
from litestar.exceptions import NotFoundException

from api.openapi import Document, as_yaml, document_of
from api.problems import documented
from api.requests import AnyRequest
from api.reusable import HEADERS, etag, reusable

JSON = "application/json"
YAML = "application/yaml"

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

STANDALONE = """\
<!doctype html>
<!-- Swagger UI, in the style and the script below, is by SmartBear Software, under the Apache License 2.0. -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lead Analytics API</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<div id="docs"></div>
<script>{script}</script>
<script>
SwaggerUIBundle({{ dom_id: "#docs", spec: {document}, supportedSubmitMethods: [] }});
</script>
</body>
</html>
"""  # noqa: E501 -- a policy is one line

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The page loads nothing from other hosts, and runs nothing that stands in the page itself. Swagger
UI sets styles on elements one by one, by script, which needs no permission."""


async def _document(request: AnyRequest, media_type: str) -> bytes:
    """Write the document, once for each publication: it takes as long as thousands of answers."""
    state, publication = request.app.state, request.state.publication
    written: dict[str, bytes] = {} if publication is None else publication.documents
    if media_type not in written:
        document = await document_of(publication, state.template, state.examples)
        if media_type == YAML:
            written[media_type] = (await asyncio.to_thread(as_yaml, document)).encode()
        else:
            written[media_type] = msgspec.json.encode(document)
    return written[media_type]


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
    document = await _document(request, JSON)
    return cast("Response[Document]", reusable(document, etag(document), media_type=JSON))


@get(
    "/openapi.yaml",
    operation_id="getOpenapiYaml",
    summary="This document as YAML",
    tags=["System"],
    media_type=YAML,
    response_headers=HEADERS,
    responses=documented(406),
)
async def openapi_yaml(request: AnyRequest) -> Response[bytes]:
    """Describe this API, with examples from the publication that is served (OpenAPI 3.1)."""
    document = await _document(request, YAML)
    return reusable(document, etag(document), media_type=YAML)


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


def standalone(document: Document) -> str:
    """Make a page that shows a document without any server, and loads nothing.

    Args:
        document: From :func:`api.openapi.document_of`.
    """
    script = _read_asset("swagger-ui-bundle.js").decode()
    return STANDALONE.format(
        style=_read_asset("swagger-ui.css").decode(),
        # Only its end tag ends a script; to a string of JavaScript both spellings are one.
        script=script.replace("</script", r"<\/script"),
        document=msgspec.json.encode(document).decode().replace("<", r"\u003c"),
    )


def _read_asset(name: str) -> bytes:
    if name == "start.js":
        return START
    return files("swagger_ui").joinpath("static", name).read_bytes()


ROUTES = [openapi_json, openapi_yaml, page, asset]

"""Every response that a test gets, held against the OpenAPI document of the server it is from.

`pytest --contract` switches it on. A status, a media type, a header or a body that the document
does not describe fails the test that got it.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from schemathesis import openapi

from api.protection import HEADERS

if TYPE_CHECKING:
    from schemathesis.schemas import BaseSchema

asked_for = False

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of servers without any: reading all authorities takes as long as many requests."""

PROBLEM = "application/problem+json"

NOT_DESCRIBED = ("/docs", "/api/docs")
"""Pages and files for people."""

GENERAL = {
    "date",
    "server",
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
}
"""Headers that HTTP itself describes, and below those of CORS and of caching."""

OF_ALL = {
    *("cache-control", "vary", "allow", "x-request-id", "strict-transport-security"),
    *(name.decode() for name, _ in HEADERS),
}

NOT_ARRIVED = {408, 413, 414, 421, 431}
"""The statuses of requests that no route ever sees."""

NO_TEXT = "bytes that are not UTF-8, in "
"""What such a request is told as well, with a 400."""

OF_ONE = {"date", "x-request-id"}
"""What no two answers have in common."""


@dataclass(frozen=True)
class Document:
    """A document, and what was held against it already: the same answer is the same again."""

    schema: BaseSchema
    held: set[tuple[object, ...]] = field(default_factory=set)


_documents: dict[tuple[str, str], Document] = {}

_one_at_a_time = threading.Lock()
"""A document prepares itself when it is first asked, and threads must not do that side by side."""


def document(server: str, publication: str) -> Document:
    """The document, read once for each publication that a server serves."""
    if (server, publication) not in _documents:
        read = httpx.get(f"{server}/openapi.json", timeout=20, verify=NO_TLS).raise_for_status()
        _documents[server, publication] = Document(openapi.from_dict(read.json()))
    return _documents[server, publication]


def forget(server: str) -> None:
    """Forget a server's documents: another may listen where it did, or it serves another state."""
    for known in [known for known in _documents if known[0] == server]:
        del _documents[known]


def check(response: httpx.Response) -> None:
    """Hold one response against the document.

    Raises:
        AssertionError: The document does not describe it.
        FailureGroup: Its body or a header is not as the document describes it.
    """
    request = response.request
    path = request.url.raw_path.decode().partition("?")[0].rstrip("/") or "/"
    method = "GET" if request.method == "HEAD" else request.method
    server = str(request.url.copy_with(raw_path=b"/")).rstrip("/")
    held_against = document(server, response.headers.get("publication", ""))
    operation = held_against.schema.find_operation_by_path(method, path)
    no_text = response.status_code == 400 and (request.method == "HEAD" or NO_TEXT in response.text)
    if path.startswith(NOT_DESCRIBED) or method == "OPTIONS" or no_text:
        return
    if operation is None:
        # What the document does not have, the server does not have either.
        # A request that no route ever sees may have any path.
        gone = response.status_code in {404, 405} | NOT_ARRIVED
        assert gone, f"{method} {path} is not described"
        return
    # What is selected has other columns, as the document says.
    is_mart = operation.path.startswith("/api/v1/marts/")
    if response.status_code in NOT_ARRIVED and response.headers.get("content-type") == PROBLEM:
        return
    if response.status_code == 404 and "{" in operation.path:
        return  # a number that is none
    described: dict[str, Any] = operation.definition.raw["responses"]
    answered = described.get(str(response.status_code))
    assert answered is not None, f"{method} {path}: {response.status_code} is not described"
    kinds = answered.get("content", {})
    kind = response.headers.get("content-type", "").partition(";")[0]
    assert kind in kinds or not (kinds or kind), f"{method} {path}: {kind} is not described"
    unknown = {
        name
        for name in response.headers
        if name not in GENERAL | OF_ALL and not name.startswith("access-control-")
    } - {name.lower() for name in answered.get("headers", {})}
    assert not unknown, f"{method} {path}: headers are not described: {unknown}"
    if request.method != "HEAD" and not (is_mart and "select" in request.url.params):
        headers = frozenset(item for item in response.headers.items() if item[0] not in OF_ONE)
        body = hashlib.sha256(response.content).digest()
        answer = (method, operation.path, response.status_code, headers, body)
        if answer not in held_against.held:
            operation.validate_response(response)
            held_against.held.add(answer)


class Client(httpx.Client):
    """A client that holds every response against the document, if that was asked for.

    What a test reads piece by piece it holds against something else.
    """

    def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> Any:
        response = super().send(request, stream=stream, **options)
        if asked_for and not stream:
            with _one_at_a_time:
                check(response)
        return response

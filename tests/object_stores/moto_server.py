"""S3 and Google Cloud Storage on a loopback port: moto, and what it lacks for that.

moto keeps buckets and puts an object only where none is (`If-None-Match`). Added here: signatures
are checked (moto takes any), Google's requests become S3's (their XML interfaces differ by a few
headers), and the server comes to harm on demand. There is one bucket, `lake`. Prints its port.

    python moto_server.py ACCESS_KEY SECRET_KEY PUBLIC_KEY_FILE
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import jwt
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Iterable

ACCESS_KEY, SECRET_KEY, PUBLIC_KEY = sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_text()
SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d+)/([^/]+)/s3/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=(\w+)"
)

moto = DomainDispatcherApplication(create_backend_app)
misfortunes: list[tuple[str, str]] = []


def sign(key: bytes, message: str) -> bytes:
    return hmac.digest(key, message.encode(), "sha256")


def _sorted(query: str) -> str:
    """Return a query in its canonical form: sorted, and each name with a value."""
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return "&".join(f"{name}={value}" for name, _, value in sorted(pairs))


def is_amazons(environ: dict[str, Any]) -> bool:
    """Tell whether a request is signed with the key: Signature Version 4, from AWS' reference."""
    found = SIGNED.match(environ.get("HTTP_AUTHORIZATION", ""))
    if not found or found[1] != ACCESS_KEY:
        return False
    _, day, region, headers, signature = found.groups()
    path, _, query = environ["RAW_URI"].replace("+", "%20").partition("?")
    values = {
        name: environ.get("HTTP_" + name.upper().replace("-", "_"), "").strip()
        for name in headers.split(";")
    }
    for name in ("content-length", "content-type"):
        if name in values:
            values[name] = environ[name.upper().replace("-", "_")]
    canonical = [environ["REQUEST_METHOD"], path, _sorted(query)]
    canonical += [f"{name}:{value}" for name, value in values.items()]
    canonical += ["", headers, environ["HTTP_X_AMZ_CONTENT_SHA256"]]
    hashed = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    scope = f"{day}/{region}/s3/aws4_request"
    key = f"AWS4{SECRET_KEY}".encode()
    for part in scope.split("/"):
        key = sign(key, part)
    text = f"AWS4-HMAC-SHA256\n{environ['HTTP_X_AMZ_DATE']}\n{scope}\n{hashed}"
    return hmac.compare_digest(sign(key, text).hex(), signature)


def is_googles(environ: dict[str, Any]) -> bool:
    """Tell whether a request bears a token that the service account has signed."""
    token = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
    try:
        jwt.decode(token, PUBLIC_KEY, ["RS256"], options={"verify_aud": False})
    except jwt.InvalidTokenError:
        return False
    return True


def from_google(environ: dict[str, Any]) -> None:
    """Turn a request to Google Cloud Storage into one to S3."""
    environ["HTTP_AUTHORIZATION"] = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20200101/us-east-1/s3/aws4_request"
    )
    if environ.pop("HTTP_X_GOOG_IF_GENERATION_MATCH", None) == "0":
        environ["HTTP_IF_NONE_MATCH"] = "*"


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    request = f"{environ['REQUEST_METHOD']} {environ['RAW_URI']}"
    if environ["PATH_INFO"] == "/-/meet":
        asked = parse_qs(environ["QUERY_STRING"])
        misfortunes.append((asked["at"][0], asked["with"][0]))
        start_response("204 No Content", [])
        return []
    for pattern, fate in misfortunes:
        if re.search(pattern, request):
            if fate == "death":
                os._exit(1)
            start_response(f"{fate} SERVICE UNAVAILABLE", [])
            return []
    google = environ.get("HTTP_AUTHORIZATION", "").startswith("Bearer ")
    if not (is_googles(environ) if google else is_amazons(environ)):
        start_response("403 Forbidden", [("Content-Type", "application/xml")])
        return [b"<Error><Code>SignatureDoesNotMatch</Code></Error>"]
    if google:
        from_google(environ)

    def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
        return start_response(status, [*headers, ("x-goog-generation", "1")], *error)

    return moto(environ, start if google else start_response)


if __name__ == "__main__":
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket("lake", "us-east-1")
    server = make_server("127.0.0.1", 0, application, threaded=True)
    print(server.server_port, flush=True)  # noqa: T201 -- for whoever started it
    server.serve_forever()

"""A name and a password on a request: HTTP Basic (RFC 7617)."""

import base64
import binascii

from api.requests import AnyRequest

CHALLENGE = {"WWW-Authenticate": 'Basic realm="Lead Marts", charset="UTF-8"'}
"""What an answer says that wants them."""


def read_basic(request: AnyRequest) -> tuple[str, str] | None:
    """Read a name and a password from the Authorization header (RFC 7617), or None."""
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    name, colon, password = decoded.partition(":")
    return (name, password) if colon else None

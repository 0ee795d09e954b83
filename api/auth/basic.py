"""A name and a password on a request: HTTP Basic (RFC 7617)."""

import base64
import binascii

from api.negotiation import LONGEST_FIELD
from api.requests import AnyRequest

CHALLENGE = {"WWW-Authenticate": 'Basic realm="Lead Marts", charset="UTF-8"'}
"""What an answer says that wants them."""


def read_basic(request: AnyRequest) -> tuple[str, str] | None:
    """Read a name and a password from the Authorization header (RFC 7617), or None.

    A header that is longer than any other field may be has none.
    """
    given = request.headers.get("authorization", "")
    kind, _, encoded = given.partition(" ")
    if kind.lower() != "basic" or len(given) > LONGEST_FIELD:
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    name, colon, password = decoded.partition(":")
    return (name, password) if colon else None

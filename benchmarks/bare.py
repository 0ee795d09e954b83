"""The reference of the serving benchmark: an ASGI app that returns the same bytes, and no more.

``BARE_BODY`` names the file with the body, ``BARE_HEADERS`` the one with the headers as JSON.
Nothing is looked up or decided per request, so no app under the same server can be faster by
doing less.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

BODY = Path(os.environ["BARE_BODY"]).read_bytes()
HEADERS = [
    (name.encode(), value.encode())
    for name, value in json.loads(Path(os.environ["BARE_HEADERS"]).read_text())
]
STATUS = int(os.environ.get("BARE_STATUS", "200"))
START = {"type": "http.response.start", "status": STATUS, "headers": HEADERS}
END = {"type": "http.response.body", "body": BODY}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401
    """Answer every request alike."""
    if scope["type"] == "http":
        await send(START)
        await send(END)
        return
    while True:  # the lifespan protocol
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return

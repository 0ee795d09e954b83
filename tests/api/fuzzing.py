"""Schemathesis over every operation of a running server, and how many cases each of them got."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.api.conftest import Server

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")

COUNTS = "FUZZED_COUNTS"
USER = "FUZZED_USER"
"""What the hooks read from the environment: where to write, and who may sign in."""

SIGNED_IN = """
[[operations]]
include-operation-id = {names}
headers = {{ Authorization = "{value}" }}
"""


@dataclass(frozen=True)
class Fuzzed:
    """What a run of schemathesis came to.

    Attributes:
        code: Its exit code; 0 if nothing was found.
        output: What it printed.
        counts: For each operation, by method and path, how many cases it got of which kind.
        operations: All operations there are.
    """

    code: int
    output: str
    counts: dict[str, dict[str, int]]
    operations: set[str]


def fuzz(server: Server, folder: Path, user: tuple[str, str], examples: int) -> Fuzzed:
    """Let schemathesis ask a server everything that its document describes.

    Args:
        server: The server.
        folder: For what it writes.
        user: A name and a password, with all scopes.
        examples: How many cases it is to make up for each operation, at least.
    """
    with server.client() as client:
        document = client.get("/openapi.json").json()
    # From a file: schemathesis leaves out the operation that it reads the document from.
    read = folder / "openapi.json"
    read.write_text(json.dumps(document))
    configuration = folder / "schemathesis.toml"
    bearer = server.token(*user)
    basic = base64.b64encode(":".join(user).encode()).decode()
    configuration.write_text(
        CONFIGURATION.read_text()
        + SIGNED_IN.format(names=_needing(document, "Bearer"), value=f"Bearer {bearer}")
        + SIGNED_IN.format(names=_needing(document, "Basic"), value=f"Basic {basic}")
    )
    counts = folder / "counts.json"
    told = {COUNTS: str(counts), USER: json.dumps(user), "SCHEMATHESIS_HOOKS": str(HOOKS)}
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", configuration),
        *("run", read, "--url", server.url, "--no-color", "--workers", "2"),
        *("--max-examples", str(examples), "--seed", "1"),
    ]
    output = folder / "schemathesis.log"
    with output.open("wb") as log:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **told},
            check=False,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    operations = {
        f"{method.upper()} {path}" for path, one in document["paths"].items() for method in one
    }
    counted = json.loads(counts.read_text())
    return Fuzzed(done.returncode, output.read_text(), counted, operations)


def _needing(document: dict[str, Any], scheme: str) -> list[str]:
    """The names of the operations that take this way to sign in."""
    return [
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if any(scheme in way for way in operation.get("security", []))
    ]

"""Schemathesis over every operation of a running server, and how many cases each of them got."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
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
        clean: Whether it ended well and found nothing.
        output: What it printed.
        counts: For each operation, by method and path, how many cases it got of which kind.
        operations: All operations there are.
    """

    clean: bool
    output: str
    counts: dict[str, Counter[str]]
    operations: set[str]


def fuzz(server: Server, folder: Path, user: tuple[str, str], examples: int) -> Fuzzed:
    """Let schemathesis ask a server everything that its document describes.

    Three processes do it at once: two ask half of the operations each, and one follows links.

    Args:
        server: The server.
        folder: For what they write.
        user: A name and a password, with all scopes.
        examples: How many cases to make up for each operation; of walks along links it is a
            quarter.
    """
    with server.client() as client:
        document = client.get("/openapi.json").json()
    # From a file: schemathesis leaves out the operation that it reads the document from.
    described = folder / "openapi.json"
    described.write_text(json.dumps(document))
    configuration = folder / "schemathesis.toml"
    bearer = f"Bearer {server.token(*user)}"
    basic = f"Basic {base64.b64encode(':'.join(user).encode()).decode()}"
    configuration.write_text(
        CONFIGURATION.read_text()
        + SIGNED_IN.format(names=_needing(document, "Bearer"), value=bearer)
        + SIGNED_IN.format(names=_needing(document, "Basic"), value=basic)
    )
    operations = {
        operation["operationId"]: f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    halves = [list(operations)[half::2] for half in (0, 1)]
    fuzzing = ("--phases", "coverage,fuzzing", "--max-examples", str(examples))
    parts = [
        *(
            (*fuzzing, *(word for name in half for word in ("--include-operation-id", name)))
            for half in halves
        ),
        ("--phases", "stateful", "--max-examples", str(examples // 4)),
    ]
    running = []
    for number, part in enumerate(parts):
        own = folder / f"part-{number}"
        own.mkdir()
        command = [
            *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", configuration),
            *("run", described, "--url", server.url, "--no-color", "--seed", "1", *part),
        ]
        told = {COUNTS: str(own / "counts.json"), USER: json.dumps(user)}
        environment = {**os.environ, **told, "SCHEMATHESIS_HOOKS": str(HOOKS)}
        with (own / "log").open("wb") as log:
            one = subprocess.Popen(
                command, cwd=own, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        running.append((one, own))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    clean, output = True, ""
    for one, own in running:
        clean = one.wait() == 0 and clean
        output += (own / "log").read_text()
        for label, counted in json.loads((own / "counts.json").read_text()).items():
            counts[label].update(counted)
    return Fuzzed(clean, output, dict(counts), set(operations.values()))


def _needing(document: dict[str, Any], scheme: str) -> list[str]:
    """The names of the operations that take this way to sign in."""
    return [
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if any(scheme in way for way in operation.get("security", []))
    ]

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
    from collections.abc import Sequence

    from tests.api.conftest import Server

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")

COUNTS = "counts.json"
LOG = "schemathesis.log"
"""What each process writes into its folder."""

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
        examples: How many cases to make up for each operation; of walks along links it is
            half of that.
    """
    with server.client() as client:
        document = client.get("/openapi.json").json()
    # From a file: schemathesis leaves out the operation that it reads the document from.
    (folder / "openapi.json").write_text(json.dumps(document))
    _configure(folder, document, server.token(*user), user)
    operations = {
        operation["operationId"]: f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    names = list(operations)
    made_up = ("--phases", "coverage,fuzzing", "--max-examples", str(examples))
    along_links = ("--phases", "stateful", "--max-examples", str(examples // 2))
    parts = [(*made_up, *_only(names[0::2])), (*made_up, *_only(names[1::2])), along_links]
    running = [
        _begin(folder, f"part-{number}", server.url, user, options)
        for number, options in enumerate(parts)
    ]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for process, part in running:
        process.wait()
        for label, counted in json.loads((part / COUNTS).read_text()).items():
            counts[label].update(counted)
    return Fuzzed(
        all(process.returncode == 0 for process, _ in running),
        "".join((part / LOG).read_text() for _, part in running),
        dict(counts),
        set(operations.values()),
    )


def _configure(folder: Path, document: dict[str, Any], token: str, user: tuple[str, str]) -> None:
    """Write the configuration, with what signs in to the operations that need it."""
    encoded = base64.b64encode(":".join(user).encode()).decode()
    (folder / CONFIGURATION.name).write_text(
        CONFIGURATION.read_text()
        + SIGNED_IN.format(names=_needing(document, "Bearer"), value=f"Bearer {token}")
        + SIGNED_IN.format(names=_needing(document, "Basic"), value=f"Basic {encoded}")
    )


def _begin(
    folder: Path, name: str, url: str, user: tuple[str, str], options: Sequence[str]
) -> tuple[subprocess.Popen[bytes], Path]:
    """Start schemathesis; return its process, and the folder of its own."""
    part = folder / name
    part.mkdir()
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file"),
        *(str(folder / CONFIGURATION.name), "run", str(folder / "openapi.json")),
        *("--url", url, "--no-color", "--seed", "1", *options),
    ]
    told = {"FUZZED_COUNTS": str(part / COUNTS), "FUZZED_USER": json.dumps(user)}
    environment = {**os.environ, **told, "SCHEMATHESIS_HOOKS": str(HOOKS)}
    with (part / LOG).open("wb") as log:
        process = subprocess.Popen(
            command, cwd=part, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    return process, part


def _only(names: Sequence[str]) -> list[str]:
    """Options that select operations."""
    return [word for name in names for word in ("--include-operation-id", name)]


def _needing(document: dict[str, Any], scheme: str) -> list[str]:
    """The names of the operations that take this way to sign in."""
    return [
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if any(scheme in way for way in operation.get("security", []))
    ]

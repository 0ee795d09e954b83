"""The settings that the code reads, found in its text: who reads each, and with which default."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lake.stores import WAITS
from tests.operations.guide import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = re.compile(r"(?:LEADMARTS|NOTION|AWS|GOOGLE|GCE|AZURE|LOGFIRE|OTEL)_[A-Z0-9_]*[A-Z0-9]")

COMMANDS = ("dbt", "lake", "publication", "api")
"""Those that say what they do, by telemetry/."""

TEXTS = {
    "dbt": ("profiles.yml", "dbt_project.yml", "models/**/*", "macros/**/*", "tests/dbt/**/*"),
    "make": ("Makefile",),
    "compose": ("docker-compose.yml",),
}
"""What is no Python, by who reads it."""

IN_TEXT = re.compile(
    r"""env_var\(['"](\w+)['"] (?:,\s*['"](.*?)['"])? \) (?:\s*or\s*['"](.*?)['"])?  # dbt
    | \$+\{(\w+)(?::-(.*?))?\}                                                      # shell, compose
    | ^(\w+)[ ]\?=[ ](.+)$                                                           # make""",
    re.VERBOSE | re.MULTILINE,
)


@dataclass
class Found:
    """What was found of one setting; only defaults that are literals are."""

    readers: set[str] = field(default_factory=set)
    defaults: set[str] = field(default_factory=set)


def found() -> dict[str, Found]:
    """Return every setting that the code names, by its name."""
    settings: dict[str, Found] = defaultdict(Found)
    for reader, name, default in _everywhere():
        settings[name].readers.add(reader)
        if default:
            settings[name].defaults.add(default)
    return settings


def _everywhere() -> Iterator[tuple[str, str, str]]:
    yield from _in_rooms()
    yield from _in_tests()
    yield from _in_texts()


def _in_rooms() -> Iterator[tuple[str, str, str]]:
    for room in ("lake", "publication", "api"):
        for file in (ROOT / room).rglob("*.py"):
            for name, default in in_python(file):
                yield room, name, default
    for file in (ROOT / "telemetry").rglob("*.py"):
        for name, default in in_python(file):
            for command in COMMANDS:
                yield command, name, default
    for name, default in WAITS.items():  # the only names that are put together
        yield "lake", f"LEADMARTS_STORE_{name.upper()}", default
    for command in COMMANDS:
        yield command, "OTEL_EXPORTER_OTLP_HEADERS", ""  # read by what sends


def _in_tests() -> Iterator[tuple[str, str, str]]:
    for file in (ROOT / "tests").rglob("*.py"):
        # Tests name many that they only set.
        for name in re.findall(rf"environ\.get\(\s*\"({NAME.pattern})\"", file.read_text()):
            yield "tests", name, ""


def _in_texts() -> Iterator[tuple[str, str, str]]:
    for reader, patterns in TEXTS.items():
        for file in (file for pattern in patterns for file in ROOT.glob(pattern) if file.is_file()):
            for match in IN_TEXT.finditer(file.read_text()):
                name, *defaults = (text for text in match.groups() if text)
                yield reader, name, "".join(defaults)


def in_python(file: Path) -> Iterator[tuple[str, str]]:
    """Yield each text that is the name of a setting, with the literal default beside it."""
    tree = ast.parse(file.read_text())
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}

    def literal(node: ast.expr) -> str:
        value = constants.get(node.id) if isinstance(node, ast.Name) else None
        value = node.value if isinstance(node, ast.Constant) else value
        return "" if value is None else str(value)

    def default(node: ast.AST) -> str:
        """`f(NAME, default)`, `get(NAME, "").strip() or default`, up to the statement."""
        while isinstance(node, ast.expr) and (parent := parents.get(node)):
            if isinstance(parent, ast.BoolOp) and isinstance(parent.op, ast.Or):
                return literal(parent.values[-1])
            if isinstance(parent, ast.Call) and node in parent.args:
                after = parent.args[parent.args.index(node) + 1 :]
                if after and literal(after[0]):
                    return literal(after[0])
            node = parent
        return ""

    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and NAME.fullmatch(node.value):
            yield node.value, default(node)

"""What goes into the image, seen without building it."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest
import yaml

from tests.operations.guide import ROOT

PACKAGES = set(
    tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
)
STARTED = {"lake", "publication", "api"}
"""What a person starts with `python -m` in a container; dbt starts what profiles.yml names."""

PROFILES = yaml.safe_load((ROOT / "profiles.yml").read_text())["lead_marts"]["outputs"]


def imported(package: str) -> set[str]:
    """The root packages that one imports, wherever the import stands."""
    found = set()
    for file in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found & PACKAGES


def needed() -> set[str]:
    """The root packages that are imported when something runs."""
    plugins = {
        plugin["module"].partition(".")[0]
        for output in PROFILES.values()
        for plugin in output["plugins"]
    }
    reached, new = set[str](), STARTED | plugins
    while new:
        reached |= new
        new = set().union(*(imported(package) for package in new)) - reached
    return reached


def admitted() -> set[str]:
    """What .dockerignore lets in, at the root."""
    lines = (ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in lines
    return {line[1:] for line in lines if line.startswith("!") and "/" not in line}


def compiled() -> set[str]:
    """What the Dockerfile compiles, because nothing can be written later."""
    (names,) = re.findall(r"compileall -q ([a-z ]+?) \\", (ROOT / "Dockerfile").read_text())
    return set(names.split())


@pytest.mark.parametrize("package", sorted(needed()))
def test_the_image_gets_each_package_that_is_imported(package: str) -> None:
    assert (ROOT / package / "__init__.py").is_file()
    assert package in admitted(), f".dockerignore lacks !{package}"
    assert package in compiled(), f"compileall in the Dockerfile lacks {package}"


def test_what_is_let_in_is_there() -> None:
    gone = sorted(name for name in admitted() if not (ROOT / name).exists())
    assert not gone, f".dockerignore admits what there is not: {', '.join(gone)}"


def test_what_is_only_for_measuring_stays_out() -> None:
    assert PACKAGES - needed() == {"benchmarks"}
    assert "benchmarks" not in admitted()

"""What all tests share: one option, and what is made once for all of pytest's workers."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from publication.durable import exclusive
from tests.api import contract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--contract",
        action="store_true",
        help="Hold every response that an API test gets against the OpenAPI document.",
    )


def pytest_configure(config: pytest.Config) -> None:
    contract.asked_for = config.getoption("--contract")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Builds take longest: when one worker runs out of tests, what is left should be short.
    items.sort(key=lambda item: "pipeline" not in item.path.parts)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[..., Path]:
    """Fills a folder by its name, unless another of pytest's workers has done so; returns it.

    What is in it belongs to all of them: a test that changes it takes a copy.
    """
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent

    def made_once(name: str, fill: Callable[[Path], None]) -> Path:
        folder, made = base / name, base / f"{name}.made"
        with exclusive(base / f"{name}.lock"):
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed
                folder.mkdir()
                fill(folder)
                made.touch()
        return folder

    return made_once

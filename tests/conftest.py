"""What all tests share: one option, what is made once for all of their workers, object stores."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import hypothesis
import pytest

from publication.durable import exclusive
from tests.api import contract
from tests.object_stores import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.object_stores.servers import ObjectStore

# No property is about time, and this machine may be busy.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


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


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ObjectStore]]:
    """S3 and Google Cloud Storage, by their schemes."""
    with servers.moto(tmp_path_factory.mktemp("moto")) as stores:
        yield stores


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Azure Blob Storage, where there is node."""
    if reason := servers.why_no_azurite():
        pytest.skip(reason)
    with servers.azurite(tmp_path_factory.mktemp("azurite")) as store:
        yield store


@pytest.fixture
def no_store_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith(servers.PREFIXES)]:
        monkeypatch.delenv(name)


@pytest.fixture(params=["s3", "gs", "az"])
def object_store(request: pytest.FixtureRequest, no_store_known: None) -> ObjectStore:
    """Each object store in turn; nothing in the environment says where it is yet."""
    if request.param == "az":
        return request.getfixturevalue("azurite")
    return request.getfixturevalue("moto")[request.param]

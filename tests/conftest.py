"""What all tests share: one option, and object stores."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.api import contract
from tests.object_stores import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.object_stores.servers import ObjectStore


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--contract",
        action="store_true",
        help="Hold every response that an API test gets against the OpenAPI document.",
    )


def pytest_configure(config: pytest.Config) -> None:
    contract.asked_for = config.getoption("--contract")


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

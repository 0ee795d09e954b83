"""What all tests share: one option."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.api import contract

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--contract",
        action="store_true",
        help="Hold every response that an API test gets against the OpenAPI document.",
    )


def pytest_configure(config: pytest.Config) -> None:
    contract.asked_for = config.getoption("--contract")

"""The project's own marts carry no personal data, and need no exception to be published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publication import Store

if TYPE_CHECKING:
    from tests.pipeline.conftest import Project


def test_no_mart_of_the_project_has_personal_data_or_an_exception(built_once: Project) -> None:
    manifest = Store(built_once.data / "publications").current()
    assert manifest is not None
    allowed = [
        f"{mart.name}.{column.name}"
        for mart in manifest.marts
        for column in mart.columns
        if column.personal_data_allowed is not None
    ]
    assert allowed == []

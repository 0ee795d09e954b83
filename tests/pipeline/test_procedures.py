"""Backing up, restoring and rolling back with the commands of docs/operations.md."""

from __future__ import annotations

import shutil
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from publication import Store
from tests.operations import guide

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pipeline.conftest import Project


def files(folder: Path) -> dict[str, bytes | Path]:
    """What is below a folder, apart from what the guide says is not needed."""
    return {
        str(path.relative_to(folder)): path.readlink() if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
        if "warehouse.duckdb" not in path.name and ".staging" not in path.parts
    }


def test_what_was_backed_up_is_restored_built_on_and_rolled_back_to(
    built: Project, write_leads: Callable[..., None], tmp_path: Path
) -> None:
    path = f"{Path(sys.executable).parent}:{built.environment['PATH']}"
    environment = built.environment | {"PATH": path}

    def follow(heading: str) -> str:
        return "".join(guide.run(block, tmp_path, environment) for block in guide.commands(heading))

    before = files(built.data)
    follow("Back up")
    shutil.rmtree(built.data)
    assert "Publication 1 is whole" in follow("Restore")
    assert files(built.data) == before

    # The warehouse is lost: the next build makes it anew, of all leads.
    write_leads(built.leads, [{"id": "d", "date_prise_contact": date(2025, 1, 6)}])
    build = built.dbt("build")
    assert build.returncode == 0, build.stdout
    store = Store(built.data / "publications")
    first, second = store.manifest(1), store.manifest(2)
    counted = {mart.name: mart.rows for mart in second.marts}
    assert counted["lead_event_counts_daily"] == 4  # Jan 1, 5, 6 and 9
    assert second.digest != first.digest

    assert "Published 3, which holds what 1 held." in follow("Roll back")
    assert (store.manifest(3).digest, store.manifest(3).rolled_back_to) == (first.digest, 1)

"""What docker-compose.yml promises, seen without running it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from api.pinned import OPEN
from tests.operations import guide

COMPOSE = yaml.safe_load((guide.ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]

ON_THE_VOLUME = {
    *("LEADMARTS_PUBLICATIONS", "LEADMARTS_USERS", "LEADMARTS_SIGNING_KEY_FILE"),
    "LEADMARTS_WORKERS_FOLDER",
}
"""Settings of places: in a container everything lies at the same one."""


def test_the_server_gets_each_setting_that_it_reads_and_no_other() -> None:
    read = {name for name, row in guide.settings().items() if "api" in row.read_by}
    given = {name for name in SERVICES["api"]["environment"] if name.isupper()}
    assert given == read - ON_THE_VOLUME
    assert "env_file" not in SERVICES["api"]
    for name, value in SERVICES["api"]["environment"].items():
        assert name == "LEADMARTS_DATA" or value.startswith(f"${{{name}:-")


def test_what_builds_does_not_get_the_signing_key() -> None:
    for name in ("build", "schedule"):
        assert SERVICES[name]["env_file"] == [".env"]
        assert SERVICES[name]["environment"]["LEADMARTS_SIGNING_KEY"] == ""


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_service_is_locked_in(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert service["restart"] == {"build": "no"}.get(name, "unless-stopped")
    assert service["volumes"] == ["data:/data:ro" if name == "api" else "data:/data"]


def test_the_example_has_only_what_the_guide_explains() -> None:
    example = (guide.ROOT / ".env.example").read_text()
    named = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) - {"AWS_REGION"}
    assert named <= guide.settings().keys()
    secrets = re.findall(r"^#?(\w*(?:KEY|TOKEN|SECRET)\w*)=(.+)", example, re.MULTILINE)
    assert not secrets


def test_a_server_that_drains_is_not_killed_meanwhile() -> None:
    drain = SERVICES["api"]["environment"]["LEADMARTS_DRAIN_SECONDS"]
    assert SERVICES["api"]["stop_grace_period"] == f"1m{drain}s"


def test_what_queries_take_by_default_fits_into_the_container() -> None:
    def default(text: str) -> str:
        return re.fullmatch(r"\$\{\w+:-(.+)\}", text)[1]

    given = SERVICES["api"]["environment"]
    workers = int(default(SERVICES["api"]["command"][-1]))
    processes = int(default(given["LEADMARTS_QUERY_PROCESSES"]))
    memory = int(default(given["LEADMARTS_QUERY_MEMORY"]).removesuffix("MB"))
    whole = default(SERVICES["api"]["deploy"]["resources"]["limits"]["memory"])
    assert whole == "1g"
    # The current publication, the one before, those of `publication=N`, and the server itself.
    assert workers * (220 + processes * memory * (2 + OPEN)) <= 1000

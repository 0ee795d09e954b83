"""What docker-compose.yml promises, seen without running it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

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

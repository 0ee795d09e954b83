"""Rotating keys with the commands of docs/operations.md."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.operations import guide

if TYPE_CHECKING:
    from collections.abc import Callable

READ = "/api/v1/marts/marketing_conversions"


def test_old_keys_and_passwords_end_and_new_ones_hold(
    run_server_in: Callable[..., Any],
    make_publication: Callable[..., Any],
    wait_until: Callable[..., Any],
    tmp_path: Path,
) -> None:
    make_publication(tmp_path / "publications", [])
    new_key, new_password = guide.commands("Rotate keys")
    key = tmp_path / "signing.key"
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(guide.ROOT),
        "LEADMARTS_DATA": str(tmp_path),
        "LEADMARTS_SIGNING_KEY_FILE": str(key),
    }

    def type_in(commands: str, **variables: str) -> None:
        guide.run(commands, tmp_path, environment | variables)

    def serve() -> Any:
        return run_server_in(tmp_path, LEADMARTS_SIGNING_KEY_FILE=str(key))

    type_in(new_key)
    assert key.stat().st_mode & 0o077 == 0
    type_in(new_password, PASSWORD="the first one")
    with serve() as server:
        with server.signed_in("ada", "the first one") as client:
            assert client.get(READ).status_code == 200
            type_in(new_password, PASSWORD="the second one")
            wait_until(lambda: client.get(READ).status_code == 401, what="the old token's end")
        token = server.token("ada", "the second one")
        assert read(server, token) == 200
    type_in(new_key)
    with serve() as server:
        assert read(server, token) == 401
        assert read(server, server.token("ada", "the second one")) == 200


def read(server: Any, token: str) -> int:
    with server.client(headers={"Authorization": f"Bearer {token}"}) as client:
        return client.get(READ).status_code

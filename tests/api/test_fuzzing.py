"""Schemathesis against the running app: what the document allows, and what it does not."""

import subprocess
import sys
from pathlib import Path

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


def test_schemathesis_finds_nothing(run_server_in, tmp_path, make_publication, conversions, events):
    make_publication(tmp_path / "publications", events, conversions)
    # Passwords are checked slowly by intent, so after a few wrong ones the answer is 429.
    with run_server_in(tmp_path, LEADMARTS_TOKEN_RATE_CLIENT="1000000") as server:
        command = [
            *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", CONFIGURATION),
            *("run", f"{server.url}/openapi.json", "--no-color", "--workers", "2"),
            *("--max-examples", "40", "--seed", "1"),
            *("--header", f"Authorization: Bearer {server.token()}"),
        ]
        done = subprocess.run(
            command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=900
        )
    assert done.returncode == 0, done.stdout
    # All but the one that the document itself is read from.
    assert "Tested: 24" in done.stdout

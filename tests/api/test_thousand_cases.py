"""A thousand cases for each operation, links included, against a server as it is in production."""

import sys

import pytest
from argon2 import PasswordHasher

from tests.api.fuzzing import fuzz

LEAST = 1000
USER = ("analyst", "a password of a test")

PRODUCTION = {
    "LEADMARTS_ENV": "production",
    "LEADMARTS_CORS_ORIGINS": "https://pages.example",
    "LEADMARTS_HOSTS": "127.0.0.1",
    "LEADMARTS_HSTS_SECONDS": "31536000",
    "LEADMARTS_SIGNING_KEY": "0123456789abcdef-a-key-of-tests-only",
    # What is refused for its number says nothing of the others.
    "LEADMARTS_QUEUE": "1000",
    "LEADMARTS_TOKEN_RATE_CLIENT": "1000000",
    "LEADMARTS_TOKEN_RATE_USER": "1000000",
}


@pytest.mark.soak
def test_a_thousand_cases_of_each_operation_find_nothing(
    run_server_in,
    tmp_path,
    make_publication,
    make_events,
    add_user,
    conversions,
    events,
    capsys,
    monkeypatch,
):
    make_publication(tmp_path / "publications", make_events(seed=99), conversions)
    make_publication(tmp_path / "publications", events, conversions)
    # By intent a right password takes a fifth of a second, and it is asked for 3,000 times.
    monkeypatch.setattr("api.auth.command.HASHER", PasswordHasher(1, 64, 1))
    add_user(tmp_path / "users.json", *USER)
    with run_server_in(tmp_path, **PRODUCTION) as server:
        fuzzed = fuzz(server, tmp_path, USER, LEAST)
    with capsys.disabled():
        print(summary(fuzzed), file=sys.stderr)  # noqa: T201
    assert fuzzed.clean, fuzzed.output
    assert fuzzed.counts.keys() == fuzzed.operations
    for operation, counted in fuzzed.counts.items():
        assert counted["different"] >= LEAST, operation
        assert not counted.keys() & {"429", "500", "503"}, operation
    # The walks come to where links lead; test_links.py follows each link of the document.
    stateful = {operation for operation, one in fuzzed.counts.items() if one.get("stateful")}
    assert stateful >= {
        "GET /api/v1/publications/{number}",
        "GET /api/v1/marts/{mart}",
        "GET /api/v1/marts/{mart}/changes",
        "POST /api/auth/token",
    }


def summary(fuzzed):
    """What was asked, a line for each operation, and what schemathesis says of it."""
    kinds = ("cases", "different", "positive", "negative", "stateful")
    lines = [
        f"{operation:62}"
        + ", ".join(f"{counted.get(kind, 0)} {kind}" for kind in kinds)
        + "; "
        + ", ".join(f"{counted[one]} of {one}" for one in sorted(counted) if one.isdigit())
        for operation, counted in sorted(fuzzed.counts.items())
    ]
    asked = sum(counted["cases"] for counted in fuzzed.counts.values())
    found = [line.strip("= ") for line in fuzzed.output.splitlines() if line.startswith("=" * 20)]
    said = "; ".join(line for line in found if line.endswith("s"))
    return "\n".join(["", *lines, f"{asked} cases of {len(lines)} operations: {said}"])

"""The containers, built and run for real, as a person starts, uses and stops them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.containers.podman import Podman, podman, why_not
from tests.operations import guide
from tests.served import check_the_demo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "none"),
]

KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0"
STORE_SECRET = "of-the-object-store"


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    with podman(tmp_path_factory.mktemp("containers")) as made:
        yield made


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition: Callable[[], Any], what: str, seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if result := condition():
                return result
        except (httpx.HTTPError, AssertionError):
            pass
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.2)


def test_what_make_up_starts_builds_serves_and_stops(
    machine: Podman, port: int, tmp_path: Path
) -> None:
    said = machine.run("make", "up-detached", fails=True)
    assert "There is no .env: copy .env.example to .env, and fill it in." in said
    configure(machine.project, port)
    url = f"http://127.0.0.1:{port}"

    machine.run("make", "up-detached")
    no_lake_yet(machine, url)
    for block in guide.commands("Start", guide.IN_CONTAINERS)[:1]:
        guide.run(block, machine.project, machine.environment)
    until(lambda: served(url) == 1, "the first publication")
    check_the_demo(url)

    the_image_holds_nothing_else(machine)
    the_server_can_write_nothing_and_knows_no_secret_of_the_lake(machine)
    the_server_is_healthy(machine)
    procedures(machine, url, tmp_path)
    it_builds_on_a_schedule(machine, url)

    machine.run("make", "down")
    assert "api" not in machine.run("podman", "ps", "--all")
    with in_the_foreground(machine):
        until(lambda: served(url) > 0, "what was published before")
    machine.run("make", "down")


def configure(project: Path, port: int) -> None:
    """Fill in what a person fills in."""
    values = {
        "LEADMARTS_SIGNING_KEY": KEY,
        "PORT": str(port),
        "NOTION_TOKEN": STORE_SECRET,
        "BUILD_EVERY": "1",
    }
    lines = (project / ".env.example").read_text().splitlines()
    names = [line.partition("=")[0] for line in lines]
    assert set(values) <= set(names)
    (project / ".env").write_text(
        "".join(
            f"{name}={values[name]}\n" if name in values else f"{line}\n"
            for name, line in zip(names, lines, strict=True)
        )
    )


def served(url: str) -> int:
    """The number of the publication that is served; 0 while there is none."""
    answer = httpx.get(f"{url}/health/ready", timeout=10)
    return answer.json()["publication"] if answer.status_code == 200 else 0


def no_lake_yet(machine: Podman, url: str) -> None:
    answer = until(lambda: httpx.get(f"{url}/health/ready", timeout=10), "the server")
    assert answer.status_code == 503
    assert "There is no publication yet." in answer.text
    sentence = "There is no Delta table leads at /data/lake/leads: make a demo lake"
    until(lambda: sentence in machine.compose("logs", "build"), "the build's end")


def container(machine: Podman, service: str) -> str:
    return machine.run(
        *("podman", "ps", "--all", "--format", "{{.Names}}", "--filter"),
        f"label=com.docker.compose.service={service}",
    ).split()[0]


def inside(machine: Podman, script: str) -> str:
    return machine.run("podman", "exec", container(machine, "api"), "sh", "-c", script)


def the_image_holds_nothing_else(machine: Podman) -> None:
    (image,) = json.loads(machine.run("podman", "image", "inspect", "lead-marts"))
    labels = {name.rpartition(".")[2]: value for name, value in image["Labels"].items()}
    assert (
        labels["version"]
        == inside(machine, "python -c 'import api; print(api.__version__)'").strip()
    )
    assert image["Config"]["User"] == "10001:10001"
    in_the_root = inside(machine, "ls -A").split()
    assert set(in_the_root) == {
        *("LICENSE", "api", "dbt_project.yml", "lake", "macros", "models", "profiles.yml"),
        *("publication", "requirements.lock", "seeds", "telemetry", "tests"),
    }
    assert inside(machine, "ls -A tests") == "dbt\n"
    # Neither the secret of the build nor pip is left.
    assert "no" in inside(machine, "test -e /etc/pip.conf || echo no")
    assert "no" in inside(machine, "command -v pip || echo no")
    assert "wheels" not in machine.run("podman", "history", "--no-trunc", "lead-marts")


def the_server_can_write_nothing_and_knows_no_secret_of_the_lake(machine: Podman) -> None:
    for place in ("/data/x", "/app/x", "/opt/leadmarts/x", "/data/publications/current.json"):
        assert "Read-only file system" in inside(machine, f"touch {place} 2>&1 || true")
    assert inside(machine, "touch /tmp/x && id -u") == "10001\n"
    status = inside(machine, "cat /proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert STORE_SECRET not in inside(machine, "env")
    # A build has the one and not the other.
    of_a_build = machine.compose("run", "--rm", "-T", "build", "env")
    assert STORE_SECRET in of_a_build
    assert KEY not in of_a_build


def the_server_is_healthy(machine: Podman) -> None:
    machine.run("podman", "healthcheck", "run", container(machine, "api"))


def procedures(machine: Podman, url: str, tmp_path: Path) -> None:
    """Do what the guide says, as it says it."""
    environment = machine.environment | {"PASSWORD": "correct horse"}

    def follow(heading: str, *wanted: int) -> None:
        blocks = guide.commands(heading, guide.IN_CONTAINERS)
        for block in [blocks[number] for number in wanted] if wanted else blocks:
            guide.run(block, machine.project, environment)

    def token() -> httpx.Response:
        return httpx.get(f"{url}/api/auth/token/", auth=("ada", "correct horse"), timeout=10)

    def read(answer: httpx.Response) -> int:
        bearer = {"Authorization": f"Bearer {answer.json()['data']['token']}"}
        return httpx.get(
            f"{url}/api/marketing/measurements/", headers=bearer, timeout=10
        ).status_code

    follow("Rotate keys", 1)  # a password
    first = until(lambda: (answer := token()).status_code == 200 and answer, "the user")
    assert read(first) == 200
    follow("Rotate keys", 0)  # the signing key
    assert KEY not in (machine.project / ".env").read_text()
    until(lambda: read(first) == 401, "the new key")
    assert read(token()) == 200

    follow("Back up")
    machine.compose("run", "--rm", "build")
    until(lambda: served(url) == 2, "the second publication")
    follow("Roll back")
    until(lambda: served(url) == 3, "the third publication")

    machine.run("make", "down")
    machine.run("podman", "volume", "rm", "lead-marts_data")
    follow("Restore")
    machine.compose("up", "--detach", "api")
    until(lambda: served(url) == 1, "what was restored")
    check_the_demo(url)
    assert read(token()) == 200


def it_builds_on_a_schedule(machine: Podman, url: str) -> None:
    (schedule,) = guide.commands("Start", guide.IN_CONTAINERS)[1:]
    guide.run(schedule, machine.project, machine.environment)
    until(lambda: served(url) >= 3, "two more builds", seconds=400)
    began = time.monotonic()
    machine.compose("--profile", "schedule", "stop", "schedule")
    assert time.monotonic() - began < 9  # it hears SIGTERM; after 10 s it would be killed


@contextmanager
def in_the_foreground(machine: Podman) -> Iterator[None]:
    """`make up` while the block runs, ended with Ctrl-C."""
    with (machine.folder / "up.log").open("w") as log:
        up = subprocess.Popen(
            ["make", "up"],
            cwd=machine.project,
            env=machine.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(up.pid, signal.SIGINT)
        up.wait(60)

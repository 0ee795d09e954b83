"""The containers on a machine without a Docker engine: podman, and a base image of our own.

Everything lies in one folder. Debian comes from where `debootstrap` takes it by itself, packages of
Python from wherever this machine's pip is told to look: neither is named here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

BASE = "docker.io/library/debian:bookworm-slim"
"""The name by which the Dockerfile's FROM looks for it."""

PROGRAMS = ("podman", "runc", "catatonit", "debootstrap", "git")

PODMAN_COMPOSE = shutil.which(
    "podman-compose", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"
)

CONTAINERS_CONF = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=1024:1024"]
"""

STORAGE_CONF = """
[storage]
driver = "overlay"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""

PIP_CONF = """
[global]
no-index = true
find-links = /wheels
"""

COMPOSE = """#!/bin/sh
exec "{compose}" --in-pod false --podman-build-args "--format docker \\
    --network host --secret id=pip,src={folder}/pip.conf --volume {folder}/wheels:/wheels:ro" "$@"
"""

DOCKER = """#!/bin/sh
test "$1" = compose && shift && exec "{folder}/bin/compose" "$@"
echo 'This stands for docker compose only.' >&2; exit 2
"""


def why_not() -> str:
    """Return why containers cannot be run here; nothing if they can."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        return f"There is no {' and no '.join(missing)} (Debian: apt-get install)."
    if not PODMAN_COMPOSE:
        return "There is no podman-compose (pip install)."
    return "" if os.geteuid() == 0 else "Only root can make a base image with debootstrap."


@dataclass(frozen=True)
class Podman:
    """Podman with a storage of its own.

    Attributes:
        folder: Where everything lies.
        project: A copy of the checkout, in which its owner may leave an `.env`.
    """

    folder: Path
    project: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every command; a `docker compose` is on its path."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LEADMARTS", "DBT", "MAKE", "MFLAGS", "COMPOSE"))
        }
        return inherited | {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "CONTAINERS_CONF": f"{self.folder}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{self.folder}/storage.conf",
            "BUILDAH_ISOLATION": "chroot",
        }

    def run(self, *command: str, text: str | None = None, fails: bool = False) -> str:
        """Run a command in the project to its end; return what it says."""
        done = subprocess.run(
            command,
            cwd=self.project,
            env=self.environment,
            input=text or "",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
            check=False,
        )
        assert (done.returncode != 0) is fails, f"{' '.join(command)}\n{done.stdout}"
        return done.stdout

    def compose(self, *arguments: str, text: str | None = None, fails: bool = False) -> str:
        """Run `docker compose`, which is podman's."""
        return self.run("docker", "compose", *arguments, text=text, fails=fails)


@contextmanager
def podman(folder: Path) -> Iterator[Podman]:
    """Make the base image and fetch the packages; in the end remove every container and image."""
    made = Podman(folder, folder / "project")
    made.project.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (made.project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, made.project / name)
    (folder / "containers.conf").write_text(CONTAINERS_CONF)
    (folder / "storage.conf").write_text(STORAGE_CONF.format(folder=folder))
    (folder / "pip.conf").write_text(PIP_CONF)
    (folder / "bin").mkdir()
    for name, script in (("compose", COMPOSE), ("docker", DOCKER)):
        (folder / "bin" / name).write_text(script.format(folder=folder, compose=PODMAN_COMPOSE))
        (folder / "bin" / name).chmod(0o755)
    made.run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"),
        *("--python-version", "3.11", "--only-binary", ":all:"),
        *("--requirement", "requirements.lock", "--dest", f"{folder}/wheels"),
    )
    made.run("debootstrap", "--variant=minbase", "bookworm", f"{folder}/base")
    made.run("sh", "-c", f"tar -C {folder}/base -c . | podman import - {BASE}")
    try:
        yield made
    finally:
        made.run("podman", "system", "reset", "--force")

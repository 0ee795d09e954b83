"""`.ci/programs`: what CI installs so that no test is skipped, and that it never stops CI."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.operations.guide import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = ("bash", "env", "timeout", "mktemp", "grep", "tail", "rm", "sleep", "touch", "chmod")
PROGRAMS = {
    "chromium": "chromium",
    "nginx": "nginx",
    "varnish": "varnishd",
    "prometheus": "promtool",
}

MAKES = """#!/usr/bin/env bash
for word; do package=$word; done
case $package in
{cases}
esac
[[ "$*" == *--download-only* || -z "${{program:-}}" ]] && exit 0
touch "{folder}/$program" && chmod +x "{folder}/$program"
"""


def run(folder: Path, apt: str, user: int = 0, **variables: str) -> subprocess.CompletedProcess:
    """Run it on a machine that has these tools, this apt-get, and none of the programs."""
    for tool in TOOLS:
        (folder / tool).symlink_to(shutil.which(tool))
    for name, text in (("apt-get", apt), ("id", f"#!/usr/bin/env bash\necho {user}\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    script = (ROOT / ".ci" / "programs").read_text()
    own = script.replace("PATH=$PATH:/usr/sbin:/usr/local/sbin\n", "")
    assert own != script
    copy = folder / "programs"
    copy.write_text(own)
    return subprocess.run(
        [folder / "bash", copy],
        env={"PATH": str(folder), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_is_missing_is_installed(tmp_path: Path) -> None:
    cases = "\n".join(f"{package}) program={name};;" for package, name in PROGRAMS.items())
    done = run(tmp_path, MAKES.format(cases=cases, folder=tmp_path), CI="true")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert all(shutil.which(name, path=tmp_path) for name in PROGRAMS.values())


def test_an_installation_that_has_begun_is_let_end(tmp_path: Path) -> None:
    """However long it takes: dpkg that is stopped in the middle is broken."""
    makes = MAKES.format(cases="chromium) program=chromium;;", folder=tmp_path)
    slow = makes.replace("exit 0\n", "exit 0\nsleep 2\n")
    assert slow != makes
    done = run(tmp_path, slow, CI="true", PATIENCE="1")
    assert shutil.which("chromium", path=tmp_path)
    assert done.stderr.startswith("Not installed: nginx varnish prometheus. Tests that need them")


@pytest.mark.parametrize(
    ("apt", "why"),
    [
        (
            "#!/usr/bin/env bash\necho 'E: There is no network' >&2\nexit 100\n",
            "E: There is no net",
        ),
        ("#!/usr/bin/env bash\nexit 0\n", "apt-get could not within 2 seconds"),
        ("#!/usr/bin/env bash\nexec sleep 600\n", "apt-get could not within 2 seconds"),
    ],
)
def test_what_cannot_be_installed_is_a_sentence(tmp_path: Path, apt: str, why: str) -> None:
    done = run(tmp_path, apt, CI="true", PATIENCE="2")
    assert done.returncode == 0
    assert done.stderr.startswith("Not installed: chromium nginx varnish prometheus. Tests that")
    assert why in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("user", "ci"), [(0, ""), (0, "false"), (1000, "true")])
def test_nobody_else_gets_anything_installed(tmp_path: Path, user: int, ci: str) -> None:
    done = run(tmp_path, f'#!/usr/bin/env bash\ntouch "{tmp_path}/asked"\n', user, CI=ci)
    assert done.returncode == 0
    assert "only CI installs them" in done.stderr
    assert not (tmp_path / "asked").exists()


def test_ci_runs_it_first() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-2:] == [".ci/programs", "exec make test"]
    assert os.access(ROOT / ".ci" / "programs", os.X_OK)

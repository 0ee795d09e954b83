"""``python .ci/audit.py``: look for known vulnerabilities of what the lock file names.

pip-audit asks OSV (https://osv.dev). A machine that cannot reach it says so and goes on; a
vulnerability is an error. What else is said here goes to pip-audit.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements-dev.lock"

PATIENCE = 90
"""Seconds for all of it, so that a network that swallows everything stops no check."""

UNREACHED = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "Timeout", "ServiceError")
"""What pip-audit's errors are called if it is the network."""


def audit(lock: Path, *options: str) -> int:
    """Audit a lock file and say in lines what was found.

    Args:
        lock: The file.
        options: Further ones for pip-audit.

    Returns:
        The exit code: 1 if there are vulnerabilities, or if it cannot be audited for another
        reason than the network.
    """
    command = [
        *(sys.executable, "-m", "pip_audit", "-r", str(lock), "--disable-pip", "--no-deps"),
        *("--vulnerability-service", "osv", "--timeout", "3"),
        *("--progress-spinner", "off", "-f", "json", *options),
    ]
    try:
        ended = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return _say("The dependencies were NOT audited: osv.dev takes too long to answer.", 0)
    try:
        found = json.loads(ended.stdout)["dependencies"]
    except json.JSONDecodeError:
        if any(name in ended.stderr for name in UNREACHED):
            return _say("The dependencies were NOT audited: osv.dev cannot be reached.", 0)
        return _say(ended.stderr, 1)
    if skipped := [one for one in found if "vulns" not in one]:
        names = ", ".join(one["name"] for one in skipped)
        return _say(f"The dependencies cannot all be audited: {names}.", 1)
    vulnerable = [
        f"{one['name']} {one['version']}: {vulnerability['id']}, "
        f"fixed in {', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for one in found
        for vulnerability in one["vulns"]
    ]
    if vulnerable:
        return _say("\n".join(["Dependencies have known vulnerabilities:", *vulnerable]), 1)
    return _say(f"{len(found)} dependencies have no known vulnerabilities.", 0)


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"{text}\n")
    return code


if __name__ == "__main__":
    arguments = sys.argv[1:]
    named = Path(arguments.pop(0)) if arguments and not arguments[0].startswith("-") else LOCK
    sys.exit(audit(named, *arguments))

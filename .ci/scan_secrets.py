"""``python .ci/scan_secrets.py``: look for secrets in what git has; ``--accept``: they are none.

``.secrets.baseline`` holds what was looked at and found to be none, as hashes: passwords that only
tests have, and the demo user's. detect-secrets looks, offline.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from detect_secrets.core import baseline
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).parents[1]
BASELINE = ROOT / ".secrets.baseline"


def scan(*, accept: bool) -> int:
    """Scan, and say in lines what is new.

    Args:
        accept: Whether what is found is none, and to be written down as such.

    Returns:
        The exit code: 1 if something is new.
    """
    before = json.loads(BASELINE.read_text(encoding="utf-8"))
    listed = subprocess.run(
        ["git", "ls-files", "-z"], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout
    os.chdir(ROOT)  # names in the baseline are as git has them, wherever the repository lies
    files = [name for name in listed.split("\0") if name and Path(name).is_file()]
    with transient_settings(before):
        found = SecretsCollection()
        found.scan_files(*files)
        if accept:
            baseline.save_to_file(found, str(BASELINE))
            return 0
        new = found - baseline.load(before)
    for name, secret in new:
        sys.stderr.write(f"{name}:{secret.line_number}: {secret.type}\n")
    if new:
        sys.stderr.write(
            "Something looks like a secret: take it out, and change it where it is used. "
            "If it is none, say so with `make accept-secrets`.\n"
        )
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(scan(accept="--accept" in sys.argv[1:]))

"""How publications that are swapped in show in the latency of a probe."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.request import urlopen

import click

from benchmarks.probe import compared, probe
from benchmarks.workplace import ROOT, Workplace, rounds_option, seconds_option

PUBLISH = """
import sys, time
from publication import Store

store = Store.from_environment()
deadline = time.monotonic() + float(sys.argv[1])
while time.monotonic() < deadline:
    store.rollback(store.current().number - 1)
    time.sleep(1)
"""
"""Goes back and forth between two contents, each time under the next number, once a second."""


def served(url: str) -> int:
    """The number of the publication that is served."""
    with urlopen(f"{url}/health/ready", timeout=10) as answer:  # noqa: S310 -- loopback
        return int(json.load(answer)["publication"])


@click.command("swaps")
@rounds_option(5)
@seconds_option(10)
def command(rounds: int, seconds: int) -> None:
    """p99 of /health/live while a publication a second is swapped in, against the quiet p99."""
    with tempfile.TemporaryDirectory() as folder:
        workplace = Workplace(Path(folder) / "data")
        for seed in "12":
            workplace.run("python", "-m", "lake", "demo", "--seed", seed, "--force")
            workplace.run("dbt", "build")
        with workplace.server("api.app:create_app", factory=True) as url:
            quiet, busy = [], []
            for _ in range(rounds):
                quiet.append(probe(url, seconds))
                before = served(url)
                with subprocess.Popen(
                    [sys.executable, "-c", PUBLISH, str(seconds)],
                    cwd=ROOT,
                    env=workplace.environment,
                ) as publisher:
                    busy.append(probe(url, seconds))
                if publisher.returncode != 0:
                    raise RuntimeError("the publisher failed")
                if served(url) - before < seconds / 2:
                    raise RuntimeError("the server did not follow the publisher")
    for line in compared(busy, quiet):
        click.echo(f"{line}, with a publication every second")

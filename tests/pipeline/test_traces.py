"""One trace from a load to the swap of what was built from it, as a collector gets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from publication import Store
from tests.collector import collecting

if TYPE_CHECKING:
    from tests.pipeline.conftest import Project

LEADS = Path(__file__).with_name("leads.csv")
SCHEDULED = "0af7651916cd43dd8448eb211c80319c"


def test_one_trace_shows_load_build_publication_and_swap(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector:
        for name, value in collector.variables.items():
            monkeypatch.setenv(name, value)
        loaded = project.run("python", "-m", "lake", "load", "leads", str(LEADS))
        assert loaded.returncode == 0, loaded.stdout
        build = project.dbt("build", LEADMARTS_LOG_FORMAT="json")
        assert build.returncode == 0, build.stdout
        with project.api() as client:
            deadline = time.monotonic() + 30
            while client.get("/health/ready").status_code != 200:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    spans = {span.span_id: span for span in collector.spans}
    (load,) = collector.named("lake load")
    (run,) = collector.named("dbt build")
    (publish,) = collector.named("publish")
    (swap,) = collector.named("swap")
    for span in (load, run, publish, swap):
        assert span.trace_id == load.trace_id
        assert not span.failed
    above = [spans[span.parent_id].name for span in (run, publish, swap)]
    assert above == ["lake load", "dbt build", "publish"]
    models = [span for span in collector.named("dbt model") if span.parent_id == run.span_id]
    assert "model.lead_marts.lead_event_counts_weekly" in {
        span.attributes["dbt.node"] for span in models
    }
    assert {load.service, run.service, swap.service} == {
        "lead-marts-lake",
        "lead-marts-dbt",
        "lead-marts-api",
    }
    # dbt's own lines stay; ours belong to the trace.
    lines = [json.loads(line) for line in build.stdout.splitlines() if line.startswith("{")]
    assert "Completed successfully" in {line["message"] for line in lines}
    assert {line["trace_id"] for line in lines if line["event"] == "LogModelResult"} == {
        load.trace_id
    }
    manifest = Store(project.data / "publications").current()
    assert manifest is not None
    assert manifest.traceparent == f"00-{load.trace_id}-{publish.span_id}-01"


def test_who_starts_a_command_may_name_its_trace(built: Project) -> None:
    with collecting() as collector:
        told = {"TRACEPARENT": f"00-{SCHEDULED}-b7ad6b7169203331-01", **collector.variables}
        shown = built.run("python", "-m", "publication", "rollback", "9", **told)
        assert shown.returncode == 1
        assert shown.stdout.count("\n") == 1  # the sentence, as without a collector
    (span,) = collector.named("publication rollback")
    assert (span.trace_id, span.parent_id) == (SCHEDULED, "b7ad6b7169203331")
    assert span.failed


HEAR = """
import os, sys
def hear(event, args):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        with open(os.environ["HEARD"], "a") as heard:
            heard.write(f"{event} {args[1:] if event == 'socket.connect' else args}\\n")
sys.addaudithook(hear)
"""


@pytest.mark.parametrize("configured", [False, True], ids=["nobody", "a collector"])
def test_nothing_is_sent_and_no_sender_imported_unless_somebody_is_named(
    project: Project, tmp_path: Path, configured: bool
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HEAR)
    heard = tmp_path / "heard"
    heard.touch()
    script = (
        "import sys; from click.testing import CliRunner; from lake.__main__ import main\n"
        f"done = CliRunner().invoke(main, ['load', 'leads', {str(LEADS)!r}])\n"
        "assert done.exit_code == 0, done.output\n"
        "from api.app import create_app; create_app()\n"
        "print('logfire' in sys.modules)"
    )
    with collecting() as collector:
        path = os.pathsep.join([str(tmp_path), project.environment["PYTHONPATH"]])
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=project.environment
            | {"HEARD": str(heard), "PYTHONPATH": path}
            | (collector.variables if configured else {}),
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    assert done.stdout.split() == [str(configured)]
    assert bool(collector.requests) is configured
    assert ("socket.connect" in heard.read_text()) is configured
    if not configured:
        assert heard.read_text() == ""


def test_a_token_sends_to_logfire(project: Project) -> None:
    with collecting() as collector:
        told = {"LOGFIRE_TOKEN": "pylf_v1_us_0123456789abcdef", "LOGFIRE_BASE_URL": collector.url}
        loaded = project.run("python", "-m", "lake", "load", "leads", str(LEADS), **told)
        assert loaded.returncode == 0, loaded.stdout
        assert loaded.stdout.count("\n") == 1, loaded.stdout
    assert "lake load" in {span.name for span in collector.spans}
    sent = dict(collector.requests)
    assert told["LOGFIRE_TOKEN"] in sent["/v1/traces"]


def test_a_collector_that_is_away_costs_a_line_and_little_time(project: Project) -> None:
    begun = time.monotonic()
    loaded = project.run(
        *("python", "-m", "lake", "load", "leads", str(LEADS)),
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )
    assert loaded.returncode == 0, loaded.stdout
    assert time.monotonic() - begun < 90
    assert "Traceback" not in loaded.stdout
    assert "leads: 60 inserted" in loaded.stdout

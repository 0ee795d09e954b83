"""What `make check` says of dependencies and of secrets."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

PIN = "somepackage==1.0 --hash=sha256:" + "0" * 64


@pytest.fixture
def osv():
    """Runs a service that answers OSV's question about one package, as a context manager."""

    @contextmanager
    def answering(vulnerabilities):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                body = json.dumps({"vulns": vulnerabilities} if vulnerabilities else {}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
            server.shutdown()

    return answering


def audit(tmp_path, url):
    (tmp_path / "a.lock").write_text(PIN)
    return subprocess.run(
        [sys.executable, ".ci/audit.py", str(tmp_path / "a.lock"), "--osv-url", url],
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_vulnerability_is_an_error(tmp_path, osv):
    known = {
        "id": "PYSEC-2026-1",
        "summary": "It lets everybody in.",
        "affected": [
            {
                "package": {"name": "somepackage", "ecosystem": "PyPI"},
                "ranges": [
                    {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}
                ],
                "versions": ["1.0"],
            }
        ],
    }
    with osv([known]) as url:
        ended = audit(tmp_path, url)
    assert ended.returncode == 1
    assert "somepackage 1.0: PYSEC-2026-1, fixed in 1.1" in ended.stderr
    with osv([]) as url:
        ended = audit(tmp_path, url)
    assert (ended.returncode, ended.stderr) == (
        0,
        "1 dependencies have no known vulnerabilities.\n",
    )


def test_what_cannot_be_audited_is_said_in_a_line(tmp_path):
    ended = audit(tmp_path, "http://127.0.0.1:9/v1/query")
    assert (ended.returncode, ended.stderr) == (
        0,
        "The dependencies were NOT audited: osv.dev cannot be reached.\n",
    )

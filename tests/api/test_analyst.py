"""An analyst who opens the marts file again and again, and not read-only, is in nobody's way."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from publication import Store

WEEK = "/api/v1/transformation/count_date_by_week"
SCRIPT = Path(__file__).with_name("open_again_and_again.py")
AS_OWNER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
"""Without it root may write what nobody may; with it root is an owner like any other."""


@pytest.fixture
def analyst(tmp_path):
    """Starts an analyst; call what is returned to hear how that went."""
    started = []

    def start(*before):
        command = [*before, sys.executable, SCRIPT, tmp_path / "marts.duckdb"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)

        def ended():
            output, _ = process.communicate("", timeout=60)
            assert process.returncode == 0
            return Counter(json.loads(output))

        return ended

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"),
    reason="root may write what nobody may, and without setpriv cannot be kept from it",
)
def test_publications_are_made_and_served_all_the_same(
    run_server, tmp_path, make_publication, make_events, model, wait_until, analyst
):
    folder = tmp_path / "publications"
    make_publication(folder, make_events(0))
    ended = analyst(*(AS_OWNER if os.geteuid() == 0 else []))
    asked, stop = [], threading.Event()
    with run_server() as server, server.client() as client:

        def ask():
            with server.client() as another:
                while not stop.wait(0.01):
                    answer = another.get(WEEK)
                    asked.append((answer.status_code, int(answer.headers["publication"])))

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            for number in range(2, 5):
                assert make_publication(folder, make_events(number)).number == number
                wait_until(
                    lambda n=number: client.get(WEEK).headers["publication"] == str(n), seconds=10
                )
                assert client.get(WEEK).json() == model(make_events(number), "week")
        finally:
            stop.set()
            asking.join()
        said = ended()
        assert "Publication refused" not in server.log()
    assert {status for status, _ in asked} == {200}
    assert [number for _, number in asked] == sorted(number for _, number in asked)
    assert said.keys() == {"IOException: Permission denied"}
    assert said.total() > 20
    for number in range(1, 5):
        Store(folder).verify(number)
    assert not list(folder.glob("*.wal"))

"""Ten minutes of everything at once: builds, some of them killed, clients, and an analyst.

`LEADMARTS_SOAK_MINUTES` makes them fewer or more.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from publication import PublicationError, Store
from tests.pipeline.conftest import ROOT
from tests.pipeline.known_answers import Publications, is_right

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pipeline.conftest import Project
    from tests.pipeline.quick_dbt import QuickDbt

MINUTES = float(os.environ.get("LEADMARTS_SOAK_MINUTES") or 10)
EVERY = 5.0
"""Seconds between two publications: a build's, or a rollback's where a build takes longer."""

CLIENTS = 4
DEMO = ("marketing_op", "marketing_op_supersecret")
UNCHECKED = {("POST", "/api/auth/token"), ("POST", "/api/token")}
"""They are asked, but what they answer is a new token each time: 200 is enough."""

REFUSALS = 100
"""How often in a minute the analyst, who may open nothing, tries at least."""

ANALYST = ROOT / "tests" / "api" / "open_again_and_again.py"
AS_OWNER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


class Client(threading.Thread):
    """Asks every route again and again, in an order of its own, and keeps what was not right."""

    def __init__(self, base: httpx.URL, kept: Publications, stop: threading.Event, seed: int):
        super().__init__(daemon=True)
        self._base, self._kept, self._stopped = base, kept, stop
        self._chance = random.Random(seed)  # noqa: S311 nothing secret
        self.wrong: list[str] = []
        self.right: Counter[tuple[str, str]] = Counter()
        self.documented: set[tuple[str, str]] = set()
        self.statuses: Counter[int] = Counter()
        self._newest = 0

    def run(self) -> None:
        with httpx.Client(base_url=self._base, timeout=60) as client:
            token = client.get("/api/auth/token", auth=DEMO).json()["data"]["token"]
            client.headers["Authorization"] = f"Bearer {token}"
            while not self._stopped.is_set():
                try:
                    paths = self._paths(client)
                    self._chance.shuffle(paths)
                    for path in paths:
                        if not self._stopped.is_set():
                            self._ask(client, *path)
                except Exception as error:  # noqa: BLE001 it is told, and fails the test
                    self.wrong.append(repr(error))

    def _paths(self, client: httpx.Client) -> list[tuple[str, str, str]]:
        """Every method and path of the current document, and how it is asked."""
        paths = []
        for path, methods in client.get("/openapi.json").json()["paths"].items():
            asked = path
            if "{mart}" in path:
                asked = path.replace("{mart}", "lead_event_counts_daily")
            if path.endswith("/changes"):
                asked += f"?since={max(self._newest - 1, 1)}"
            elif path.startswith("/api/v1/marts/"):
                asked += self._chance.choice(["", ".csv", ".arrow", ".parquet"])
            elif path.startswith("/api/marketing/"):
                asked += "?page_size=100"
            paths += [
                (method.upper(), path, asked) for method in methods if method in {"get", "post"}
            ]
        self.documented |= {(method, path) for method, path, _ in paths}
        return paths

    def _ask(self, client: httpx.Client, method: str, route: str, path: str) -> None:
        asked, allowed, more = path, {200}, {}
        if "token" in path:
            more = {"auth": DEMO}
            if method == "POST":
                more = {"data": dict(zip(("username", "password"), DEMO, strict=True))}
                more["data"]["grant_type"] = "password"
        if "since=" in path:
            allowed = {200, 410}
        if "{number}" in path:
            number = max(self._newest - self._chance.randrange(8), 1)
            asked, allowed = path.replace("{number}", str(number)), {200, 410}
        answer = client.request(method, asked, **more)
        self.statuses[answer.status_code] += 1
        number = int(answer.headers.get("publication", "0"))
        if answer.status_code not in allowed:
            self.wrong.append(f"{answer.status_code} for {method} {asked}: {answer.text[:300]}")
        elif number and number < self._newest:
            self.wrong.append(f"{number} after {self._newest} for {asked}")
        elif answer.status_code == 200 and method == "GET":
            self._newest = max(number, self._newest)
            self._check(route, path, answer, number)

    def _check(self, route: str, path: str, answer: httpx.Response, number: int) -> None:
        self._kept.keep()
        if is_right(self._kept, path, answer, number or self._newest):
            self.right["GET", route] += 1
        else:
            self.wrong.append(f"{path} of {number}: {answer.text[:300]}")


def build_and_kill(
    dbt: QuickDbt, change: Callable[[], None], stop: threading.Event, codes: Counter[int]
) -> None:
    """Change the lake and build, as often as there is time; every second build is killed."""
    chance = random.Random(1)  # noqa: S311 nothing secret
    while not stop.is_set():
        started = time.monotonic()
        change()
        dies = 0 if codes.total() % 2 else chance.randrange(1, 250)
        codes[dbt.run("build", dies=dies).code] += 1
        stop.wait(max(0.0, EVERY - (time.monotonic() - started)))


def publish_in_time(store: Store, kept: Publications, stop: threading.Event) -> None:
    """Roll back to an older publication where no build has published for so long."""
    newest, since = kept.keep(), time.monotonic()
    while not stop.wait(0.2):
        if (number := kept.keep()) != newest:
            newest, since = number, time.monotonic()
        elif time.monotonic() - since > EVERY:
            with suppress(PublicationError):  # the build came first, or removed it meanwhile
                store.rollback(store.manifests()[1].number)


@pytest.mark.soak
@pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"),
    reason="root may write what nobody may, and without setpriv cannot be kept from it",
)
def test_ten_minutes_of_everything(quick_dbt: QuickDbt, project_in: Callable[..., Project]) -> None:
    project = project_in(quick_dbt.data)
    demo = ["python", "-m", "lake", "demo", "--leads", "500", "--days", "120", "--seed", "1"]
    done = project.run(*demo)
    assert done.returncode == 0, done.stdout
    for _ in range(2):
        assert quick_dbt.run("build").code == 0
    made = 0

    def change() -> None:
        nonlocal made
        made += 1
        day = date.today() - timedelta(days=made % 100)  # noqa: DTZ011 any will do
        lead = pa.table({"id": [f"new-{made}"], "date_relance": [day]})
        write_deltalake(project.leads, lead, mode="append", schema_mode="merge")

    publications = project.data / "publications"
    kept = Publications(publications, project.data / "kept")
    first = kept.keep()
    stop, codes = threading.Event(), Counter[int]()
    store = Store(publications, project.data / "marts.duckdb")
    analyst = subprocess.Popen(
        [*(AS_OWNER if os.geteuid() == 0 else []), sys.executable, ANALYST, store.link],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        # Overload is tested elsewhere: here there is room for all clients, and a 503 is wrong.
        with project.api(LEADMARTS_TOKEN_RATE_CLIENT="1000000", LEADMARTS_QUEUE="16") as client:
            clients = [Client(client.base_url, kept, stop, seed) for seed in range(CLIENTS)]
            threads: list[threading.Thread] = [
                *clients,
                threading.Thread(target=build_and_kill, args=(quick_dbt, change, stop, codes)),
                threading.Thread(target=publish_in_time, args=(store, kept, stop)),
            ]
            for thread in threads:
                thread.start()
            stop.wait(60 * MINUTES)
            stop.set()
            for thread in threads:
                thread.join(180)
                assert not thread.is_alive()
            ready = client.get("/health/ready").json()
            refusals: list[Any] = [ready["refused"]]
    finally:
        stop.set()
        lived = analyst.poll() is None
        heard, _ = analyst.communicate("", timeout=60)
    last = kept.keep()
    statuses = sum((one.statuses for one in clients), Counter[int]())
    right = sum((one.right for one in clients), Counter[tuple[str, str]]())
    documented = set().union(*(one.documented for one in clients))
    sys.stdout.write(
        f"{last - first} publications, builds by exit code {dict(codes)}, "
        f"{right.total()} answers of {len(right)} routes checked, statuses {dict(statuses)}, "
        f"analyst {heard}\n"
    )
    assert [one.wrong for one in clients] == [[]] * CLIENTS
    assert refusals == [None]
    assert set(right) == documented - UNCHECKED
    # A machine that is busy is late; one publication in ten seconds would be half of them.
    assert last - first > 0.5 * MINUTES * 60 / EVERY
    assert codes.keys() <= {0, -signal.SIGKILL}
    assert codes[0] > 0
    assert codes[-signal.SIGKILL] > 0
    assert lived, "the analyst's process ended before its time"
    assert analyst.returncode == 0
    told = json.loads(heard)
    assert set(told) == {"IOException: Permission denied"}
    assert told.popitem()[1] >= REFUSALS * MINUTES
    store.verify(last)

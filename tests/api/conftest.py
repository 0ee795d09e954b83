"""A real server over real publications, and what its answers must be, counted in plain Python."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import httpx
import psutil
import pyarrow as pa
import pytest
from click.testing import CliRunner

from api.auth.command import users as users_command
from api.opened import open_publication
from api.querying.pool import Processes
from publication import Build, Column, Draft, Manifest, MartDraft, Source, Store
from tests.api import contract
from tests.api.factories import ConversionFactory
from tests.forked import Forked, import_early

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from tests.api.factories import Conversion

# In the order of the answers, which is not that of the funnel.
EVENT_DATES = (
    "date_prise_contact",
    "date_reponse_prospect",
    "date_appel_booke",
    "date_appel_propose",
    "date_relance",
)
ROUTES = {
    "week": "/api/v1/transformation/count_date_by_week",
    "month": "/api/v1/transformation/count_date_by_month",
}
LABELS = {"week": "semaine", "month": "mois"}

Event = tuple[str, date]

import_early(
    "api.__main__",
    "api.app",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.loops.uvloop",
    "uvicorn.lifespan.on",
)

OPERATOR = ("operator", "a good password")
NOBODY = ("nobody", "another good password")  # who may nothing special
DEMO_PASSWORD = "marketing_op_supersecret"
KEY = "0123456789abcdef-a-key-of-tests-only"


def label(grain: str, day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}" if grain == "week" else day.isoformat()[:7]


def first_day(grain: str, day: date) -> date:
    return day - timedelta(days=day.weekday()) if grain == "week" else day.replace(day=1)


def expected(
    events: list[Event],
    grain: str,
    date_cols: tuple[str, ...] = EVENT_DATES,
    start: date | None = None,
    end: date | None = None,
    dense: bool = False,
) -> list[dict[str, Any]]:
    """What the routes answer, counted from the events themselves."""
    kept = [
        (event, day)
        for event, day in events
        if event in date_cols
        and (start is None or first_day(grain, day) >= start)
        and (end is None or first_day(grain, day) <= end)
    ]
    counts = Counter((first_day(grain, day), event) for event, day in kept)
    periods = {first_day(grain, day) for _, day in kept}
    if dense and (start or periods) and (end or periods):
        day, last = start or min(periods), end or max(periods)
        while day <= last:
            if first_day(grain, day) == day:
                periods.add(day)
            day += timedelta(days=1)
    columns = [event for event in EVENT_DATES if event in date_cols]
    return [
        {LABELS[grain]: label(grain, day)} | {event: counts[day, event] for event in columns}
        for day in sorted(periods)
    ]


CONVERSIONS = {
    "product": "VARCHAR",
    "campaign_type": "VARCHAR",
    "campaign": "VARCHAR",
    "channel": "VARCHAR",
    "date": "DATE",
    "week_start": "DATE",
    "conversions": "DOUBLE",
}


def publish(
    folder: Path,
    events: list[Event],
    conversions: Sequence[Conversion] | None = (),
    *,
    keep: int = 5,
    scope: str | None = "marketing:read",
    scopes: Mapping[str, str | None] | None = None,
    more: Mapping[str, str] | None = None,
    keys: int = 1,
) -> Manifest:
    """Publish the marts of some events and conversions, as a dbt run would.

    More marts are made of SQL, by name; their first column is their grain, or so many of them.
    As in a build, their rows are in its order.

    Without conversions (None) it is what a version without that mart published. The scope is that
    of the mart of conversions; others are open, but for those that have one by their name.
    """
    scopes = scopes or {}
    link = folder.parent / "marts.duckdb"
    store = Store(folder, link=link, keep=keep, keep_for=timedelta(0))
    staged = store.stage("a-test")
    marts = []
    with duckdb.connect(str(staged)) as connection:
        for grain, name in (("week", "weekly"), ("month", "monthly")):
            mart = f"lead_event_counts_{name}"
            types = {f"{grain}_start": "DATE", LABELS[grain]: "VARCHAR"}
            types |= dict.fromkeys(EVENT_DATES, "BIGINT")
            spelled = ", ".join(f"{column} {kind}" for column, kind in types.items())
            connection.execute(f"create table {mart} ({spelled})")
            days = sorted({first_day(grain, day) for _, day in events})
            counted = pa.Table.from_pylist(
                [
                    {f"{grain}_start": day} | row
                    for day, row in zip(days, expected(events, grain), strict=True)
                ]
            )
            if events:
                connection.execute(f"insert into {mart} by name from counted")
            del counted
            columns = tuple(
                Column(name=column, type=kind, nullable=False, description=f"The {column}.")
                for column, kind in types.items()
            )
            marts.append(
                MartDraft(
                    name=mart,
                    description=f"Lead events. One row per {grain}.",
                    grain=(f"{grain}_start",),
                    scope=scopes.get(mart, "open"),
                    columns=columns,
                    tests=(),
                )
            )
        if conversions is not None:
            spelled = ", ".join(f"{column} {kind}" for column, kind in CONVERSIONS.items())
            connection.execute(f"create table marketing_conversions ({spelled})")
            # Not in order: whoever reads it has to sort.
            made = pa.Table.from_pylist(
                [asdict(one) | {"week_start": first_day("week", one.date)} for one in conversions]
            )
            if conversions:
                connection.execute("insert into marketing_conversions by name from made")
            del made
            columns = tuple(
                Column(name=column, type=kind, nullable=False, description=f"The {column}.")
                for column, kind in CONVERSIONS.items()
            )
            marts.append(
                MartDraft(
                    name="marketing_conversions",
                    description="Conversions. One row per product, campaign, channel and day.",
                    grain=("product", "campaign_type", "campaign", "channel", "date"),
                    scope=scope,
                    columns=columns,
                    tests=(),
                )
            )
        for name, sql in (more or {}).items():
            by = ", ".join(str(place + 1) for place in range(keys))
            connection.execute(f'create table "{name}" as from ({sql}) order by {by}')
            columns = tuple(
                Column(name=column, type=kind, nullable=place >= keys, description=f"The {column}.")
                for place, (column, kind, *_) in enumerate(
                    connection.execute(f'describe "{name}"').fetchall()
                )
            )
            marts.append(
                MartDraft(
                    name=name,
                    description="More. One row per number.",
                    grain=tuple(column.name for column in columns[:keys]),
                    scope=scopes.get(name, "open"),
                    columns=columns,
                    tests=(),
                )
            )
    build = Build(
        invocation_id="a-test",
        command="dbt build",
        project_version="0.1.0",
        git_commit=None,
        tests="passed",
    )
    source = Source(
        name="leads",
        uri="data/lake/leads",
        table_id="6f6c0c2e-9f1c-4f6e-8a57-8d4b3a1e3a10",
        version=3,
        committed_at="2025-01-31T12:00:00Z",
    )
    return store.publish(staged, Draft(build=build, sources=(source,), marts=tuple(marts)))


def some_events(seed: int, count: int = 400) -> list[Event]:
    """Events over some years with gaps, with ISO-week edges, and with one that never happens."""
    chance = random.Random(seed)  # noqa: S311 the same events each time, nothing secret
    edges = ["2020-12-28", "2021-01-01", "2021-01-03", "2024-02-29", "2024-12-30", "2026-01-01"]
    events = [(EVENT_DATES[0], date.fromisoformat(edge)) for edge in edges]
    for _ in range(count):
        # Squared, so that weeks are full at one end and empty at the other.
        day = date(2019, 6, 1) + timedelta(days=int(chance.random() ** 2 * 2500))
        events.append((chance.choice(EVENT_DATES[:4]), day))
    return events


@dataclass
class Server:
    """A running server: where it is, its process, and what it has logged."""

    url: str
    process: subprocess.Popen[bytes] | Forked
    log_file: Path
    may_fail: bool = False  # a test that makes the server fail says so

    def log(self) -> str:
        return self.log_file.read_text()

    def processes(self) -> list[psutil.Process]:
        """The server's process, and those that ask DuckDB for it."""
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def memory(self) -> int:
        """How many bytes of memory they have."""
        return sum(process.memory_info().rss for process in self.processes())

    def descriptors(self) -> int:
        """How many files and sockets they have open."""
        return sum(process.num_fds() for process in self.processes())

    def open_databases(self) -> set[str]:
        """The files of DuckDB that they have open."""
        files = [file.path for process in self.processes() for file in process.open_files()]
        return {path for path in files if ".duckdb" in path}

    def client(self, **options: Any) -> httpx.Client:
        """A client that sends no Accept-Encoding unless told to."""
        client = contract.Client(base_url=self.url, timeout=60, verify=contract.NO_TLS, **options)
        del client.headers["accept-encoding"]
        return client

    def token(self, name: str = "marketing_op", password: str = DEMO_PASSWORD) -> str:
        """Sign in and return the access token."""
        with self.client() as client:
            answer = client.get("/api/auth/token/", auth=(name, password))
            return answer.json()["data"]["token"]

    def signed_in(self, *user: str) -> httpx.Client:
        """A client that sends the token of a user: the demo user, unless another is named."""
        return self.client(headers={"Authorization": f"Bearer {self.token(*user)}"})


def until(condition: Callable[[], Any], *, seconds: float = 60, what: str = "it") -> Any:
    """Wait until something is so, and return what the condition returned."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)
    return result


@contextmanager
def running(
    publications: Path,
    log_file: Path,
    command: list[str] | None = None,
    port: int | None = None,
    **variables: str,
) -> Iterator[Server]:
    """Run a server until the block ends, and see that it ends well.

    Without a command it is `python -m api`, without the half second that imports take. Without a
    port the log must say what the server listens on.
    """
    # Nothing but what the test says: a developer's own settings must not leak in.
    inherited = {key: value for key, value in os.environ.items() if "LEADMARTS" not in key}
    places = {
        "LEADMARTS_PUBLICATIONS": str(publications),
        "LEADMARTS_DATA": str(publications.parent),
    }
    # No request is logged by chance: what a log holds would be another thing in one run of many.
    environment = {**inherited, **places, "LEADMARTS_REQUEST_SAMPLE": "0", **variables}
    process: subprocess.Popen[bytes] | Forked
    if command is None:
        process = Forked(
            "api.__main__:main",
            ["api", "--port", "0"],
            output=log_file,
            cwd=Path.cwd(),
            env=environment,
        )
    else:
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *command], env=environment, stdout=log, stderr=log
            )
    try:

        def listening() -> str | None:
            assert process.poll() is None, log_file.read_text()
            if port:
                return f"http://127.0.0.1:{port}"
            found = re.search(r"listens on (http://[\d.]+:\d+)", log_file.read_text())
            return found and found[1]

        url = until(listening, what="the server")
        contract.forget(url)
        server = Server(url, process, log_file)
        # Not held against the document: a test may start a server that cannot make one.
        with httpx.Client(base_url=url, timeout=60, verify=contract.NO_TLS) as client:
            until(lambda: _answers(client), what="the first answer")
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    assert code in {0, -signal.SIGTERM}, log_file.read_text()
    assert server.may_fail or "Traceback" not in server.log()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live").is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def model() -> Callable[..., list[dict[str, Any]]]:
    return expected


@pytest.fixture(scope="session")
def make_events() -> Callable[..., list[Event]]:
    return some_events


@pytest.fixture(scope="session")
def make_publication() -> Callable[..., Manifest]:
    return publish


@pytest.fixture(scope="session")
def make_conversion() -> Callable[..., Conversion]:
    """Makes one conversion; what is not said is made up."""
    return partial(
        ConversionFactory.build,
        product="product a",
        campaign_type="always on",
        campaign="spring",
        channel="tv",
    )


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    return until


@asynccontextmanager
async def opened(folder: Path, seconds: float = 5.0, count: int = 1) -> AsyncIterator[Any]:
    """The current publication, open in processes of its own, without a server."""
    store = Store(folder)
    processes = Processes(count)
    async with processes.lifespan():
        yield await open_publication(store, store.current(), processes, seconds)


@pytest.fixture(scope="session")
def open_current() -> Callable[..., Any]:
    return opened


@pytest.fixture
def run_server(tmp_path: Path) -> Callable[..., Any]:
    """Runs a server of the test's own, as a context manager, over ``tmp_path/publications``."""

    def run(command: list[str] | None = None, port: int | None = None, **variables: str) -> Any:
        log_file = tmp_path / "server.log"
        return running(tmp_path / "publications", log_file, command, port, **variables)

    return run


@pytest.fixture(scope="session")
def run_server_in() -> Callable[..., Any]:
    """Runs a server over a folder of the caller's, as a context manager."""

    def run(folder: Path, **variables: str) -> Any:
        return running(folder / "publications", folder / "server.log", **variables)

    return run


@pytest.fixture(scope="session")
def events() -> list[Event]:
    """What the shared server serves."""
    return some_events(seed=1)


@pytest.fixture(scope="session")
def conversions() -> list[Conversion]:
    """What the shared server serves."""
    return ConversionFactory.measurements(seed=1)


def make_user(file: Path, name: str, password: str, *options: str) -> None:
    """Add a user, or change one, with the command for it."""
    command = ["add", name, "--password-stdin", *options]
    answer = CliRunner(env={"LEADMARTS_USERS": str(file)}).invoke(
        users_command, command, input=password
    )
    assert answer.exit_code == 0, answer.output


@pytest.fixture(scope="session")
def served(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], conversions: list[Conversion]
) -> Iterator[Server]:
    """One server for all tests that only ask."""
    folder = tmp_path_factory.mktemp("served")
    publish(folder / "publications", some_events(seed=99))
    publish(folder / "publications", events, conversions)
    make_user(folder / "users.json", *OPERATOR)
    make_user(folder / "users.json", *NOBODY, "--no-scope")
    often = {"LEADMARTS_TOKEN_RATE_CLIENT": "100000", "LEADMARTS_SIGNING_KEY": KEY}
    with running(folder / "publications", folder / "server.log", **often) as server:
        yield server


@pytest.fixture(scope="session")
def client(served: Server) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


@pytest.fixture(scope="session")
def add_user() -> Callable[..., None]:
    return make_user


@pytest.fixture(scope="session")
def users() -> dict[str, tuple[str, str]]:
    """Who may sign in to the shared server: names and passwords."""
    return {"operator": OPERATOR, "nobody": NOBODY}


@pytest.fixture(scope="session")
def operator(served: Server) -> Iterator[httpx.Client]:
    """A client that may read marketing conversions."""
    with served.signed_in(*OPERATOR) as client:
        yield client


@pytest.fixture(params=["week", "month"])
def grain(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def route(grain: str) -> str:
    return ROUTES[grain]

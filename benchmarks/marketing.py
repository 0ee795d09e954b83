"""Marketing answers: computed, against DuckDB alone; kept, against kept transformation answers."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from contextlib import asynccontextmanager
from datetime import date, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urlsplit

import click

from api import conversions
from api.app import create_app
from api.auth.settings import DEMO_NAME, DEMO_PASSWORD
from api.conversions import Filters
from api.hot import HotPath
from benchmarks.ratios import ratio
from benchmarks.workplace import Workplace, rounds_option
from publication import Store, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SELECTED = """
    from marketing_conversions
    where list_contains($channels, channel) and date between $start_date and $end_date
"""
EXACT = "sum(cast(conversions as decimal(38, 18)))"

LISTS = {
    "measurements": (
        "/api/marketing/measurements/",
        f"select product, campaign_type, campaign, channel, date, conversions {SELECTED}",
        "product, campaign_type, campaign, channel, date",
    ),
    "weekly sales": (
        "/api/marketing/stats/channel-weekly-sales/",
        f"""
        select channel, isoyear(date) as year, weekofyear(date) as week,
            cast({EXACT} as double) as sales
        {SELECTED} group by all
        """,
        "year, week, channel",
    ),
    "percentages": (
        "/api/marketing/stats/channel-sales-percentages/",
        f"""
        select channel, {EXACT} as sales, (
            select {EXACT} from marketing_conversions
            where date between $start_date and $end_date
        ) as whole
        {SELECTED} group by channel
        """,
        "sales desc, channel",
    ),
}
"""Each list's path, and the same rows and their order in SQL."""


def paged(rows: str, order: str) -> str:
    """SQL of the first page, each row with the number of all rows."""
    return f"""
        with found as materialized ({rows})
        select (select count(*) from found), found.* from found order by {order} limit 10
    """


COUNTS = "/api/v1/transformation/count_date_by_week"

Text = TypeVar("Text", str, bytes)

KEY = "a signing key of this benchmark only: 0123456789"
REQUESTS = 500
"""How often a kept answer is asked for in one round."""


@click.command("marketing")
@click.option(
    "--conversions",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV of conversions. The demo's are used without it.",
)
@rounds_option(200)
def command(file: Path | None, rounds: int) -> None:
    """Filtered lists, computed and kept, against DuckDB and a kept transformation answer."""
    with tempfile.TemporaryDirectory() as folder:
        workplace = Workplace(Path(folder) / "data", {"LEADMARTS_SIGNING_KEY": KEY})
        if file is not None:
            workplace.run("python", "-m", "lake", "load", "marketing", str(file.resolve()))
        else:
            workplace.run("python", "-m", "lake", "demo")
        workplace.run("dbt", "build")
        store = Store(workplace.data / "publications")
        with workplace.server("api.app:create_app", factory=True) as url:
            for name, (path, *sql) in LISTS.items():
                computed(url, store, name, path, paged(*sql), rounds)
        # What is below asks the app itself, in this process: a socket would hide microseconds.
        os.environ |= {
            "LEADMARTS_DATA": str(workplace.data),
            "LEADMARTS_SIGNING_KEY": KEY,
        }
        asyncio.run(kept(rounds))


def filters(number: int) -> Filters:
    """Another question each time, so that no answer was kept."""
    return Filters(
        channels=("facebook", "tv"),
        start_date=date(2020, 1, 1) + timedelta(days=number % 300),
        end_date=date(2100, 1, 1) + timedelta(days=number),
    )


def computed(  # noqa: PLR0913, PLR0917 -- one line of the report
    url: str, store: Store, name: str, path: str, query: str, rounds: int
) -> None:
    """Ask over HTTP and ask DuckDB in turn, each time something new, and print one line."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    headers = {"Authorization": f"Bearer {token(connection)}"}
    manifest = store.current()
    assert manifest is not None
    duckdb = connect(store.path(manifest), threads=1)
    ours, theirs = [], []
    for number in range(rounds):
        asked = filters(number)
        started = time.perf_counter()
        connection.request("GET", f"{path}?{urlencode(asked.pairs)}", headers=headers)
        response = connection.getresponse()
        body = response.read()
        ours.append(time.perf_counter() - started)
        assert response.status == 200, body
        values = {
            "channels": asked.channels,
            "start_date": asked.start_date,
            "end_date": asked.end_date,
        }
        started = time.perf_counter()
        with duckdb.cursor() as cursor:
            cursor.execute(query, values).fetchall()
        theirs.append(time.perf_counter() - started)
    duckdb.close()
    connection.close()
    own, base = statistics.median(ours), statistics.median(theirs)
    click.echo(
        f"{name:<14} computed, over HTTP {own * 1e3:.2f} ms  DuckDB alone {base * 1e3:.2f} ms"
        f"  ratio {ratio(ours, theirs):.2f}"
    )


def token(connection: HTTPConnection) -> str:
    """Sign in as the demo user."""
    form = {"grant_type": "password", "username": DEMO_NAME, "password": DEMO_PASSWORD}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/api/auth/token/", urlencode(form), headers)
    return str(json.loads(connection.getresponse().read())["access_token"])


async def kept(rounds: int) -> None:
    """Ask the app for kept answers in turn, and time the look-up of a token by itself."""
    async with started() as app:
        form = {"grant_type": "password", "username": DEMO_NAME, "password": DEMO_PASSWORD}
        kind = (b"content-type", b"application/x-www-form-urlencoded")
        answer = await ask(app, "POST", "/api/auth/token/", [kind], urlencode(form).encode())
        authorization = f"Bearer {json.loads(answer)['access_token']}".encode()
        headers = [
            (b"host", b"127.0.0.1"),
            (b"accept-encoding", b"gzip"),
            (b"authorization", authorization),
        ]
        paths = {name: path for name, (path, *_) in LISTS.items()}
        times: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, path in {"counts": COUNTS, **paths}.items():
                each = await seconds_each(app, path, headers, look_up=False)
                times.setdefault(name, []).append(each)
            each = await seconds_each(app, COUNTS, headers, look_up=True)
            times.setdefault("both", []).append(each)
    medians = {name: statistics.median(each) * 1e6 for name, each in times.items()}
    click.echo(
        f"kept, in the app: transformation answer {medians['counts']:.2f} µs, "
        f"with the look-up of a remembered token {medians['both']:.2f} µs"
    )
    for name in LISTS:
        click.echo(
            f"{name:<14} kept, in the app {medians[name]:.2f} µs"
            f"  ratio {ratio(times[name], times['both']):.2f}"
        )


async def seconds_each(
    app: HotPath, path: str, headers: list[tuple[bytes, bytes]], *, look_up: bool
) -> float:
    """Ask for one answer many times; return the seconds that each took.

    Args:
        app: The app.
        path: The answer's path.
        headers: The request's.
        look_up: Whether to look up the request's token each time too, which the app does by
            itself where an answer needs one.
    """
    await ask(app, "GET", path, headers)
    requests = [
        (scope_of("GET", copy(path), copied(headers)), dict(copied(headers)))
        for _ in range(REQUESTS)
    ]
    needed = frozenset({conversions.SCOPE})
    permits = app._permits  # noqa: SLF001 -- the reference is this very look-up
    started_at = time.perf_counter()
    if look_up:
        for scope, held in requests:
            await app(scope, nothing, nowhere)
            permits(held, needed)
    else:
        for scope, _ in requests:
            await app(scope, nothing, nowhere)
    return (time.perf_counter() - started_at) / REQUESTS


def copied(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The same headers as another request has them."""
    return [(copy(name), copy(value)) for name, value in headers]


def copy(text: Text) -> Text:
    """Another object with the same content: a server makes new ones for every request.

    Python remembers an object's hash, so one that is used again would be looked up too fast.
    """
    if isinstance(text, str):
        return "".join(list(text))
    return bytes(bytearray(text))


def scope_of(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> Any:  # noqa: ANN401
    """A request, as ASGI has it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": None,
    }


async def nothing() -> Any:  # noqa: ANN401
    """Receive nothing: the request has no body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def nowhere(message: Any) -> None:  # noqa: ANN401
    """Send nowhere."""


async def ask(
    app: HotPath,
    method: str,
    path: str,
    headers: list[tuple[bytes, bytes]],
    body: bytes = b"",
) -> bytes:
    """Ask once and return the answer's body.

    Raises:
        RuntimeError: It is no 200.
    """
    sent: list[Any] = []

    async def receive() -> Any:  # noqa: ANN401
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:  # noqa: ANN401
        sent.append(message)

    await app(scope_of(method, path, headers), receive, send)
    answered = b"".join(message.get("body", b"") for message in sent)
    if sent[0]["status"] != 200:
        raise RuntimeError(f"{method} {path}: {sent[0]['status']} {answered!r}")
    return answered


@asynccontextmanager
async def started() -> AsyncIterator[HotPath]:
    """Start the app in this process, and stop it in the end (the ASGI lifespan protocol)."""
    app = create_app()
    assert isinstance(app, HotPath)
    told: asyncio.Queue[Any] = asyncio.Queue()
    heard: asyncio.Queue[Any] = asyncio.Queue()
    scope: Any = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    running = asyncio.create_task(app(scope, told.get, heard.put))
    await told.put({"type": "lifespan.startup"})
    assert (await heard.get())["type"] == "lifespan.startup.complete"
    try:
        yield app
    finally:
        await told.put({"type": "lifespan.shutdown"})
        await running

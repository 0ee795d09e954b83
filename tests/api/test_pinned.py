"""Publications that requests name by their number, while a newer one is served."""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import asynccontextmanager
from urllib.parse import urljoin

import pytest

import api.opened
from api.pinned import OPEN, OPENING, Pinned
from api.querying.pool import Processes
from publication import PublicationBroken, PublicationGone, Store

MARTS = "/api/v1/marts/"
WEEKS = f"{MARTS}lead_event_counts_weekly"
CONVERSIONS = f"{MARTS}marketing_conversions"


@pytest.fixture
def published(tmp_path, make_publication, make_events, make_conversion):
    """Publishes contents that differ in every row."""

    def publish(n: int):
        made = [make_conversion(campaign=f"c{row}", conversions=n) for row in range(5)]
        return make_publication(tmp_path / "publications", make_events(n), made, scope="open")

    return publish


def test_one_that_is_gone_is_gone_though_it_was_asked_before(run_server, tmp_path, published):
    first = published(1)
    published(2)
    paths = [
        f"{WEEKS}?publication=1",
        f"{WEEKS}.csv?publication=1",
        f"{WEEKS}/changes?since=1",
        f"{WEEKS}/changes?since=1&publication=1",
    ]
    with run_server() as server, server.client() as client:
        before = [client.get(path) for path in paths for _ in range(2)]
        assert {answer.status_code for answer in before} == {200}
        assert before[0].headers["cache-control"] == "public, max-age=3600, must-revalidate"
        for suffix in ("duckdb", "json"):
            (tmp_path / "publications" / first.file).with_suffix(f".{suffix}").unlink()
        for path in paths:
            gone = client.get(path)
            assert gone.status_code == 410, path
            assert "1" in gone.json()["detail"]
            assert gone.json()["message"] == gone.json()["detail"]


def test_pages_never_mix_two_publications(run_server, tmp_path, published, wait_until):
    """The links of a page lead on in its publication, whatever is published meanwhile."""
    published(1)
    with run_server(LEADMARTS_JSON_ROWS="2") as server, server.client() as client:
        page = client.get(CONVERSIONS)
        assert page.headers["publication"] == "1"
        published(2)
        wait_until(lambda: client.get(CONVERSIONS).headers["publication"] == "2")
        rows = page.json()
        while "link" in page.headers:
            target = re.fullmatch(r'<(.*)>; rel="next"', page.headers["link"])[1]
            page = client.get(urljoin(str(page.url), target))
            assert page.headers["publication"] == "1"
            rows += page.json()
        assert [row["campaign"] for row in rows] == [f"c{row}" for row in range(5)]
        assert {row["conversions"] for row in rows} == {1}


class Gate:
    """Lets a publication's file be read when a test says so.

    Attributes:
        reading: The numbers of those that are read, or were.
        open: Set when they may go on.
    """

    def __init__(self):
        self.reading = []
        self.open = threading.Event()
        self._begun = threading.Semaphore(0)
        self._verify = api.opened._verify

    def __call__(self, path, manifest):
        self.reading.append(manifest.number)
        self._begun.release()
        assert self.open.wait(60)
        self._verify(path, manifest)

    async def begun(self):
        """Wait until one more is read."""
        assert await asyncio.to_thread(self._begun.acquire, timeout=60)


@pytest.fixture
def gate(monkeypatch):
    gate = Gate()
    monkeypatch.setattr("api.opened._verify", gate)
    yield gate
    gate.open.set()


@pytest.fixture
def pinning(tmp_path, make_publication):
    """Makes publications and what opens them, without a server."""

    @asynccontextmanager
    async def pinning(count):
        for _ in range(count):
            make_publication(tmp_path, [], keep=50)
        processes = Processes(1)
        async with processes.lifespan():
            pinned = Pinned(Store(tmp_path), processes)
            async with asyncio.timeout(60), pinned.lifespan(None):
                yield pinned
            assert not processes._open  # all are closed when the server stops

    return pinning


def begin(pinned, *numbers):
    """Ask for publications, each for a request of its own."""
    return [asyncio.create_task(pinned.get(number, 99)) for number in numbers]


async def until_all_wait(pinned, number, asked):
    """Wait until so many wait for one that is being opened."""
    while len(pinned._coming[number]._callbacks) < asked + 1:  # noqa: ASYNC110 -- nothing tells
        await asyncio.sleep(0)


def test_one_that_is_open_waits_for_no_other(pinning, gate):
    async def go():
        async with pinning(2) as pinned:
            gate.open.set()
            first = await pinned.get(1, 2)
            await gate.begun()
            gate.open.clear()
            (coming,) = begin(pinned, 2)
            await gate.begun()
            assert await pinned.get(1, 2) is first
            assert not coming.done()
            gate.open.set()
            assert (await coming).manifest.number == 2

    asyncio.run(go())


def test_all_who_ask_for_one_wait_for_one_opening(pinning, gate):
    """Also when the first of them does not wait any more."""

    async def go():
        async with pinning(1) as pinned:
            first, *others = begin(pinned, 1, 1, 1)
            await gate.begun()
            await until_all_wait(pinned, 1, 3)
            first.cancel()
            await asyncio.wait([first])
            gate.open.set()
            one, another = await asyncio.gather(*others)
            assert one is another is await pinned.get(1, 1)
            assert first.cancelled()
            assert gate.reading == [1]

    asyncio.run(go())


def test_all_who_wait_are_told_why_it_is_not_opened(pinning, gate, tmp_path):
    """And it is tried again when it is asked for again."""

    async def go():
        async with pinning(1) as pinned:
            (file,) = tmp_path.glob("*.duckdb")
            whole = file.read_bytes()
            file.chmod(0o644)
            file.write_bytes(b"damaged")
            asked = begin(pinned, 1, 1)
            await gate.begun()
            await until_all_wait(pinned, 1, 2)
            gate.open.set()
            told = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(one) for one in told] == [PublicationBroken, PublicationBroken]
            file.write_bytes(whole)
            assert (await pinned.get(1, 1)).manifest.number == 1

    asyncio.run(go())


def test_nobody_waits_any_more_and_it_fails(pinning, gate, tmp_path):
    async def go():
        complaints = []
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
        async with pinning(1) as pinned:
            (asked,) = begin(pinned, 1)
            await gate.begun()
            (file,) = tmp_path.glob("*.duckdb")
            file.unlink()
            coming = pinned._coming[1]
            asked.cancel()
            gate.open.set()
            await asyncio.wait([asked, coming])
            del coming
        return complaints

    assert asyncio.run(go()) == []


@pytest.mark.parametrize("whole", [True, False], ids=["opened", "not-opened"])
def test_one_that_is_removed_while_it_is_opened_is_gone(pinning, gate, tmp_path, whole):
    async def go():
        async with pinning(1) as pinned:
            asked = begin(pinned, 1, 1)
            await gate.begun()
            for file in tmp_path.glob("0*.json" if whole else "0*.*"):
                file.unlink()
            gate.open.set()
            told = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(one) for one in told] == [PublicationGone, PublicationGone]
            await asyncio.gather(*pinned._closing)
            assert not pinned._processes._open

    asyncio.run(go())


def test_one_that_is_let_go_before_it_is_taken_is_opened_again(pinning, gate):
    async def go():
        async with pinning(1) as pinned:
            (asked,) = begin(pinned, 1)
            await gate.begun()
            pinned._coming[1].add_done_callback(lambda _: pinned._let_go(1))
            gate.open.set()
            publication = await asked
            assert await publication.rows("select 1", {}) == [(1,)]
            assert gate.reading == [1, 1]

    asyncio.run(go())


def test_few_are_opened_at_once_and_few_stay_open(pinning, gate):
    async def go():
        async with pinning(OPEN + 2) as pinned:
            asked = begin(pinned, *range(1, OPEN + 3))
            for _ in range(OPENING):
                await gate.begun()
            while len(pinned._coming) < len(asked):  # noqa: ASYNC110 -- nothing tells
                await asyncio.sleep(0)
            assert len(gate.reading) == OPENING
            gate.open.set()
            numbers = [one.manifest.number for one in await asyncio.gather(*asked)]
            assert numbers == list(range(1, OPEN + 3))
            await asyncio.gather(*pinned._closing)
            assert len(pinned._processes._open) == OPEN

    asyncio.run(go())


def test_a_server_that_stops_while_one_is_opened(pinning, gate):
    async def go():
        async with pinning(1) as pinned:
            (asked,) = begin(pinned, 1)
            await gate.begun()
        with pytest.raises(asyncio.CancelledError):
            await asked
        gate.open.set()

    asyncio.run(go())

"""The watcher by itself: what it opens when, and what it tries again. No server, real files."""

import asyncio
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest
from litestar.exceptions import ServiceUnavailableException
from loguru import logger

from api import serving as module
from api.querying.pool import Processes
from api.serving import Serving
from publication import PublicationBroken, Store

HOLD = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def told():
    """What the log says meanwhile."""
    lines = []
    sink = logger.add(lambda message: lines.append(message.record["message"]))
    yield lines
    logger.remove(sink)


@pytest.fixture
def hold():
    """Opens a file for writing in another process, until its input ends."""
    holders = []

    def start(path):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        holders.append(holder)
        assert holder.stdout.readline()
        return holder

    yield start
    for holder in holders:
        holder.communicate()


@asynccontextmanager
async def watching(folder, warm=None):
    processes = Processes(1)
    serving = Serving(Store(folder), {}, processes)
    serving.warm = warm
    async with processes.lifespan(), serving.lifespan(None):
        yield serving


async def until(condition, seconds=60):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 what is waited for sets no event
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("jump", [-100_000, 100_000])
def test_a_clock_that_jumped_delays_nothing_for_long(
    tmp_path, make_publication, make_events, monkeypatch, jump
):
    async def go():
        make_publication(tmp_path, make_events(1))
        async with watching(tmp_path) as serving:
            await asyncio.to_thread(make_publication, tmp_path, make_events(2))
            await until(lambda: serving.publication.manifest.number == 2)

    now = time.time
    monkeypatch.setattr(module.time, "time", lambda: now() + jump)
    asyncio.run(go())


def test_all_who_watch_swap_at_one_moment(tmp_path, make_publication, make_events, monkeypatch):
    """However far apart their looks are: a second after it was published."""
    assert module.SERVED_AFTER == 1
    monkeypatch.setattr(module, "SERVED_AFTER", 5.0)  # on a busy machine too they look sooner
    moments, sleep = [], asyncio.sleep

    async def noting(seconds):
        if seconds != module.LOOK_EVERY:
            moments.append(time.time() + seconds)
        await sleep(seconds)

    async def go():
        make_publication(tmp_path, make_events(1))
        async with watching(tmp_path) as one:
            await sleep(0.4 * module.LOOK_EVERY)
            async with watching(tmp_path) as other:
                monkeypatch.setattr(module.asyncio, "sleep", noting)
                await asyncio.to_thread(make_publication, tmp_path, make_events(2))
                for serving in (one, other):
                    while serving.publication.manifest.number != 2:
                        await sleep(0.02)

    asyncio.run(go())
    first, second = moments
    assert abs(first - second) < 0.05
    published = (tmp_path / "current.json").stat().st_ctime
    assert abs(first - published - module.SERVED_AFTER) < 0.05


def test_a_refusal_is_tried_again_though_nothing_changed(
    tmp_path, make_publication, make_events, monkeypatch, told
):
    """The reason was the machine's; neither file nor manifest ever changes."""
    monkeypatch.setattr(module, "TRY_AGAIN", 0.3)
    make_publication(tmp_path, make_events(1))
    tries, opened = [], module.open_publication

    async def open_publication(*arguments):
        tries.append(arguments)
        if len(tries) < 4:
            raise PublicationBroken("There are too many open files.")
        return await opened(*arguments)

    monkeypatch.setattr(module, "open_publication", open_publication)

    async def go():
        async with watching(tmp_path) as serving:
            assert "too many" in serving.refusal.reason
            await until(lambda: serving.publication)

    asyncio.run(go())
    assert len(tries) == 4
    assert len([line for line in told if "refused" in line]) == 1


def test_a_file_that_another_program_held_is_tried_again_soon(
    tmp_path, make_publication, make_events, told, hold
):
    path = tmp_path / make_publication(tmp_path, make_events(1)).file
    holder = hold(path)
    before = path.stat()

    async def go():
        async with watching(tmp_path) as serving:
            await asyncio.sleep(1)
            assert "cannot be opened" in serving.refusal.reason
            await asyncio.to_thread(holder.communicate)
            await until(lambda: serving.publication)

    asyncio.run(go())
    assert path.stat().st_ctime_ns == before.st_ctime_ns
    assert len([line for line in told if "refused" in line]) == 1


def test_what_is_held_for_a_moment_is_waited_for_by_who_starts(
    tmp_path, make_publication, make_events, monkeypatch, hold
):
    """Other workers serve it: an older one would be an older answer for a moment."""
    monkeypatch.setattr(module, "HELD_FOR", 60)
    make_publication(tmp_path, make_events(1))
    holder = hold(tmp_path / make_publication(tmp_path, make_events(2)).file)

    async def go():
        async with watching(tmp_path) as serving:
            assert serving.publication is None
            assert "cannot be opened" in serving.refusal.reason
            await asyncio.to_thread(holder.communicate)
            await until(lambda: serving.publication)
            assert serving.publication.manifest.number == 2

    asyncio.run(go())


def test_what_is_held_for_long_is_not_waited_for(
    tmp_path, make_publication, make_events, monkeypatch, hold
):
    monkeypatch.setattr(module, "HELD_FOR", 0.5)
    make_publication(tmp_path, make_events(1))
    holder = hold(tmp_path / make_publication(tmp_path, make_events(2)).file)

    async def go():
        async with watching(tmp_path) as serving:
            await until(lambda: serving.publication)
            assert serving.publication.manifest.number == 1
            assert "cannot be opened" in serving.refusal.reason
            await asyncio.to_thread(holder.communicate)
            await until(lambda: serving.publication.manifest.number == 2)

    asyncio.run(go())


@pytest.mark.parametrize("pointer", ["whole", "halved"])
def test_what_was_rolled_back_from_is_not_served_instead(
    tmp_path, make_publication, make_events, pointer
):
    """Each of 6, 4 and 2 has the bytes of 2, and so its damage; 3 and 5 were not wanted."""
    for seed in (1, 2, 3):
        made = make_publication(tmp_path, make_events(seed))
    store = Store(tmp_path)
    store.rollback(2)
    make_publication(tmp_path, make_events(5))
    damaged = store.path(store.rollback(4))
    assert damaged.samefile(store.path(store.manifest(2)))
    damaged.chmod(0o644)
    damaged.write_bytes(b"")
    if pointer == "halved":
        (tmp_path / "current.json").write_bytes(b"{")
    assert made.number == 3

    async def go():
        async with watching(tmp_path) as serving:
            assert serving.publication.manifest.number == 1

    asyncio.run(go())


def test_a_refusal_is_tried_again_at_once_when_permissions_change(
    tmp_path, make_publication, make_events, hold
):
    path = tmp_path / make_publication(tmp_path, make_events(1)).file
    holder = hold(path)

    async def go():
        async with watching(tmp_path) as serving:
            assert serving.refusal
            await asyncio.to_thread(holder.communicate)
            path.chmod(0o444)
            await until(lambda: serving.publication)

    asyncio.run(go())


def test_what_is_served_is_not_opened_again_for_a_link(tmp_path, make_publication, make_events):
    path = tmp_path / make_publication(tmp_path, make_events(1)).file

    async def go():
        async with watching(tmp_path) as serving:
            served = serving.publication
            (tmp_path / "link").hardlink_to(path)
            await asyncio.sleep(3 * module.LOOK_EVERY)
            assert serving.publication is served

    asyncio.run(go())


def test_it_is_warm_before_it_is_served_and_closed_when_the_server_stops(
    tmp_path, make_publication, make_events
):
    async def go():
        make_publication(tmp_path, make_events(1))
        warmed = []

        async def warm(new):
            warmed.append((new.manifest.number, serving.publication.manifest.number))

        async with watching(tmp_path) as serving:
            serving.warm = warm
            make_publication(tmp_path, make_events(2))
            await until(lambda: serving.publication.manifest.number == 2)
            assert warmed == [(2, 1)]
            last = serving.publication
        with pytest.raises(ServiceUnavailableException):
            await last.rows("select 1", {})

    asyncio.run(go())

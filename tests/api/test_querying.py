"""The processes that ask DuckDB: what they do, and what becomes of others when one ends."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, aclosing
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any

import duckdb
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar.exceptions import ServiceUnavailableException

from api.opened import open_publication
from api.querying import steps
from api.querying.client import BUFFER, Process
from api.querying.pool import Processes
from api.querying.process import Opened, frame
from publication import PublicationBroken, Store

MART = "/api/v1/marts/lead_event_counts_weekly"
SLOW = "select sum(a.range) from range(9999999) a, range(9999)"
LONG = "select range as n from range(2000000)"
LOWEST = 19
"""The nice value that no process goes below (nice(2))."""


@pytest.fixture
def opened(make_publication, make_events, open_current, tmp_path):
    """A publication, opened in two processes."""
    make_publication(tmp_path, make_events(1))
    return lambda seconds=5.0, count=2: open_current(tmp_path, seconds, count)


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "api.querying" in one.cmdline()]


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 40_000) | st.integers(BUFFER - 100, 3 * BUFFER), max_size=5),
    st.lists(st.integers(1, 9) | st.integers(1, 2 * BUFFER), min_size=1, max_size=5),
)
def test_answers_come_whole_in_whatever_pieces_they_arrive(lengths, pieces):
    answers = [bytes([number]) * length for number, length in enumerate(lengths)]

    async def go():
        process = Process()
        process.connection_made(SimpleNamespace(write=lambda data: None))
        asked = [process.ask("do") for _ in answers]
        stream = b"".join(frame((answer, None, 0.5)) for answer in answers)
        for piece in chain(pieces, repeat(max(*pieces, 1000))):
            if not stream:
                break
            buffer = process.get_buffer(-1)
            read = min(piece, len(buffer), len(stream))
            assert read > 0
            buffer[:read], stream = stream[:read], stream[read:]
            buffer.release()
            process.buffer_updated(read)
        assert all(future.done() for future in asked)
        return [future.result() for future in asked]

    assert asyncio.run(go()) == [(answer, 0.5) for answer in answers]


def test_a_query_that_takes_too_long_ends_alone(opened):
    async def go():
        async with opened(0.3, count=1) as publication:
            with publication.work() as slow, publication.work() as quick:
                begun = time.monotonic()
                running = asyncio.create_task(slow.rows(SLOW, {}))
                assert await quick.rows("select 1", {}) == [(1,)]
                with pytest.raises(ServiceUnavailableException, match=r"more than 0.3 seconds"):
                    await running
                with pytest.raises(ServiceUnavailableException, match=r"more than 0.3 seconds"):
                    await slow.rows("select 1", {})  # its time is over
                assert time.monotonic() - begun < 30
                assert await quick.rows("select 2", {}) == [(2,)]

    asyncio.run(go())


def test_waiting_costs_no_time(opened):
    """Of a query's own time only what DuckDB works for it counts."""

    async def go():
        async with opened(0.6, count=1) as publication:

            async def slow() -> str:
                with publication.work() as work:
                    try:
                        await work.rows(SLOW, {})
                    except ServiceUnavailableException:
                        return "too long"

            async def quick() -> list[Any]:
                with publication.work() as work:
                    return await work.rows("select 1", {})

            outcomes = await asyncio.gather(slow(), slow(), quick(), slow(), quick())
            assert outcomes == ["too long", "too long", [(1,)], "too long", [(1,)]]

    asyncio.run(go())


def test_errors_and_their_causes_come_back(opened):
    async def go():
        async with opened() as publication:
            with publication.work() as work:
                with pytest.raises(duckdb.ConversionException, match=r"'x' to INT32") as caught:
                    await work.rows("select cast($x as integer)", {"x": "x"})
                assert "steps.py" in caught.value.__notes__[0]
                with pytest.raises(AttributeError, match=r"pickle"):
                    await work.do(_gives_what_cannot_be_sent)
                assert await work.rows("select 1", {}) == [(1,)]

    asyncio.run(go())


def _needs_too_much(cursors: Any) -> None:
    raise duckdb.OutOfMemoryException("Out of Memory Error: could not allocate block")


def test_a_query_that_needs_too_much_memory(opened):
    async def go():
        async with opened(count=1) as publication:
            with publication.work() as work:
                with pytest.raises(ServiceUnavailableException, match=r"more memory than there is"):
                    await work.do(_needs_too_much)
                assert await work.rows("select 1", {}) == [(1,)]

    asyncio.run(go())


def _gives_what_cannot_be_sent(cursors: Any) -> Any:
    return lambda: cursors


def test_several_steps_end_wherever_they_are(opened):
    async def go():
        async with opened(count=1) as publication:
            with publication.work() as work:
                for taken in (1, 3, 10**6):
                    length, read = 0, 0
                    async with aclosing(work.each(steps.pieces, LONG, {}, "csv")) as pieces:
                        async for piece in pieces:
                            assert piece
                            length += len(piece)
                            read += 1
                            if read == taken:
                                break
                    assert read == min(taken, 31)  # parts of 65,536 rows
                # "n", and each number, on a line of its own
                digits = sum(len(str(n)) for n in range(2_000_000))
                assert length == len('"n"\r\n') + digits + 2 * 2_000_000

    asyncio.run(go())


def test_whoever_reads_slowly_keeps_nobody_waiting(opened):
    """Between two pieces of a long answer the process does what others ask."""

    async def go():
        async with opened(count=1) as publication:
            with publication.work() as work, publication.work() as other:
                async with aclosing(work.each(steps.pieces, LONG, {}, "csv")) as pieces:
                    assert (await anext(pieces)).startswith(b'"n"\r\n0\r\n1\r\n')
                    for n in range(3):
                        assert await other.rows("select $n", {"n": n}) == [(n,)]
                        assert await anext(pieces)

    asyncio.run(go())


def test_a_process_that_ends_is_replaced(opened):
    async def go():
        async with opened(count=2) as publication:
            before = children()
            assert len(before) == 2
            with publication.work() as work:
                running = asyncio.create_task(work.rows(SLOW, {}))
                await asyncio.sleep(0)  # so that it is sent
                for one in before:
                    one.kill()
                with pytest.raises(ServiceUnavailableException, match=r"ended in the middle"):
                    await running
            deadline = time.monotonic() + 60
            while True:
                try:
                    found = await publication.rows(
                        "select count(*) > 0 from main.lead_event_counts_weekly", {}
                    )
                    break
                except ServiceUnavailableException:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.01)
            assert found == [(True,)]

    asyncio.run(go())
    assert children() == []


def _hangs(cursors: Any, seconds: float) -> None:
    time.sleep(seconds)


def test_a_process_that_hangs_is_ended(make_publication, tmp_path):
    make_publication(tmp_path, [])
    store = Store(tmp_path)

    async def go():
        processes = Processes(1)
        async with processes.lifespan():
            publication = await open_publication(store, store.current(), processes, 0.1)
            processes._hung_after = 0.5  # not sooner: it may take longer to open something
            with publication.work() as work:
                begun = time.monotonic()
                with pytest.raises(ServiceUnavailableException, match=r"ended in the middle"):
                    await work.do(_hangs, 60)
                assert time.monotonic() - begun < 50

    asyncio.run(go())


def test_a_process_in_anothers_place_that_finds_the_file_gone(opened, tmp_path):
    """It says so to whoever asks, as soon as it is there."""

    async def go():
        async with opened(count=1) as publication:
            for file in tmp_path.glob("*.duckdb"):
                file.unlink()
            (one,) = children()
            one.kill()
            deadline = time.monotonic() + 60
            while True:
                try:
                    await publication.rows("select 1", {})
                except PublicationBroken:
                    break
                except ServiceUnavailableException:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.01)

    asyncio.run(go())


def test_a_publication_is_not_opened_while_there_is_no_process(make_publication, tmp_path):
    """It waits for one: what nobody has looked at must not be served."""
    make_publication(tmp_path, [])

    async def go():
        processes = Processes(1)
        async with processes.lifespan():
            (one,) = children()
            one.kill()
            while processes._all:  # noqa: ASYNC110 -- nothing sets an event
                await asyncio.sleep(0.001)
            for file in tmp_path.glob("*.duckdb"):
                file.chmod(0o644)
                file.write_bytes(b"this is no database")
                with pytest.raises(PublicationBroken, match=r"cannot be opened"):
                    await processes.open(file, [])
            assert len(processes._all) == 1

    asyncio.run(go())


def test_a_step_waits_for_its_turn_only_so_long(opened, monkeypatch):
    monkeypatch.setattr("api.querying.turns.WAITING", 0.2)

    async def go():
        async with opened(3.0, count=1) as publication:
            with ExitStack() as works:
                slow, quick = (works.enter_context(publication.work()) for _ in range(2))
                running = [
                    asyncio.create_task(slow.rows(SLOW, {})),
                    asyncio.create_task(slow.rows("select 1", {})),
                ]
                await asyncio.sleep(0)
                begun = time.monotonic()
                with pytest.raises(ServiceUnavailableException, match=r"it is taking long"):
                    await quick.rows("select 1", {})
                assert 0.15 < time.monotonic() - begun < 2.9
                await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(go())


@pytest.mark.parametrize("query", ["select 1", "select 'x'::int"], ids=["done", "failed"])
def test_a_step_is_counted_without_its_wait_for_another(opened, query):
    """Both have a turn, but there is one process."""

    async def go():
        async with opened(0.5, count=1) as publication, asyncio.timeout(20):
            with ExitStack() as works:
                slow, quick = (works.enter_context(publication.work()) for _ in range(2))
                running = asyncio.create_task(slow.rows(SLOW, {}))
                await asyncio.sleep(0)
                begun = time.monotonic()
                with ExitStack() as failing:
                    if query != "select 1":
                        failing.enter_context(pytest.raises(duckdb.ConversionException))
                    await quick.rows(query, {})
                assert time.monotonic() - begun > 0.25
                assert quick.left > 0.25
                with pytest.raises(ServiceUnavailableException, match=r"more than 0.5 seconds"):
                    await running
                counted = dict(quick._processes.turns.durations.sample({}).buckets)
                assert (counted["0.5"], counted["+Inf"]) == (1, 2)

    asyncio.run(go())


def test_marts_of_any_name_are_looked_at(tmp_path):
    file = tmp_path / "marts.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("""create table "a""b.c" as select 1 as n""")
    Opened(file, ['a"b.c'], "128MB").close()
    with pytest.raises(PublicationBroken, match=r"marts.duckdb cannot be queried"):
        Opened(file, ["b.c"], "128MB")


def test_a_file_that_is_none(opened, tmp_path):
    async def go():
        processes = Processes(2)
        async with processes.lifespan():
            (tmp_path / "none.duckdb").write_bytes(b"this is no database")
            with pytest.raises(PublicationBroken, match=r"none.duckdb cannot be opened"):
                await processes.open(tmp_path / "none.duckdb", [])

    asyncio.run(go())


def test_clients_of_a_server_whose_process_is_killed(
    run_server, make_publication, make_events, tmp_path
):
    """They get an answer, or are told to come again; and all is as before soon after."""
    make_publication(tmp_path / "publications", make_events(1))
    with run_server() as server, server.client() as client:
        right = client.get(MART).json()
        statuses = set()
        for n in range(2):
            for one in psutil.Process(server.process.pid).children():
                if "api.querying" in one.cmdline():
                    one.kill()
            deadline = time.monotonic() + 60
            while True:  # each time something else is asked, so that it is not kept
                found = client.get(MART, params={"limit": 10_000 + n})
                statuses.add(found.status_code)
                assert client.get("/health/live").status_code == 200
                if found.status_code == 200:
                    assert found.json() == right
                    break
                assert "Retry-After" in found.headers
                assert time.monotonic() < deadline
        assert statuses <= {200, 503}
        assert "a new one takes its place" in server.log()


def test_the_event_loop_goes_before_its_processes(
    run_server, make_publication, make_events, tmp_path
):
    """Where both want the same core, answers that need no question do not wait for one."""
    make_publication(tmp_path / "publications", make_events(1))
    with run_server() as server:
        loop = psutil.Process(server.process.pid)
        asking = [one.nice() for one in loop.children() if "api.querying" in one.cmdline()]
        assert asking
        assert all(nice > loop.nice() or nice == LOWEST for nice in asking)


def test_no_process_outlives_its_server(run_server, make_publication, make_events, tmp_path):
    make_publication(tmp_path / "publications", make_events(1))
    running = run_server()
    server = running.__enter__()
    processes = psutil.Process(server.process.pid).children()
    server.process.kill()
    _, alive = psutil.wait_procs(processes, timeout=20)
    with pytest.raises(AssertionError):  # it does not end well
        running.__exit__(None, None, None)
    assert processes
    assert alive == []

"""The layer in front of the framework, around an app of one line, and without a server."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import pytest
from litestar.config.cors import CORSConfig
from litestar.exceptions import ServiceUnavailableException
from loguru import logger

from api.admission import BURST, PASSING, Admission
from api.auth.bearer import Bearer
from api.hot import HotPath
from api.observing.traffic import Traffic
from api.querying.pool import Processes
from api.serving import Serving
from api.streaming import _unbroken
from publication import Store

KEPT = [(b"etag", b'"x"'), (b"cache-control", b"public, max-age=0"), (b"content-length", b"6")]
NOT_KEPT = [(b"content-length", b"6")]
KEPT_ONE = [*KEPT[:2], (b"content-length", b"1")]
NOT_KEPT_ONE = [(b"content-length", b"1")]
SCOPE = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}


async def nowhere(message):
    """Drop what is sent."""


@pytest.fixture
def serving(tmp_path, make_publication, make_events, open_current):
    """Something that serves a real publication, on the loop that uses it."""
    store = Store(tmp_path)
    make_publication(tmp_path, make_events(1))

    @asynccontextmanager
    async def make():
        async with open_current(tmp_path) as publication:
            serving = Serving(store, {}, None)
            serving.publication = publication
            yield serving

    return make


def ask(serving, headers, *requests):
    """Ask an app that answers in two pieces; return what was sent, and how often it was asked."""
    asked = []

    async def app(scope, receive, send):
        asked.append(scope["method"])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two", "more_body": False})

    async def go():
        async with serving() as served:
            return await send_all(HotPath(app, served, Bearer(None, None), Traffic()))

    async def send_all(hot):
        sent = []
        for method in requests:
            messages = []

            async def send(message, messages=messages):
                messages.append(message)

            scope = {
                "type": "http",
                "method": method,
                "path": "/",
                "query_string": b"",
                "headers": [],
            }
            await hot(scope, None, send)
            sent.append((messages[0]["status"], [message["body"] for message in messages[1:]]))
        return sent

    return asyncio.run(go()), asked


def test_what_is_kept_is_asked_for_once(serving):
    sent, asked = ask(serving, KEPT, "HEAD", "GET", "HEAD", "GET")
    assert sent == [(200, [b""]), (200, [b"onetwo"]), (200, [b""]), (200, [b"onetwo"])]
    assert asked == ["GET"]


def test_what_is_not_kept_goes_through_piece_by_piece(serving):
    sent, asked = ask(serving, NOT_KEPT, "GET", "HEAD", "POST")
    assert sent == [(200, [b"one", b"two"]), (200, [b"", b""]), (200, [b"one", b"two"])]
    assert asked == ["GET", "GET", "POST"]


def ask_at_once(serving, answers, count=5):
    """Ask the same several times at once; return the bodies, and how often the app was asked.

    Args:
        serving: What serves a publication.
        answers: How the app answers, each time: its headers, or an error.
        count: How many ask.
    """
    asked = []

    async def app(scope, receive, send):
        asked.append(scope["path"])
        answer = answers[len(asked) - 1]
        for _ in range(10):
            await asyncio.sleep(0)  # the others come meanwhile
        if isinstance(answer, Exception):
            raise answer
        await send({"type": "http.response.start", "status": 200, "headers": answer})
        await send({"type": "http.response.body", "body": b"%d" % len(asked), "more_body": False})

    async def one(hot):
        bodies = []

        async def send(message):
            bodies.append(message.get("body"))

        with suppress(OSError):
            await hot(SCOPE, None, send)
        return bodies[1:]

    async def go():
        async with serving() as served:
            hot = HotPath(app, served, Bearer(None, None), Traffic())
            return await asyncio.gather(*(one(hot) for _ in range(count)))

    return asyncio.run(go()), len(asked)


def test_what_is_being_made_is_waited_for(serving):
    bodies, asked = ask_at_once(serving, [KEPT_ONE] * 5)
    assert (bodies, asked) == ([[b"1"]] * 5, 1)


def test_what_is_not_to_be_kept_is_made_for_each(serving):
    bodies, asked = ask_at_once(serving, [NOT_KEPT_ONE] * 5)
    assert (len(bodies), asked) == (5, 5)
    assert all(body for body in bodies)


def test_who_waited_in_vain_asks(serving):
    bodies, asked = ask_at_once(serving, [OSError(), *[KEPT_ONE] * 4])
    assert bodies[0] == []
    assert all(body for body in bodies[1:])
    assert asked > 1


def test_nobody_waits_for_another_to_read(serving):
    """The first reads a long answer that is not kept, and never comes to its end."""
    reading = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": NOT_KEPT})
        if not reading:
            reading.append(scope)
            await asyncio.Event().wait()
        await send({"type": "http.response.body", "body": b"onetwo", "more_body": False})

    async def go():
        async with serving() as served:
            hot = HotPath(app, served, Bearer(None, None), Traffic())
            first = asyncio.create_task(hot(SCOPE, None, nowhere))
            await asyncio.sleep(0)
            assert reading
            await asyncio.wait_for(hot(SCOPE, None, nowhere), 5)
            first.cancel()

    asyncio.run(go())


@pytest.mark.parametrize("control", [b"private, max-age=5", b"no-store", b""])
def test_only_what_is_public_is_kept(serving, control):
    headers = [(name, control if name == b"cache-control" else value) for name, value in KEPT]
    _, asked = ask(serving, headers, "GET", "GET")
    assert asked == ["GET", "GET"]


def test_a_refusal_is_counted_without_a_duration(serving):
    """Very many that took no time would hide how long the others take."""
    traffic = Traffic()

    async def go():
        async with serving() as served:
            admission = Admission(None, -BURST, traffic, CORSConfig())
            hot = HotPath(admission, served, Bearer(None, None), traffic, admission.refuse)
            await hot(SCOPE, None, nowhere)
            await hot({**SCOPE, "method": "PATCH"}, None, nowhere)

    asyncio.run(go())
    assert traffic.refused == 2
    assert list(traffic.tallies) == [("none", "GET", 503), ("none", "other", 503)]
    for tally in traffic.tallies.values():
        assert (tally.requests, sum(tally.counts)) == (1, 0)


def test_a_long_answer_that_there_is_no_room_for_is_turned_away(serving, monkeypatch):
    """It has one name, and counts as any other that is refused at once."""
    traffic, spans, sent = Traffic(), [], []
    monkeypatch.setattr("api.observing.traffic.record", spans.append)

    async def parts():
        yield b"part"

    async def app(scope, receive, send):
        scope["state"]["passing"] = parts()
        await send({"type": "http.response.start", "status": 200, "headers": NOT_KEPT})
        await send({"type": "http.response.body", "body": b"held", "more_body": True})

    async def keep(message):
        sent.append(message)

    async def go():
        async with serving() as served:
            admission = Admission(app, 3, traffic, CORSConfig())
            admission._passing = PASSING
            hot = HotPath(admission, served, Bearer(None, None), traffic, admission.refuse)
            await hot({**SCOPE, "headers": [(b"x-request-id", b"of-a-proxy")]}, None, keep)

    asyncio.run(go())
    start, body = sent
    assert start["status"] == 503
    assert [value for name, value in start["headers"] if name == b"x-request-id"] == [b"of-a-proxy"]
    assert json.loads(body["body"])["request_id"] == "of-a-proxy"
    assert (traffic.refused, spans) == (1, [])
    (tally,) = traffic.tallies.items()
    assert tally[0] == ("none", "GET", 503)
    assert (tally[1].requests, sum(tally[1].counts)) == (1, 0)


@pytest.mark.parametrize(
    ("error", "said"),
    [(ServiceUnavailableException("It takes too long."), "WARNING"), (OSError("x"), "ERROR")],
)
def test_whatever_breaks_an_answer_off_is_said(error, said):
    lines, got = [], []
    request = SimpleNamespace(scope={"path": "/long", "state": {"broken": False}})

    async def parts():
        yield b"one"
        raise error

    async def go():
        async for part in _unbroken(request, [b"held"], parts()):
            got.append(part)  # noqa: PERF401 -- what came before the error counts

    added = logger.add(lines.append, format="{level} {extra[path]} {message}")
    try:
        with pytest.raises(type(error)):
            asyncio.run(go())
    finally:
        logger.remove(added)
    assert got == [b"held", b"one"]
    assert request.scope["state"]["broken"]
    assert lines[0].startswith(f"{said} /long An answer broke off")


def test_an_answer_that_breaks_off_is_a_failure(serving, monkeypatch):
    traffic, spans = Traffic(), []
    monkeypatch.setattr("api.observing.traffic.record", spans.append)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": NOT_KEPT})
        if scope["path"] == "/breaks":
            scope["state"]["broken"] = True
            raise ServiceUnavailableException

    async def go():
        async with serving() as served:
            hot = HotPath(app, served, Bearer(None, None), traffic)
            await hot(SCOPE, None, nowhere)
            assert (traffic.broken, spans) == (0, [])
            await hot({**SCOPE, "path": "/breaks"}, None, nowhere)

    asyncio.run(go())
    assert traffic.broken == 1
    (span,) = spans
    assert span.error == "The answer broke off."
    assert span.trace.recorded


def test_a_new_publication_is_warm_before_it_is_served(tmp_path, make_publication, make_events):
    """What was asked of the old one is answered from the new one before anybody asks."""
    numbers = []

    async def app(scope, receive, send):
        numbers.append(scope["state"]["publication"].manifest.number)
        await send({"type": "http.response.start", "status": 200, "headers": KEPT})
        await send({"type": "http.response.body", "body": b"onetwo", "more_body": False})

    async def go():
        make_publication(tmp_path, make_events(1))
        processes = Processes(1)
        served = Serving(Store(tmp_path), {}, processes)
        hot = HotPath(app, served, Bearer(None, None), Traffic())
        async with processes.lifespan(), served.lifespan(None), asyncio.timeout(20):
            await hot(SCOPE, None, nowhere)
            make_publication(tmp_path, make_events(2))
            while served.publication.manifest.number == 1:  # noqa: ASYNC110 nothing sets an event
                await asyncio.sleep(0.02)
            assert numbers == [1, 2]
            await hot(SCOPE, None, nowhere)
            assert numbers == [1, 2]

    asyncio.run(go())


def test_a_lease_keeps_a_publication_open(serving):
    async def go():
        async with serving() as served:
            publication = served.publication
            with publication.leases:
                closing = asyncio.create_task(publication.close())
                await asyncio.sleep(0.05)
                assert not closing.done()
                assert await publication.rows("select 1 + $one", {"one": 1}) == [(2,)]
            await closing
            with pytest.raises(KeyError):
                await publication.rows("select 1", {})

    asyncio.run(go())


def test_other_work_does_not_wait_for_compression(tmp_path, monkeypatch):
    """The look at the publications, for one, has its threads whatever is compressed."""
    begun, end = threading.Event(), threading.Event()

    def compress(body, coding):
        begun.set()
        end.wait(10)
        return coding.encode()

    monkeypatch.setattr("api.hot.compress", compress)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": KEPT})
        await send({"type": "http.response.body", "body": bytes(10_000), "more_body": False})

    async def go():
        bodies = []

        async def send(message):
            bodies.append(message.get("body"))

        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        hot = HotPath(app, Serving(Store(tmp_path), {}, None), Bearer(None, None), Traffic())
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [(b"accept-encoding", b"gzip")],
        }
        asking = asyncio.create_task(hot(scope, None, send))
        try:
            assert await asyncio.wait_for(asyncio.to_thread(begun.wait, 5), 6)
            assert await asyncio.wait_for(asyncio.to_thread(len, "ab"), 2) == 2
            assert bodies == []
        finally:
            end.set()
        await asking
        assert bodies == [None, b"gzip"]

    asyncio.run(go())

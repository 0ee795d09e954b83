"""The layer in front of the framework, around an app of one line, and without a server."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from time import perf_counter
from types import SimpleNamespace

import pytest
from litestar.exceptions import ServiceUnavailableException
from loguru import logger

from api.admission import BURST, PASSING, Admission
from api.auth.bearer import Bearer
from api.cors import Origins
from api.hot import HotPath
from api.observing.traffic import Traffic
from api.pace import Pace
from api.querying.pool import Processes
from api.serving import Serving
from api.streaming import _unbroken
from publication import Store

KEPT = [(b"etag", b'"x"'), (b"cache-control", b"public, max-age=0"), (b"content-length", b"6")]
NOT_KEPT = [(b"content-length", b"6")]
KEPT_ONE = [*KEPT[:2], (b"content-length", b"1")]
NOT_KEPT_ONE = [(b"content-length", b"1")]
GUARDED = [*KEPT_ONE[:1], (b"cache-control", b"private, max-age=0"), KEPT_ONE[2]]
ELSEWHERE = list(KEPT_ONE)
SCOPE = {
    "type": "http",
    "method": "GET",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "headers": [],
}


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

            await hot({**SCOPE, "method": method}, None, send)
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


GOOD = (b"authorization", b"Bearer good")


class Known:
    """Who knows one good token."""

    @staticmethod
    def permits(headers, needed):
        return headers.get(b"authorization") == GOOD[1] and needed <= {"read"}


@asynccontextmanager
async def asked_at_once(serving, answers, *scopes):
    """Ask for the same several times at once, of an app that waits until it is let go on.

    Args:
        serving: What serves a publication.
        answers: How the app answers each time that it is asked: the headers, or an error.
        scopes: What the requests say besides.

    Yields:
        A function that lets the app go on and returns for each request the status and the body,
        None where there was an error; how often the app was asked; and the requests.
    """
    asked, go_on = [], asyncio.Event()

    async def app(scope, receive, send):
        answer = answers[len(asked)]
        asked.append(scope)
        number = len(asked)
        await go_on.wait()
        if isinstance(answer, Exception):
            raise answer
        status = 200
        if answer is GUARDED:
            if GOOD in scope["headers"]:
                scope["state"]["permission"] = frozenset({"read"})
            else:
                status = 401
        scope["state"]["elsewhere"] = answer is ELSEWHERE
        await send({"type": "http.response.start", "status": status, "headers": answer})
        await send({"type": "http.response.body", "body": b"%d" % number, "more_body": False})

    async def one(hot, scope):
        sent = []

        async def keep(message):
            sent.append(message)

        try:
            await hot({**SCOPE, **scope}, None, keep)
        except OSError:
            return None
        return sent[0]["status"], sent[1]["body"]

    async with serving() as served:
        hot = HotPath(app, served, Known, Traffic())
        requests = [asyncio.create_task(one(hot, scope)) for scope in scopes]
        await asyncio.sleep(0)  # all of them have begun

        async def finish():
            go_on.set()
            return await asyncio.gather(*requests, return_exceptions=True)

        yield finish, asked, requests


def ask_at_once(serving, answers, *scopes):
    """Ask at once; return what each got, and how often the app was asked."""

    async def go():
        async with asked_at_once(serving, answers, *scopes) as (finish, asked, _):
            return await finish(), len(asked)

    return asyncio.run(go())


def test_what_is_being_made_is_waited_for(serving):
    assert ask_at_once(serving, [KEPT_ONE], {}, {}, {}) == ([(200, b"1")] * 3, 1)


def test_an_answer_of_another_publication_is_waited_for_as_well(serving):
    """It is not kept, but those who ask at the same moment get it."""
    assert ask_at_once(serving, [ELSEWHERE], {}, {}, {}) == ([(200, b"1")] * 3, 1)


def test_who_waits_for_the_answer_to_a_head_gets_all_of_it(serving):
    got, asked = ask_at_once(serving, [KEPT_ONE], {"method": "HEAD"}, {})
    assert (got, asked) == ([(200, b""), (200, b"1")], 1)


def test_who_waits_gets_only_what_he_may(serving):
    good, other = {"headers": [GOOD]}, {"headers": [(b"authorization", b"Bearer other")]}
    got, asked = ask_at_once(serving, [GUARDED] * 4, good, {}, other, good)
    assert got == [(200, b"1"), (401, b"3"), (401, b"2"), (200, b"1")]
    assert asked == 3  # by the other at once, and by nobody's when there was an answer to refuse


def test_nobody_waits_for_anothers_password(serving):
    """Nor for what is asked of the server itself; all are with the app at once."""

    async def go(path):
        requests = [{"path": path, "raw_path": path.encode()}] * 3
        async with asked_at_once(serving, [NOT_KEPT_ONE] * 3, *requests) as (finish, asked, _):
            assert len(asked) == 3
            await finish()

    for path in ("/api/auth/token", "/api/token/", "/health/live", "/metrics"):
        asyncio.run(go(path))


def test_what_is_not_to_be_kept_is_made_for_each(serving):
    got, asked = ask_at_once(serving, [NOT_KEPT_ONE] * 3, {}, {}, {})
    assert (sorted(got), asked) == ([(200, b"1"), (200, b"2"), (200, b"3")], 3)


def test_who_waited_in_vain_asks(serving):
    got, asked = ask_at_once(serving, [OSError(), KEPT_ONE, KEPT_ONE], {}, {}, {})
    # The third finds what the second was given after its vain wait.
    assert (got, asked) == ([None, (200, b"2"), (200, b"2")], 2)


def test_who_waits_for_one_that_is_cancelled_asks(serving):
    async def go():
        async with asked_at_once(serving, [KEPT_ONE] * 2, {}, {}) as (finish, asked, requests):
            requests[0].cancel()
            await asyncio.sleep(0)
            got = await finish()
            assert isinstance(got[0], asyncio.CancelledError)
            assert (got[1], len(asked)) == ((200, b"2"), 2)

    asyncio.run(go())


def test_a_vain_wait_is_part_of_how_long_a_request_took(serving):
    traffic, go_on = Traffic(), asyncio.Event()

    async def app(scope, receive, send):
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": NOT_KEPT_ONE})
        await send({"type": "http.response.body", "body": b"x", "more_body": False})

    async def go():
        async with serving() as served:
            hot = HotPath(app, served, Known, traffic)
            asking = [asyncio.create_task(hot(SCOPE, None, nowhere)) for _ in range(3)]
            await asyncio.sleep(0)
            begun = perf_counter()
            while (waited := perf_counter() - begun) < 0.02:  # noqa: ASYNC110 -- time is to pass
                await asyncio.sleep(0)
            go_on.set()
            await asyncio.gather(*asking)
            return waited

    waited = asyncio.run(go())
    (tally,) = traffic.tallies.values()
    assert tally.requests == 3
    assert tally.total >= 3 * waited


def test_one_that_ends_ends_no_others_wait(serving):
    """The first was refused and reads slowly; others wait for the second meanwhile."""
    reading, go_on, asked = asyncio.Event(), asyncio.Event(), []

    async def app(scope, receive, send):
        asked.append(scope)
        if len(asked) == 1:
            await send({"type": "http.response.start", "status": 401, "headers": NOT_KEPT_ONE})
            await reading.wait()
            await send({"type": "http.response.body", "body": b"x", "more_body": False})
            return
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": KEPT_ONE})
        await send({"type": "http.response.body", "body": b"2", "more_body": False})

    async def go():
        async with serving() as served:
            hot = HotPath(app, served, Known, Traffic())
            tasks = []
            for _ in range(4):
                tasks.append(asyncio.create_task(hot(SCOPE, None, nowhere)))
                await asyncio.sleep(0)
            reading.set()
            await tasks[0]
            go_on.set()
            await asyncio.gather(*tasks)
            assert len(asked) == 2

    asyncio.run(go())


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
            admission = Admission(None, -BURST, Pace(), traffic, Origins(()))
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
            admission = Admission(app, 3, Pace(), traffic, Origins(()))
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

    monkeypatch.setattr("api.framework.compress", compress)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": KEPT})
        await send({"type": "http.response.body", "body": bytes(10_000), "more_body": False})

    async def go():
        bodies = []

        async def send(message):
            bodies.append(message.get("body"))

        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        hot = HotPath(app, Serving(Store(tmp_path), {}, None), Bearer(None, None), Traffic())
        scope = {**SCOPE, "headers": [(b"accept-encoding", b"gzip")]}
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

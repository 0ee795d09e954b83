"""What a server does with more than it takes on: refuse it at once, and serve the rest."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial

import httpx
import psutil
import pytest
import uvicorn
from prometheus_client.parser import text_string_to_metric_families
from uvicorn.server import ServerState

from api.admission import BURST, MOMENT, PASSING, REST, Admission
from api.app import create_app
from api.capacity import Capacity
from api.connection import LONGEST_TARGET, SPARE, Connection
from api.cors import Origins
from api.observing.connections import REFUSED
from api.observing.traffic import Traffic
from api.pace import Pace

MART = "/api/v1/marts/long"
LONG = "select n, 'text ' || n as t from range(400000) r(n)"
WEEK = "/api/v1/transformation/count_date_by_week"


def address(server):
    host, _, port = server.url.removeprefix("http://").partition(":")
    return host, int(port)


def send(server, *parts):
    """Connect, send some bytes, and leave the connection open."""
    connection = socket.create_connection(address(server), timeout=30)
    for part in parts:
        connection.sendall(part)
    return connection


def read(connection):
    """Read until the server closes the connection; return status, header lines and body."""
    answer = b""
    try:
        while part := connection.recv(1 << 16):
            answer += part
    except ConnectionResetError:
        pass
    connection.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    return int(lines[0].split()[1]) if lines[0] else 0, lines[1:], body


def is_answered(connection):
    """Ask whether a server is alive, and tell whether it says so."""
    connection.sendall(HEAD + b"\r\n")
    answer = b""
    while not answer.endswith(b"}"):
        part = connection.recv(1 << 16)
        assert part, answer
        answer += part
    return answer.startswith(b"HTTP/1.1 200")


def is_problem(status, lines, body):
    """Tell whether an answer is a problem of that status, with one sentence and no internals."""
    problem = json.loads(body)
    assert "content-type: application/problem+json" in lines
    assert "x-content-type-options: nosniff" in lines
    assert problem["status"] == status
    assert re.fullmatch(r"[A-Z][^\n]+\.", problem["detail"])
    return problem["detail"]


@pytest.fixture(scope="module")
def small(run_server_in, make_publication, make_events, tmp_path_factory):
    """A server that takes on little and waits for nobody long."""
    folder = tmp_path_factory.mktemp("small")
    make_publication(folder / "publications", make_events(1), more={"long": LONG})
    bounds = {
        "LEADMARTS_QUERY_PROCESSES": "1",
        "LEADMARTS_QUEUE": "2",
        "LEADMARTS_CONNECTIONS": "24",
        "LEADMARTS_CLIENT_SECONDS": "1",
    }
    with run_server_in(folder, **bounds) as server:
        yield server


def test_what_is_beyond_the_queue_is_refused_at_once(small):
    """Of many who ask again and again some are answered, and the others told within a moment."""
    stop = threading.Event()
    wrong, refused = [], []

    def ask(place):
        headers = {"Origin": "https://a.example"}
        # The contract would ask for the document, and be refused as well.
        with httpx.Client(base_url=small.url, headers=headers, timeout=60) as client:
            for number in range(10_000):
                if stop.is_set():
                    return
                # Short, so that nobody in the queue waits long, however busy the machine is.
                query = {"select": "t,x:n.sum()", "n": "lt.50000", "order": "t"}
                query["limit"] = str(1 + place + 20 * number)
                begun = time.monotonic()
                answer = client.get(MART, params=query)
                if answer.status_code == 503:
                    refused.append((answer, time.monotonic() - begun))
                elif answer.status_code != 200 or answer.json()[0] != {"t": "text 0", "x": 0}:
                    wrong.append(answer)

    with ThreadPoolExecutor(12) as pool, httpx.Client(base_url=small.url, timeout=60) as client:
        asking = [pool.submit(ask, place) for place in range(12)]
        try:
            deadline = time.monotonic() + 60
            while len(refused) < 20:
                assert time.monotonic() < deadline
                for probe in ("/health/live", "/health/ready"):  # they are always let in
                    assert client.get(probe).status_code == 200
        finally:
            stop.set()
        for one in asking:
            one.result()
    assert wrong == []
    for answer, _ in refused:
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["message"] == answer.json()["detail"]
    assert statistics.median(took for _, took in refused) < 0.5
    assert re.search(r"Requests are refused: \d+ are being answered", small.log())
    assert small.log().count("Requests are refused") < len(refused)
    with small.client() as client:  # and all is as before
        assert client.get(MART, params={"n": "lt.3", "limit": 7}).status_code == 200


def test_only_a_burst_may_be_more(monkeypatch):
    """As many as may be, more for a moment, and more again only after a rest."""
    now = 100.0
    monkeypatch.setattr("api.admission.time.monotonic", lambda: now)

    async def go():
        nonlocal now
        end = asyncio.Event()

        async def app(scope, receive, send):
            await end.wait()

        traffic = Traffic()
        admission = Admission(app, 3, Pace(), traffic, Origins(()))
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "state": {}}
        statuses = []

        async def send(message):
            statuses.append(message.get("status"))

        async def ask(count):
            """Ask so often, and tell how many were refused."""
            before = traffic.refused
            for _ in range(count):
                for message in admission.refuse(scope) or [{}]:
                    await send(message)
                    if not message:
                        tasks.append(asyncio.create_task(admission(scope, None, send)))
                        await asyncio.sleep(0)
            return traffic.refused - before

        async def answer():
            end.set()
            await asyncio.gather(*tasks)
            tasks.clear()
            end.clear()

        tasks = []
        assert await ask(3 + BURST) == 0
        assert await ask(4) == 4
        await answer()
        assert await ask(5) == 0  # the moment goes on
        now += MOMENT + 0.01
        assert await ask(2) == 2
        await answer()
        assert await ask(4) == 1  # three places, and no burst so soon
        await answer()
        now += REST + 0.01
        assert await ask(5) == 0
        await answer()
        assert set(statuses) == {503, None}

    asyncio.run(go())


async def send_long(made, scope, send):
    """Answer as handlers of long answers do; note which parts are made."""

    async def parts():
        for number in range(3):
            made.append(number)
            yield b"part"

    scope["state"]["passing"] = parts()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"held", "more_body": True})
    async for part in scope["state"]["passing"]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def test_slow_readers_of_long_answers_keep_no_other_out():
    """One more of them than is sent at once is refused, and has no place from then on."""
    most = 3

    async def go():
        end = asyncio.Event()
        made = []

        async def app(scope, receive, send):
            await send_long(made, scope, send)

        async def ask(sent):
            async def send(message):
                sent.append(message)
                if message.get("status") == 200:
                    await end.wait()

            scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "state": {}}
            for message in admission.refuse(scope):
                await send(message)
                return
            await admission(scope, None, send)

        admission = Admission(app, most, Pace(), Traffic(), Origins(()))
        sent = [[] for _ in range(PASSING + most + 1)]
        asking = [asyncio.create_task(ask(one)) for one in sent]
        await asyncio.wait(asking[PASSING:], timeout=5)
        assert [one[0]["status"] for one in sent] == [200] * PASSING + [503] * (most + 1)
        for start, body in sent[PASSING:]:
            headers = dict(start["headers"])
            assert headers[b"retry-after"] == b"1"
            assert headers[b"content-type"] == b"application/problem+json"
            assert json.loads(body["body"])["status"] == 503
            assert not body["more_body"]
        assert made == []
        end.set()
        await asyncio.gather(*asking)
        assert made == [0, 1, 2] * PASSING
        assert all(len(one) == 6 for one in sent[:PASSING])
        last = []
        await ask(last)
        assert last[0]["status"] == 200  # there is room again

    asyncio.run(go())


@pytest.mark.parametrize("path", ["/health/live", "/metrics/", "/api/auth/token", "/api/token/"])
def test_what_asks_duckdb_nothing_is_never_refused(path):
    scope = {"type": "http", "method": "GET", "headers": [], "state": {}}
    admission = Admission(None, 0, Pace(), Traffic(), Origins(()))
    admission._inside = BURST
    assert admission.refuse({**scope, "path": "/"})
    assert not admission.refuse({**scope, "path": path})


def test_a_page_may_read_why_it_is_refused():
    app = "https://app.example"
    headers = [(b"origin", app.encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "state": {}}
    admission = Admission(None, 0, Pace(), Traffic(), Origins([app]))
    admission._inside = BURST
    start, _ = admission.refuse(scope)
    told = dict(start["headers"])
    assert told[b"access-control-allow-origin"] == app.encode()
    assert b"Retry-After" in told[b"access-control-expose-headers"]
    assert told[b"vary"] == b"Origin"
    # It could not, if its preflight were refused; any other OPTIONS is a request as all are.
    assert admission.refuse({**scope, "method": "OPTIONS"})
    headers.append((b"access-control-request-method", b"GET"))
    assert not admission.refuse({**scope, "method": "OPTIONS"})


@pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")
def test_a_preflight_takes_no_place(monkeypatch, tmp_path):
    """Nor a turn: those who are let in, and wait, keep no page from its question."""
    monkeypatch.setenv("LEADMARTS_DATA", str(tmp_path))

    async def never(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(Admission, "_let_in", never)
    preflight = [(b"origin", b"https://a.example"), (b"access-control-request-method", b"GET")]
    scope = {
        "type": "http",
        "method": "OPTIONS",
        "path": WEEK,
        "raw_path": WEEK.encode(),
        "query_string": b"",
        "headers": preflight,
        "state": {},
    }
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(asyncio.wait_for(create_app()(scope, None, send), 30))
    assert sent[0]["status"] == 204


def test_kept_answers_need_no_admission(small):
    with small.client() as client:
        expected = client.get(WEEK).json()

    def work(place):
        with small.client() as client:
            query = {"select": "t,n.sum()", "order": "t", "limit": 1, "offset": place}
            return client.get(MART, params=query)

    with ThreadPoolExecutor(12) as pool:
        working = [pool.submit(work, n) for n in range(12)]
        with small.client() as client:
            while not all(one.done() for one in working):
                answer = client.get(WEEK)
                assert (answer.status_code, answer.json()) == (200, expected)


def test_many_who_ask_the_same_are_one(small):
    """More than a server takes on ask for what nobody asked before: all are answered, by one."""
    query = {"select": "t,x:n.sum()", "order": "t", "limit": 2, "offset": 77}
    before = misses(small)
    with ThreadPoolExecutor(16) as pool, ExitStack() as stack:
        clients = [
            stack.enter_context(httpx.Client(base_url=small.url, timeout=60)) for _ in range(16)
        ]
        for client in clients:
            client.get("/health/live")  # to be connected, so that they ask at the same moment
        answers = list(pool.map(lambda client: client.get(MART, params=query), clients))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert misses(small) - before - len(clients) - 1 == 1  # but for the probes, and this look


def misses(server):
    """How many requests were not answered from what is kept."""
    for family in text_string_to_metric_families(
        httpx.get(f"{server.url}/metrics", timeout=60).text
    ):
        if family.name == "leadmarts_cache_misses":
            return family.samples[0].value
    raise AssertionError


def test_a_slow_reader_keeps_no_place(small, wait_until):
    """Long answers that nobody takes stop neither other answers nor each other, and are cut."""
    before = small.descriptors()
    head = b"GET %b.csv?offset=%d HTTP/1.1\r\nHost: x\r\n\r\n"
    readers = []
    for number in range(6):  # more than there are places
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(address(small))
        reader.sendall(head % (MART.encode(), number))
        reader.settimeout(30)
        assert reader.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
        readers.append(reader)
    with small.client() as client:
        assert client.get(MART, params={"limit": 3, "offset": 5}).status_code == 200
    # Nobody reads, so the server gives them up.
    wait_until(lambda: small.descriptors() <= before, what="closed connections")
    for reader in readers:
        reader.close()


def test_the_rest_of_a_last_answer_is_not_kept_for_ever(wait_until):
    """The server closes the connection while some is left, too little to stop it from writing."""

    async def go():
        clients, servers = [], []
        for _ in range(3):
            server, client = socket.socketpair()
            server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            clients.append(client)
            servers.append(server)

        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": bytes(40_000)})

        config = uvicorn.Config(app, lifespan="off", ws="none", log_config=None)
        state = ServerState()
        made = partial(Connection, config, state, {}, capacity=Capacity(client_seconds=5))
        loop = asyncio.get_running_loop()
        for server in servers:
            await loop.connect_accepted_socket(made, server)
        clients[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        clients[1].sendall(b"GET / HTTP/1.0\r\n\r\n")
        clients[2].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

        def left(closing):
            """Tell how many hold something."""
            transports = [one.transport for one in list(state.connections)]
            return sum(
                one.is_closing() == closing and one.get_write_buffer_size() > 0
                for one in transports
            )

        await asyncio.to_thread(wait_until, lambda: (left(True), left(False)) == (2, 1))
        clients[2].sendall(b"no HTTP\r\n\r\n")  # which is refused
        await asyncio.to_thread(wait_until, lambda: left(True) == 3)
        await asyncio.to_thread(wait_until, lambda: not state.connections)
        for client in clients:
            client.close()

    asyncio.run(go())


HEAD = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /api/auth/token HTTP/1.1\r\nHost: x\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = FORM + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"2000\r\n" + b"a" * 0x2000 + b"\r\n"


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([HEAD + b"X: " + b"a" * 140_000 + b"\r\n\r\n"], 431),
        ([HEAD, *[b"X: " + b"a" * 20_000 + b"\r\n"] * 9], 431),
        ([b"GET /" + b"a" * 140_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"], 431),
        ([b"GET /" + b"a" * LONGEST_TARGET + b" HTTP/1.1\r\nHost: x\r\n\r\n"], 414),
        ([POST + b"Content-Length: 70000\r\n\r\n"], 413),
        ([POST + CHUNKED, *[CHUNK] * 9], 413),
        ([POST + CHUNKED, b"0\r\n", *[b"X: " + b"a" * 20_000 + b"\r\n"] * 60, b"\r\n"], 413),
        ([POST + CHUNKED, *[b"1;x=" + b"a" * 20_000 + b"\r\na\r\n"] * 60, b"0\r\n\r\n"], 413),
        ([b"this is no HTTP\r\n\r\n"], 400),
        ([HEAD + b"Content-Length: many\r\n\r\n"], 400),
    ],
)
def test_requests_that_are_too_large_or_none(small, parts, status):
    begun = time.monotonic()
    connection = socket.create_connection(address(small), timeout=30)
    try:
        for part in parts:
            connection.sendall(part)
    except (ConnectionResetError, BrokenPipeError):
        pass  # it was refused before it came to its end
    answer = read(connection)
    assert answer[0] == status
    assert is_problem(*answer)
    assert "connection: close" in answer[1]
    assert time.monotonic() - begun < 20
    assert "Traceback" not in small.log()


def test_requests_that_do_not_come_to_their_end(small):
    begun = time.monotonic()
    sent = [b"", b"G", b"\r\n", HEAD, HEAD + b"X: ", POST + FORM + b"Content-Length: 9\r\n\r\na"]
    for connection in [send(small, part) for part in sent]:
        answer = read(connection)
        assert answer[0] == 408
        assert is_problem(*answer)
    assert 0.9 < time.monotonic() - begun < 20
    assert "Traceback" not in small.log()


def test_dripping_bytes_gain_no_time(small):
    """The clock runs from the first byte of a request, also on a connection that was used."""
    connection = send(small, HEAD + b"\r\n")
    assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
    begun = time.monotonic()
    try:
        for byte in HEAD * 9:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)
    except (ConnectionResetError, BrokenPipeError):
        pass
    assert 0.9 < time.monotonic() - begun < 15  # all of it would have taken longer
    connection.close()


def test_requests_behind_each_other_are_each_answered(small):
    """Also where the second has to wait for the first, which takes longer than a client may."""
    first = b"GET %b?select=t,n.avg()&order=t&limit=1 HTTP/1.1\r\nHost: x\r\n\r\n" % MART.encode()
    connection = send(small, first + HEAD, b"Connection: close\r\n\r\n")
    status, _, body = read(connection)
    assert status in {200, 503}
    assert body.count(b"HTTP/1.1 200") == 1
    assert body.endswith(b'{"status":"live"}')


def test_connections_beyond_the_limit_are_told_so(small, wait_until):
    before = small.descriptors()
    held = []
    for _ in range(24):  # these are used, so that nobody waits for a request of theirs
        held.append(send(small))
        assert is_answered(held[-1])
    status, lines, body = read(send(small, HEAD + b"\r\n"))
    assert status == 503
    assert is_problem(status, lines, body)
    assert "retry-after: 1" in lines
    for connection in held:
        connection.sendall(HEAD)
    for connection in held:  # they are waited for a second
        assert read(connection)[0] in {408, 0}
    with small.client() as client:
        wait_until(lambda: client.get("/health/live").status_code == 200)
    wait_until(lambda: small.descriptors() <= before + 1, what="closed connections")


def test_the_longest_question_is_heard(small):
    asked = b"GET /" + b"a" * (LONGEST_TARGET - 1) + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    with send(small, asked) as connection:
        assert connection.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 404"


def refused_connections(server):
    """How many connections were refused, by status."""
    with server.client() as client:
        families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        int(sample.labels["status"]): sample.value
        for family in families
        if family.name == "leadmarts_connections_refused"
        for sample in family.samples
        if sample.name.endswith("_total")
    }


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"this is no HTTP\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (HEAD, 408),
        (POST + b"Content-Length: 70000\r\n\r\n", 413),
        (b"GET /" + b"a" * LONGEST_TARGET + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (HEAD + b"X: " + b"a" * 140_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_a_connection_refuses_is_counted(small, sent, status):
    before = refused_connections(small)
    assert before.keys() == REFUSED.keys()
    with socket.create_connection(address(small), timeout=30) as connection:
        with suppress(ConnectionResetError, BrokenPipeError):  # it may not come to its end
            connection.sendall(sent)
        assert read(connection)[0] == status
    assert refused_connections(small) == {**before, status: before[status] + 1}


def test_connections_beyond_the_limit_are_counted(small, wait_until):
    """Whether they are told of it, ask or say nothing, or are closed at once."""
    before, descriptors = refused_connections(small), small.descriptors()
    held = []
    for _ in range(24):  # these are used, so that nobody waits for a request of theirs
        held.append(send(small))
        assert is_answered(held[-1])
    beyond = [send(small, HEAD + b"\r\n"), *[send(small) for _ in range(SPARE + 5)]]
    statuses = [read(connection)[0] for connection in beyond]
    assert statuses.count(503) > SPARE // 2
    assert statuses.count(0) > 0
    assert set(statuses) == {503, 0}
    for connection in held:
        connection.close()
    wait_until(lambda: small.descriptors() <= descriptors, what="closed connections")
    assert refused_connections(small) == {**before, 503: before[503] + len(beyond)}


def test_who_was_there_first_is_answered(small, wait_until):
    """However many come later, and whether or not they say anything."""
    before = small.descriptors()
    held = []
    for _ in range(24):
        held.append(send(small))
        assert is_answered(held[-1])
    silent = send(small)
    assert read(send(small, HEAD + b"\r\n"))[0] == 503
    assert all(is_answered(connection) for connection in held)
    assert read(silent)[0] == 503
    for connection in held:
        connection.close()
    wait_until(lambda: small.descriptors() <= before, what="closed connections")


def test_a_server_that_ends_answers_what_it_has_begun(
    run_server, make_publication, tmp_path, wait_until
):
    """And cuts what does not end within its deadline."""
    make_publication(tmp_path / "publications", [], more={"long": LONG})
    bounds = {"LEADMARTS_DRAIN_SECONDS": "6", "LEADMARTS_CLIENT_SECONDS": "30"}
    with run_server(**bounds) as server:
        never = socket.socket()
        never.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        never.connect(address(server))
        never.sendall(b"GET %b.csv HTTP/1.1\r\nHost: x\r\n\r\n" % MART.encode())
        assert never.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
        (process,) = psutil.Process(server.process.pid).children()
        before = process.cpu_times().user
        query = b"select=t,x:n.sum()&order=t&limit=1"
        asking = send(server, b"GET %b?%b HTTP/1.1\r\nHost: x\r\n\r\n" % (MART.encode(), query))
        assert httpx.get(f"{server.url}/health/live", timeout=60).is_success  # so it was read
        wait_until(lambda: process.cpu_times().user > before + 0.02, what="it to be worked on")
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)  # as to a whole group of processes
        server.process.send_signal(signal.SIGTERM)
        status, _, body = read(asking)
        assert (status, body) == (200, b'[{"t":"text 0","x":0}]')
        server.process.wait(30)
        assert 5.5 < time.monotonic() - begun < 60
        never.close()
    assert server.log().count("Lead Marts stops.") == 1


def test_two_servers_over_one_folder(
    run_server_in, make_publication, make_events, model, tmp_path, wait_until
):
    """Each follows by itself, both say the same, and the end of one is nothing to the other."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    folder = {"LEADMARTS_PUBLICATIONS": str(tmp_path / "publications")}
    make_publication(tmp_path / "publications", make_events(1))
    with run_server_in(tmp_path / "two", **folder) as two:
        with run_server_in(tmp_path / "one", **folder) as one:
            make_publication(tmp_path / "publications", make_events(2))
            for server in (one, two):
                wait_until(lambda s=server: "Publication 2 is served now." in s.log())
            with one.client() as client, two.client() as other:
                answers = [client.get(WEEK), other.get(WEEK)]
            assert answers[0].headers["etag"] == answers[1].headers["etag"]
            assert [one.json() for one in answers] == [model(make_events(2), "week")] * 2
        with two.client() as client:
            assert client.get(MART.replace("long", "lead_event_counts_weekly")).status_code == 200


def test_query_processes_have_their_share_of_memory_and_no_secret(
    run_server, make_publication, tmp_path
):
    made = "select n, md5(n::varchar) || md5((-n)::varchar) as t from range(400000) r(n)"
    make_publication(tmp_path / "publications", [], more={"long": made})
    secrets = {
        "LEADMARTS_SIGNING_KEY": "0123456789abcdef-a-key-of-tests-only",
        "NOTION_TOKEN": "ntn_of_tests",
        "AWS_SECRET_ACCESS_KEY": "of tests",
    }
    with (
        run_server(LEADMARTS_QUERY_MEMORY="20MB", **secrets) as server,
        server.client() as client,
    ):
        answer = client.get(f"{MART}.csv", params={"order": "t"})
        assert answer.status_code == 503
        assert "needs more memory than there is" in answer.json()["detail"]
        assert client.get(MART, params={"limit": 1}).status_code == 200
        for process in psutil.Process(server.process.pid).children():
            names = process.environ().keys()
            assert "PATH" in names
            assert not [name for name in names if name.startswith(("LEADMARTS", "NOTION", "AWS"))]
    assert not list((tmp_path / "publications").glob("*.tmp"))  # nor is anything put on disk


def test_time_is_not_given_twice(make_publication, open_current, tmp_path):
    """What was worked before the file is written is taken off the time for it."""
    make_publication(tmp_path, [])

    async def go():
        async with open_current(tmp_path, 5.0) as publication:
            with publication.work() as before:
                await before.rows("select sum(range) from range(20000000)", {})
                assert before.left < 5
                with publication.work(before=before) as after:
                    assert after.left == before.left

    asyncio.run(go())

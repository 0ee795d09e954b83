"""A request that comes as one before is answered as if it had been read again."""

import asyncio
import gzip
from contextlib import nullcontext
from functools import partial
from itertools import product
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.answers import Answer
from api.heads import LONGEST, MOST, Heads, Hit
from api.hot import HotPath
from api.observing.traffic import Tallies, Traffic
from api.shelf import Key, Shelf

GOOD = (b"authorization", b"Bearer good")


class Tokens:
    """Whoever knows one token, until it does not."""

    good = True

    def permits(self, headers, needed):
        return self.good and headers.get(b"authorization") == GOOD[1] and needed <= {"read"}


def merged(lines):
    """Header fields by name, repeated ones as a list (RFC 9110 §5.3)."""
    names = dict.fromkeys(name for name, _ in lines)
    return {name: b", ".join(value for its, value in lines if its == name) for name in names}


def body_of(path, headers):
    """What an answer may depend on, often enough that it is worth compressing."""
    told = [headers.get(name, b"-") for name in (b"accept", b"range", b"prefer", b"host")]
    return b"|".join([path.encode(), *told]) * 90


async def echo(tokens, scope, receive, send):
    """Answer with that; ``/guarded`` only with the token."""
    headers = merged(scope["headers"])
    control, status = b"public, max-age=0", 200
    if scope["path"] == "/guarded":
        control = b"private, max-age=0"
        if tokens.permits(headers, frozenset({"read"})):
            scope["state"]["permission"] = frozenset({"read"})
        else:
            status = 401
    said = [(b"etag", b'"%b"' % headers.get(b"accept", b"-")), (b"cache-control", control)]
    body = body_of(scope["path"], headers)
    await send({"type": "http.response.start", "status": status, "headers": said})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def expected(good, method, path, lines):
    """The status and the body, by the rules of HTTP alone."""
    if method == "HEAD":
        lines = [line for line in lines if line[0] != b"range"]
    headers = merged(lines)
    body = body_of(path, headers) if method != "HEAD" else b""
    if path == "/guarded" and not (good and headers.get(GOOD[0]) == GOOD[1]):
        return 401, body
    coding = b"-gzip" if b"accept-encoding" in headers else b""
    tag = b'"%b%b"' % (headers.get(b"accept", b"-"), coding)
    if method != "POST" and tag in headers.get(b"if-none-match", b"").split(b", "):
        return 304, b""
    return 200, body


def a_path(tokens):
    """The layer in front of that app, over a publication of nothing."""
    publication = SimpleNamespace(
        answers=Shelf(), manifest=SimpleNamespace(number=1), leases=nullcontext()
    )
    serving = SimpleNamespace(publication=publication)
    return HotPath(partial(echo, tokens), serving, tokens, Traffic()), publication


async def ask(hot, method, path, headers):
    sent = []

    async def keep(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "state": {}}
    await hot({**scope, "headers": list(headers)}, None, keep)
    said, body = dict(sent[0]["headers"]), b"".join(one["body"] for one in sent[1:])
    if body and b"content-encoding" in said:
        body = gzip.decompress(body)
    return sent[0]["status"], body, said.get(b"x-request-id")


lines = st.one_of(
    st.sampled_from(
        [
            GOOD,
            (b"authorization", b"Bearer other"),
            (b"accept", b"text/csv"),
            (b"accept", b"*/*"),
            (b"range", b"0-1"),
            (b"prefer", b"count=exact"),
            (b"accept-encoding", b"gzip"),
            (b"if-none-match", b'"-"'),
            (b"if-none-match", b'"--gzip"'),
            (b"if-none-match", b'"*/*-gzip"'),
            (b"user-agent", b"a browser"),
            (b"x-request-id", b"of-a-proxy"),
            (b"x-request-id", b"of-another"),
        ]
    )
)
requests = st.tuples(
    st.sampled_from(["GET", "GET", "HEAD", "POST"]),
    st.sampled_from(["/open", "/guarded"]),
    st.lists(lines, max_size=3),
)


@given(st.lists(requests, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_known_heads_change_no_answer(different, chance):
    """The same requests again and again, and once more when the token is no good any more."""

    async def go():
        tokens = Tokens()
        hot, _ = a_path(tokens)
        coming = different * 4
        chance.shuffle(coming)
        for good, request in product([True, False], coming):
            tokens.good = good
            status, body, name = await ask(hot, *request)
            assert (status, body) == expected(good, *request)
            ids = [value for line, value in request[2] if line == b"x-request-id"]
            assert len(ids) != 1 or name == ids[0]  # two are none

    asyncio.run(go())


def test_a_request_that_came_twice_is_known_and_then_not_read_again(monkeypatch):
    async def go():
        hot, publication = a_path(Tokens())
        for _ in range(2):
            await ask(hot, "GET", "/open", [(b"user-agent", b"a browser")])
        assert len(publication.answers.heads) == 1
        monkeypatch.setattr(HotPath, "_read", None)
        status, _, _ = await ask(hot, "GET", "/open", [(b"user-agent", b"a browser")])
        assert status == 200

    asyncio.run(go())


def an_answer(length=10):
    return Answer(200, [(b"etag", b'"x"')], b"x" * length, "identity", Tallies(), "/")


def a_hit(answer, headers):
    return Hit(answer, dict(headers), b"", *answer.reply("GET", None))


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-request-id", b"1")],
        [(b"traceparent", b"00-1-1-01")],
        [(b"cookie", b"x" * LONGEST)],
    ],
)
def test_what_will_hardly_come_again_is_not_known(headers):
    heads, answer = Heads(), an_answer()
    heads.keep(("GET", "/", b"", tuple(headers)), a_hit(answer, headers))
    assert not heads


def test_there_are_no_more_than_so_many_and_the_oldest_goes():
    heads, answer = Heads(), an_answer()
    for number in range(MOST + 3):
        heads.keep(("GET", f"/{number}", b"", ()), a_hit(answer, ()))
    assert len(heads) == MOST
    assert next(iter(heads))[1] == "/3"


def test_they_go_with_their_answer():
    """Else they would hold its bytes."""
    shelf = Shelf(entries=3)
    for number in range(5):
        key, answer = Key(f"/{number}", b"", ()), an_answer()
        shelf.keep(key, answer)
        shelf.heads.keep(("GET", key.path, b"", ()), a_hit(answer, ()))
    assert [path for _, path, *_ in shelf.heads] == ["/2", "/3", "/4"]
    shelf.keep(key, an_answer())
    assert [path for _, path, *_ in shelf.heads] == ["/2", "/3"]
    asyncio.run(shelf.empty())
    assert not shelf.heads

"""A request that comes as one before is answered as if it had been read again."""

import asyncio
import gzip
from contextlib import nullcontext
from functools import partial
from itertools import product
from time import perf_counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.answers import Answer
from api.heads import A_LINE, LARGEST, MOST, MOST_ONCE, Heads, Hit
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

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "state": {}}
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
            assert len(ids) != 1 or name == ids[0]
            assert ids or name not in {b"of-a-proxy", b"of-another"}

    asyncio.run(go())


BROWSER = [(b"user-agent", b"a browser")]


def ask_again_and_again(hot, times=3, headers=BROWSER):
    """Ask so often that the head is known: the first time there is no answer yet."""

    async def go():
        return [await ask(hot, "GET", "/open", headers) for _ in range(times)]

    return asyncio.run(go())


def test_a_request_that_came_before_is_known_and_then_not_read_again(monkeypatch):
    hot, publication = a_path(Tokens())
    ask_again_and_again(hot, 2)
    assert not publication.answers.heads  # of a proxy that gives each an id, none would come again
    ask_again_and_again(hot, 1)
    assert len(publication.answers.heads) == 1
    monkeypatch.setattr(HotPath, "_read", None)
    ask_again_and_again(hot, 1)


def test_a_known_request_is_one_to_the_next_publication_as_well():
    hot, publication = a_path(Tokens())
    ask_again_and_again(hot)
    others, _ = a_path(Tokens())
    hot._serving.publication = others._serving.publication
    ask_again_and_again(hot, 1)
    assert len(publication.answers.heads) == 1
    assert not others._serving.publication.answers.heads
    assert hot._traffic.misses == 2


def test_a_known_request_counts_and_is_a_use_of_its_answer():
    hot, publication = a_path(Tokens())
    ask_again_and_again(hot)
    (answer,) = publication.answers.values()
    before = answer.used
    ask_again_and_again(hot, 1)
    assert answer.used > before
    assert hot._traffic.hits == 3
    assert sum(tally.requests for tally in hot._traffic.tallies.values()) == 4


def test_a_known_request_can_be_chosen_for_the_log():
    hot, publication = a_path(Tokens())
    ask_again_and_again(hot)
    assert publication.answers.heads
    hot._traffic._sample = 1
    ((_, _, first), (_, _, second)) = ask_again_and_again(hot, 2)
    assert first
    assert second
    assert first != second
    hot._traffic._sample = 0
    ((_, _, name),) = ask_again_and_again(hot, 1)
    assert name is None


def test_who_waited_does_not_make_an_answer_older():
    """What is warmed first is what was used last."""
    hot, publication = a_path(Tokens())
    go_on, app = asyncio.Event(), hot._framework._app

    async def slow(scope, receive, send):
        await go_on.wait()
        await app(scope, receive, send)

    async def go():
        hot._framework._app = slow
        asking = [asyncio.create_task(ask(hot, "GET", "/open", BROWSER)) for _ in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        begun = perf_counter()
        go_on.set()
        await asyncio.gather(*asking)
        (answer,) = publication.answers.values()
        assert answer.used > begun

    asyncio.run(go())


def an_answer(permission=None):
    return Answer(200, [(b"etag", b'"x"')], b"x", "identity", Tallies(), "/", permission)


def a_hit(answer, headers):
    return Hit(answer, dict(headers), b"", *answer.reply("GET", None))


def keep_twice(heads, head, answer):
    for _ in range(2):
        heads.keep(head, a_hit(answer, head[3]))


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        ([], True),
        ([(b"accept", b"x" * (LARGEST - A_LINE - 6))], False),
        ([(b"accept", b"x" * (LARGEST - A_LINE - 20))], True),
        ([(b"a", b"")] * (LARGEST // A_LINE), False),  # few bytes, and much memory
        ([(b"cookie", b"of somebody")], False),
        ([(b"authorization", b"Basic of-somebody")], False),
    ],
)
def test_what_is_large_or_private_is_not_known(headers, known):
    heads, answer = Heads(), an_answer()
    keep_twice(heads, ("GET", b"/", b"", tuple(headers)), answer)
    assert bool(heads) == known == bool(answer.heads)


def test_a_token_is_known_that_the_answer_needs():
    heads = Heads()
    keep_twice(heads, ("GET", b"/", b"", (GOOD,)), an_answer(frozenset({"read"})))
    assert heads


def test_there_are_no_more_than_so_many_and_the_oldest_goes():
    heads, answer = Heads(), an_answer()
    for number in range(MOST + 3):
        keep_twice(heads, ("GET", f"/{number}", b"", ()), answer)
    keep_twice(heads, ("GET", f"/{number}", b"", ()), answer)
    assert len(heads) == MOST == len(answer.heads)
    assert next(iter(heads))[1] == "/3"
    for number in range(3 * MOST_ONCE):
        heads.keep(("GET", f"/once/{number}", b"", ()), a_hit(answer, ()))
        assert len(heads._once) <= MOST_ONCE
    assert len(heads) == MOST


def test_they_go_with_their_answer():
    """Else they would hold its bytes."""
    shelf = Shelf(entries=3)
    for number in range(5):
        key, answer = Key(f"/{number}", b"", ()), an_answer()
        shelf.keep(key, answer)
        for method in ("GET", "HEAD"):
            keep_twice(shelf.heads, (method, key.path, b"", ()), answer)
    assert {path for _, path, *_ in shelf.heads} == {"/2", "/3", "/4"}
    shelf.keep(key, an_answer())
    assert {path for _, path, *_ in shelf.heads} == {"/2", "/3"}
    assert not answer.heads
    asyncio.run(shelf.empty())
    assert not shelf.heads

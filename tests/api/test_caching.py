"""Entity tags, conditional requests and content coding."""

import gzip
import re

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

ROUTE = "/api/v1/transformation/count_date_by_week"
TAG = re.compile(r'"[0-9a-f]{32}(-gzip|-zstd)?"')

ask_often = settings(max_examples=200, deadline=None)


def decoded(answer):
    """The body without its coding, from the raw bytes: httpx would hide a wrong header."""
    raw = b"".join(answer.iter_raw())
    match answer.headers.get("content-encoding"):
        case None:
            return raw
        case "gzip":
            return gzip.decompress(raw)
        case "zstd":
            return zstandard.ZstdDecompressor().decompress(raw)


def ask(client, path, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    with client.stream("GET", path, headers=named) as answer:
        return answer, decoded(answer)


@pytest.fixture(scope="module")
def plain(client):
    answer, body = ask(client, ROUTE)
    assert "content-encoding" not in answer.headers
    return body


def test_what_a_kept_answer_carries(client, plain):
    answer, _ = ask(client, ROUTE)
    assert TAG.fullmatch(answer.headers["etag"])
    assert (
        answer.headers["cache-control"]
        == "public, max-age=0, stale-while-revalidate=10, stale-if-error=86400"
    )
    assert answer.headers["vary"] == "Accept-Encoding, Origin"
    assert answer.headers["publication"] == "2"
    assert answer.headers["content-length"] == str(len(plain))


def reference_coding(header):
    """RFC 9110 §12.5.3, said once more: what may be sent, and what the client likes best."""
    weights = {}
    for element in header.split(","):
        coding, _, weight = element.partition(";q=")
        weights[coding.strip()] = float(weight or 1)
    rest = weights.get("*", 0)
    liking = {coding: weights.get(coding, rest) for coding in ("gzip", "zstd")}
    liking["identity"] = weights.get("identity", rest if "*" in weights else 0.0001)
    best = max(liking.values())
    return {coding for coding, weight in liking.items() if weight == best and weight > 0}


codings = st.sampled_from(["gzip", "zstd", "identity", "*", "br", "deflate"])
weights = st.sampled_from(["", ";q=0", ";q=0.0", ";q=0.5", ";q=0.501", ";q=1", ";q=1.000"])


@ask_often
@given(st.lists(st.tuples(codings, weights), min_size=1, max_size=5, unique_by=lambda e: e[0]))
def test_accept_encoding(client, plain, elements):
    header = ", ".join(coding + weight for coding, weight in elements)
    allowed = reference_coding(header)
    answer, body = ask(client, ROUTE, Accept_Encoding=header)
    if not allowed:
        assert answer.status_code == 406
        return
    assert answer.status_code == 200
    assert answer.headers.get("content-encoding", "identity") in allowed
    assert body == plain


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", None),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip ; q=1.0 , zstd;q=0", "gzip"),
        ("gzip;q=0.999, zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "gzip"),
        ("br", None),
        ("gzip;q=2", None),
        ("gzip;q=x, ,;;, zstd", "zstd"),
        ("*", "zstd"),
        ("identity;q=0.5, gzip;q=0.4", None),
    ],
)
def test_accept_encoding_as_it_comes(client, plain, header, coding):
    answer, body = ask(client, ROUTE, Accept_Encoding=header)
    assert answer.headers.get("content-encoding") == coding
    assert body == plain


def test_header_lines_that_repeat_are_one_list(client):
    lines = [("Accept-Encoding", "gzip;q=0.1"), ("Accept-Encoding", "zstd")]
    for ordered in (lines, lines[::-1]):
        with client.stream("GET", ROUTE, headers=ordered) as answer:
            assert answer.headers["content-encoding"] == "zstd"
    tag = client.get(ROUTE).headers["etag"]
    repeated = [("If-None-Match", tag), ("If-None-Match", '"other"')]
    assert client.get(ROUTE, headers=repeated).status_code == 304
    refused = [("Accept-Encoding", "identity;q=0"), ("Accept-Encoding", "gzip;q=0, zstd;q=0")]
    assert client.get(ROUTE, headers=refused).status_code == 406
    # The lines only together say what may be sent.
    together = [("Accept-Encoding", "identity;q=0"), ("Accept-Encoding", "gzip")]
    for ordered in (together, together[::-1]):
        assert client.get(ROUTE, headers=ordered).headers["content-encoding"] == "gzip"


def test_a_coding_is_refused_only_where_there_are_codings(client):
    refusing = {"Accept-Encoding": "*;q=0"}
    for path in ("/health/live", "/health/ready", "/api/v1/publications"):
        assert client.get(path, headers=refusing).status_code == 200
    assert client.get("/nowhere", headers=refusing).status_code == 404
    for path in ("/", "/docs", ROUTE, "/api/v1/publications/current"):
        for _ in range(2):
            got, head = (
                client.request(method, path, headers=refusing) for method in ("GET", "HEAD")
            )
            assert (got.status_code, head.status_code) == (406, 406)
            assert "zstd, gzip and identity" in got.json()["detail"]
            assert head.content == b""


def test_small_bodies_are_not_compressed_unless_they_must_be(client):
    answer, _ = ask(client, "/", Accept_Encoding="gzip")
    assert "content-encoding" not in answer.headers
    answer, body = ask(client, "/", Accept_Encoding="gzip, identity;q=0")
    assert answer.headers["content-encoding"] == "gzip"
    assert b"Lead Analytics API" in body


def test_one_tag_stands_for_one_sequence_of_bytes(client):
    """Over everything that changes the bytes, and everything that does not."""
    seen = {}
    queries = ["", "?dense=false", "?dense=true", "?date_cols=date_relance", "?start=2024-01-01"]
    for grain in ("week", "month"):
        for query in queries:
            for coding in (None, "gzip", "zstd", "identity", "br"):
                headers = {"Accept-Encoding": coding} if coding else {}
                path = f"/api/v1/transformation/count_date_by_{grain}{query}"
                with client.stream("GET", path, headers=headers) as answer:
                    raw = b"".join(answer.iter_raw())
                assert seen.setdefault(answer.headers["etag"], raw) == raw
    # Two grains, four different questions, three codings; the empty answers stay uncompressed.
    assert len(seen) == 2 * (3 * 3 + 1)


def test_equal_questions_have_equal_tags(client):
    tags = {
        client.get(f"{ROUTE}?{query}").headers["etag"]
        for query in (
            "start=2024-01-01&date_cols=date_relance&date_cols=date_prise_contact",
            "date_cols=date_prise_contact&date_cols=date_relance&start=2024-01-01&dense=0",
            "start=2024-01-01&dense=FALSE"
            + "&date_cols=date_prise_contact&date_cols=date_relance" * 2,
        )
    }
    assert len(tags) == 1


def test_equal_content_has_equal_tags_on_another_server(
    client, events, conversions, run_server, make_publication, tmp_path
):
    make_publication(tmp_path / "publications", events[::-1], conversions[::-1])
    with run_server() as server, server.client() as other:
        for headers in ({}, {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "zstd"}):
            ours, theirs = client.get(ROUTE, headers=headers), other.get(ROUTE, headers=headers)
            assert ours.headers["etag"] == theirs.headers["etag"]
            assert ours.content == theirs.content
            assert (ours.headers["publication"], theirs.headers["publication"]) == ("2", "1")


opaque = st.text(st.sampled_from("abc-,/ *"), max_size=6)


@ask_often
@given(
    others=st.lists(st.tuples(st.sampled_from(["", "W/"]), opaque), max_size=4),
    place=st.integers(0, 4),
    weak=st.sampled_from(["", "W/"]),
    there=st.booleans(),
    coding=st.sampled_from([None, "gzip", "zstd"]),
    method=st.sampled_from(["GET", "HEAD"]),
)
def test_if_none_match(client, others, place, weak, there, coding, method):
    headers = {"Accept-Encoding": coding} if coding else {}
    full = client.request(method, ROUTE, headers=headers)
    listed = [f'{prefix}"{tag}"' for prefix, tag in others]
    if there:
        listed.insert(place, weak + full.headers["etag"])
    answer = client.request(method, ROUTE, headers={**headers, "If-None-Match": ", ".join(listed)})
    assert answer.status_code == (304 if there else 200)
    if there:
        assert answer.content == b""
        for name in ("etag", "cache-control", "vary", "publication"):
            assert answer.headers[name] == full.headers[name]
        assert "content-encoding" not in answer.headers


def test_if_none_match_star(client):
    assert client.get(ROUTE, headers={"If-None-Match": "*"}).status_code == 304
    assert client.get("/nowhere", headers={"If-None-Match": "*"}).status_code == 404
    assert client.get("/health/live", headers={"If-None-Match": "*"}).status_code == 200


def test_a_tag_of_another_coding_does_not_match(client):
    tag = client.get(ROUTE, headers={"Accept-Encoding": "gzip"}).headers["etag"]
    assert client.get(ROUTE, headers={"If-None-Match": tag}).status_code == 200


def test_errors_are_not_kept(client):
    for _ in range(2):
        answer = client.get(f"{ROUTE}?start=x", headers={"If-None-Match": "*"})
        assert answer.status_code == 400
        assert "etag" not in answer.headers

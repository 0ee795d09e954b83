"""What comes over a socket and is no good request is refused, on every route, in a sentence."""

from __future__ import annotations

import json
import re
import socket
from contextlib import suppress

import httpx
import pytest

WEEK = "/api/v1/transformation/count_date_by_week"
MART = "/api/v1/marts/lead_event_counts_weekly"
PATHS = [
    "/",
    "/docs",
    "/openapi.json",
    "/health/ready",
    "/metrics",
    "/api/v1/publications",
    "/api/v1/publications/2",
    WEEK,
    "/api/v1/marts",
    MART,
    f"{MART}.csv",
    f"{MART}/changes",
    "/api/marketing/measurements/",
    "/api/auth/token/",
    "/nowhere",
]
MANY = "select n, repeat('text ', 20) || n as t from range(40000) r(n)"


def exchange(server, sent):
    """Send bytes on a connection of their own and read to its end; return status, head and body."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(sent)
        with suppress(ConnectionResetError):
            while part := connection.recv(1 << 16):
                answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode().lower(), body


def request(target, *lines, method="GET", version="1.1"):
    """Write a request that closes its connection."""
    head = [f"{method} {target} HTTP/{version}", *lines, "Connection: close", "", ""]
    return "\r\n".join(head).encode("latin-1")


def told(status, head, body):
    """The sentence of a problem of that status."""
    assert "content-type: application/problem+json" in head
    said = json.loads(body)
    assert said["status"] == status
    assert re.fullmatch(r"[A-Z][^\n]+[.]", said["detail"])
    return said["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [*(("GET", path) for path in PATHS)]
    + [(method, MART) for method in ("HEAD", "OPTIONS", "POST", "DELETE")]
    + [("POST", "/api/auth/token")],
)
def test_bytes_that_are_no_utf8_are_400(operator, path, method):
    for url, where in [
        (f"{path}?semaine=ilike.%25%ea%25", "semaine=ilike.%25%ea%25"),
        (f"{path}?%ff=1&start=2025-01-01", "%ff=1"),
        (f"{path}?a=%ed%a0%80", "a=%ed%a0%80"),  # half of a character of two
        (f"{path.rstrip('/')}%e9", "%e9"),
    ]:
        answer = operator.request(method, url)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        if method != "HEAD":
            assert "bytes that are not UTF-8, in " in answer.json()["detail"]
            assert where in answer.json()["detail"]


def test_text_in_utf8_is_found(operator, conversions):
    """Also what the server would put in place of bytes that are none."""
    for text in ("é", "\ufffd", "😀"):
        answer = operator.get(
            "/api/v1/marts/marketing_conversions", params={"channel": f"eq.{text}"}
        )
        assert (answer.status_code, answer.json()) == (200, [])


def test_bytes_that_are_no_ascii_are_told_how_to_be_written(served):
    for target in (f"{WEEK}?start=\xe9", f"{WEEK}\xc3\xa9"):
        answer = exchange(served, request(target, "Host: x"))
        assert "%C3%A9" in told(*answer)
        assert answer[0] == 400


def test_a_clients_secret_in_other_bytes_is_no_secret(client):
    form = {"grant_type": "client_credentials"}
    answer = client.post("/api/auth/token", data=form, auth=("operator", "%e9"))
    assert answer.status_code == 401
    assert "UTF-8" in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("lines", "target", "version", "status"),
    [
        ([], WEEK, "1.1", 400),
        (["Host: x", "Host: x"], WEEK, "1.1", 400),
        (["Host: x", "Host: y"], WEEK, "1.0", 400),
        (["Host: x"], f"http://y{WEEK}", "1.1", 400),
        (["Host: x"], f"http://x@y{WEEK}", "1.1", 400),
        (["Host: x"], f"http://x:81{WEEK}", "1.1", 400),
        (["Host: x"], f"https://x:80{WEEK}", "1.1", 400),
        ([], f"http://x@y{WEEK}", "1.0", 400),
        ([], f"http://{WEEK}", "1.0", 400),
        (["Host: x"], f"{WEEK}#end", "1.1", 400),
        (["Host: x"], WEEK, "0.9", 505),
        (["Host: x"], WEEK, "2.0", 505),
        (["Host: x"], WEEK, "1.1", 200),
        (["Host: X:80"], f"HTTP://x:80{WEEK}", "1.1", 200),
        (["Host: x"], f"http://x:80{WEEK}", "1.1", 200),
        (["Host: x:443"], f"https://x{WEEK}", "1.1", 200),
        ([], f"http://x{WEEK}", "1.0", 200),
        ([], WEEK, "1.0", 200),
        (["Host: x"], WEEK, "1.0", 200),
    ],
)
def test_a_request_goes_to_one_host_in_one_version(served, lines, target, version, status):
    for method in ("GET", "POST"):
        answer = exchange(served, request(target, *lines, method=method, version=version))
        if status == 200:
            assert answer[0] == (200 if method == "GET" else 405)
        else:
            assert answer[0] == status
            assert status != 505 or f"not HTTP/{version};" in told(*answer)
            assert told(*answer)


def test_http_1_0_is_asked_of_the_host_that_its_target_names(run_server):
    with run_server(LEADMARTS_HOSTS="ours.example") as server:
        for host, status in (("ours.example", 200), ("other.example", 421)):
            sent = request(f"http://{host}/", version="1.0")
            assert exchange(server, sent)[0] == status


def test_a_path_is_what_it_says_also_where_an_answer_is_kept(served):
    path = MART.replace("/marts/", "/marts%2F")
    for _ in range(3):
        for asked, status in ((MART, 200), (path, 404), (path.lower(), 404)):
            assert exchange(served, request(asked, "Host: x"))[0] == status


@pytest.mark.parametrize(
    "path",
    ["//metrics", "/metrics//", "//", "/api//v1/marts", "/api/v1/marts//lead_event_counts_weekly",
     "/%2fmetrics", "/api%2Fv1/marts", "//health/live", "//api/auth/token", "/./metrics",
     "/api/../metrics", "/metrics/.", "/metrics;a"],
)  # fmt: skip
def test_a_path_is_what_it_says(served, path):
    for method in ("GET", "OPTIONS"):
        answer = exchange(served, request(path, "Host: x", method=method))
        assert answer[0] == 404
        assert "/docs" in told(*answer)


def test_http_1_0_gets_no_chunks(run_server, make_publication, tmp_path):
    make_publication(tmp_path / "publications", [], more={"many": MANY})
    with run_server() as server, server.client() as client:
        for path in ("/api/v1/marts/many.csv", WEEK, "/docs"):
            whole = client.get(path)
            for method in ("GET", "HEAD"):
                asked = request(path, "Expect: 100-continue", method=method, version="1.0")
                status, head, body = exchange(server, asked)
                assert status == 200
                assert "transfer-encoding" not in head
                assert "connection: close" in head
                assert body == (whole.content if method == "GET" else b"")
        assert "transfer-encoding" in client.get("/api/v1/marts/many.csv").headers


LONG = {
    "Prefer": "a" + " " * 100_000 + "b",
    "Accept": "text/html" + ";a" * 5_000,
    "Accept-Encoding": "a" * 9_000,
    "Accept-Profile": "a" * 9_000,
    "If-None-Match": '"a"' * 3_000,
    "Origin": "https://" + "a" * 9_000,
    "Range": "0-" + "1" * 9_000,
}


@pytest.mark.parametrize("name", LONG)
def test_fields_that_are_read_have_bounds(client, name):
    for route in (MART, "/api/auth/token", "/docs"):
        path = f"{route}?asked_first_with={name}"  # an answer that is kept needs no second look
        answer = client.get(path, headers={name: LONG[name]})
        assert answer.status_code == 431
        assert answer.json()["detail"] == (
            f"The header field {name} has {len(LONG[name]):,} bytes and may have 8,192; "
            "send a shorter one."
        )
        answer = client.get(path, headers=[(name, "a,b") for _ in range(51)])
        assert answer.status_code == 431
        assert f"{name} has 102 elements and may have 100" in answer.json()["detail"]
        page = {"Origin": "https://a.example", "Prefer": "a" * 9_000}
        assert client.get(path, headers=page).headers["access-control-allow-origin"] == "*"


def test_a_token_that_is_too_long_is_no_token(client):
    for kind in ("Bearer", "Basic"):
        headers = {"Authorization": f"{kind} " + "a" * 9_000}
        assert client.get(MART, headers=headers).status_code == 200  # which needs none
        for path in ("/api/v1/marts/marketing_conversions", "/api/auth/token"):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"]
    bearer = {"Authorization": "Bearer " + "a" * 9_000}
    told = client.get("/api/marketing/measurements/", headers=bearer).json()["detail"]
    assert "has 9,007 bytes and may have 8,192" in told


def test_probes_are_answered_whatever_their_fields_say(client):
    for name, value in LONG.items():
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert client.get(path, headers={name: value}).status_code == 200


def test_fields_that_nothing_reads_have_the_bounds_of_a_head(client):
    headers = {"Cookie": "a=b;" * 5_000, "User-Agent": "a," * 5_000}
    assert client.get(MART, headers=headers).status_code == 200


def test_a_query_has_bounds(client):
    answer = client.get(f"{MART}?{'&'.join(['semaine=neq.x'] * 1_001)}")
    assert answer.status_code == 400
    assert "1,001 parameters and may have 1,000" in answer.json()["detail"]
    answer = client.get(f"/api/v1/marts/{'a' * 2_000}")
    assert (answer.status_code, "so long" in answer.json()["detail"]) == (404, True)


def test_whatever_is_too_long_is_refused_while_others_are_answered(served):
    """All that a head may be, read on the event loop: nobody else waits for it."""
    with served.client() as client:
        for name in ("Prefer", "Accept", "Range"):
            with suppress(httpx.TransportError):
                client.get(MART, headers={name: "a" + " " * 100_000 + "b"}, timeout=5)
        assert client.get("/health/live", timeout=5).status_code == 200

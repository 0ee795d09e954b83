"""What browsers and strangers are told, and what they are not."""

from __future__ import annotations

import re
import socket

import pytest

from api.settings import Settings

KEY = {"LEADMARTS_SIGNING_KEY": "0123456789abcdef-a-key-of-tests-only"}
PRODUCTION = {
    "LEADMARTS_ENV": "production",
    "LEADMARTS_CORS_ORIGINS": "https://a.example",
    "LEADMARTS_HOSTS": "Marts.Example, [::1]:8000, 127.0.0.1",
    "LEADMARTS_HSTS_SECONDS": "31536000",
}
WEEK = "/api/v1/transformation/count_date_by_week"
MART = "/api/v1/marts/lead_event_counts_weekly"

GUARDED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 200),
        ("GET", WEEK, {}, 200),
        ("HEAD", WEEK, {}, 200),
        ("GET", WEEK, {"If-None-Match": "*"}, 304),
        ("GET", WEEK, {"Accept-Encoding": "gzip"}, 200),
        ("GET", f"{MART}.csv", {}, 200),
        ("GET", f"{MART}?nothing=eq.1", {}, 400),
        ("GET", "/health/ready", {}, 200),
        ("GET", "/docs/assets/start.js", {}, 200),
        ("GET", "/nowhere", {}, 404),
        ("DELETE", WEEK, {}, 405),
        ("OPTIONS", WEEK, {"Origin": "https://a.example"}, 204),
        ("GET", "/api/marketing/measurements", {}, 401),
        ("GET", "/api/auth/token/", {}, 401),
        ("POST", "/api/auth/token/", {}, 400),
    ],
)
def test_every_answer_carries_the_headers(served, method, path, headers, status):
    with served.client() as client:
        for _ in range(2):  # as it is made, and as it is kept
            answer = client.request(method, path, headers=headers)
            assert answer.status_code == status
            assert {name: answer.headers.get(name) for name in GUARDED} == GUARDED
            assert "server" not in answer.headers
            assert "x-powered-by" not in answer.headers
            assert "strict-transport-security" not in answer.headers  # nobody came by TLS


def test_the_pages_policy_allows_nothing_inline(client):
    answer = client.get("/docs")
    policy = answer.headers["content-security-policy"]
    assert answer.headers.get_list("content-security-policy") == [policy]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.fixture(scope="module")
def production(run_server_in, make_publication, make_events, tmp_path_factory):
    folder = tmp_path_factory.mktemp("production")
    make_publication(folder / "publications", make_events(1))
    with run_server_in(folder, **PRODUCTION, **KEY) as server:
        yield server


@pytest.mark.parametrize(
    "host", ["marts.example", "MARTS.EXAMPLE", "marts.example:8443", "[::1]:8000"]
)
def test_a_server_answers_to_its_own_names(production, host):
    with production.client(headers={"Host": host}) as client:
        for path in (WEEK, MART, "/docs"):
            answer = client.get(path)
            assert answer.status_code == 200
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "127.0.0.2", "[::1]:8001", "[::1]", "marts.example.evil.example"),
        *("marts.example:x", "marts.example@evil.example", "evil.example/marts.example", ""),
        *("marts.example,evil.example", "\xff", "a" * 5000),
    ],
)
def test_a_server_answers_to_no_others(production, host):
    with production.client(headers={"Host": "marts.example"}) as client:
        assert client.get(WEEK).status_code == 200  # so that an answer is kept
        for method, path in [("GET", WEEK), ("GET", MART), ("POST", "/api/auth/token")]:
            answer = client.request(method, path, headers={"Host": host.encode("latin-1")})
            assert answer.status_code == 421
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
            assert answer.headers["content-type"] == "application/problem+json"
            assert re.fullmatch(
                r"This server does not answer for \S.*; ask it by its own name\.",
                answer.json()["detail"],
            )
            assert len(answer.content) < 1000
        # Machines ask how it is by whatever address they know.
        elsewhere = {"Host": "10.0.0.1"}
        for path in ("/health/live", "/health/ready/", "/metrics"):
            assert client.get(path, headers=elsewhere).status_code == 200
        for path in ("/health/", "/health/ready/x", "/metrics-of-all"):
            assert client.get(path, headers=elsewhere).status_code == 421
        figures = client.get("/metrics").text
        counted = re.findall(r"^leadmarts_requests_total{.*421.*", figures, re.MULTILINE)
        assert {re.search(r'method="(\w+)"', line)[1] for line in counted} == {"GET", "POST"}


def test_what_is_no_request_is_told_to_come_by_tls_as_well(production):
    host, _, port = production.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"this is no HTTP\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"\r\nstrict-transport-security: max-age=31536000\r\n" in answer


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("", 0), ("60", 60)])
def test_no_seconds_of_tls_are_none(monkeypatch, text, seconds):
    monkeypatch.setenv("LEADMARTS_HSTS_SECONDS", text)
    assert Settings.from_environment().hsts_seconds == seconds


def test_a_failure_tells_nothing_of_where_things_are(
    run_server, make_publication, make_events, tmp_path, wait_until
):
    """Clients hear which publication cannot be read and why; the log also says where it is."""
    folder = tmp_path / "publications"
    make_publication(folder, make_events(1))
    make_publication(folder, make_events(2))
    (file,) = folder.glob("000001-*.duckdb")
    file.chmod(0o644)
    file.write_bytes(b"this is no database")
    with run_server() as server, server.client() as client:
        answer = client.get(MART, params={"publication": 1})
        assert answer.status_code == 503
        assert f"{file.name} is damaged" in answer.json()["detail"]
        assert str(tmp_path) in server.log()
        (folder / "current.json").unlink()
        wait_until(lambda: client.get("/health/ready").json()["refused"])
        refused = client.get("/health/ready").json()["refused"]
        assert refused.startswith("current.json is gone; run")
        for text in (answer.text, refused):
            assert str(tmp_path) not in text
            assert "Traceback" not in text

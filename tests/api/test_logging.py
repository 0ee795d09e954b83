"""What a server logs of requests, to whom a line belongs, and what no line has."""

import json
from base64 import b64encode

import pytest

from api.settings import Settings, SettingsError
from tests.collector import collecting

COUNTS = "/api/v1/transformation/count_date_by_week"
PRODUCTION = {
    "LEADMARTS_ENV": "production",
    "LEADMARTS_HOSTS": "127.0.0.1",
    "LEADMARTS_CORS_ORIGINS": "https://a.example",
    "LEADMARTS_SIGNING_KEY": "0123456789abcdef-a-key-of-tests-only",
}
ALL = {"LEADMARTS_REQUEST_SAMPLE": "1"}
SECRET = "a-password-that-nobody-may-read"
WRONG = "another-that-is-wrong"


@pytest.fixture
def served_with(run_server, make_publication, make_events, add_user, tmp_path):
    """Runs a server in production, with a user."""
    make_publication(tmp_path / "publications", make_events(1))
    add_user(tmp_path / "users.json", "ada", SECRET)
    return lambda **variables: run_server(**{**PRODUCTION, **variables})


def lines(server):
    """All that a server logged: it has ended, for requests are logged after they are answered."""
    assert server.process.poll() is not None
    return [json.loads(line) for line in server.log().splitlines()]


def test_every_line_of_a_request_says_whose_it_is(served_with):
    with served_with(**ALL) as server, server.client() as client:
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        sent = {"X-Request-ID": "of-a-proxy.1", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        answers = [client.get(COUNTS, headers=sent) for _ in range(2)]  # the second is kept
        refused = client.get("/nowhere", headers=sent)
        made = client.get(COUNTS).headers["x-request-id"]
        forged = client.get(COUNTS, headers={"X-Request-ID": 'x" level=ERROR'})
    told = lines(server)
    for answer in (*answers, refused):
        assert answer.headers["x-request-id"] == "of-a-proxy.1"
    of_proxy = [line for line in told if line["request_id"] == "of-a-proxy.1"]
    assert [line["message"] for line in of_proxy].count("Answered.") == 3
    assert len(of_proxy) == 4
    for line in of_proxy:
        assert line["trace_id"] == trace
        assert line["publication"] == 1
    kept = [line["kept"] for line in of_proxy if line["message"] == "Answered."]
    assert kept == [False, True, False]
    assert len(made) == 32
    assert sum(line["request_id"] == made for line in told) == 1
    assert forged.headers["x-request-id"] != 'x" level=ERROR'
    assert len(forged.headers["x-request-id"]) == 32
    for line in told:
        assert {"request_id", "trace_id", "publication"} <= line.keys()


def test_failures_are_logged_and_traced_though_no_request_is_chosen(run_server):
    with (
        collecting() as collector,
        run_server(
            LEADMARTS_REQUEST_SAMPLE="0", LEADMARTS_LOG_FORMAT="json", **collector.variables
        ) as server,
        server.client() as client,
    ):
        assert client.get("/").status_code == 200
        failed = client.get(COUNTS)  # there is no publication yet
        assert failed.status_code == 503
    (line,) = [line for line in lines(server) if line["request_id"]]
    assert line["request_id"] == failed.headers["x-request-id"] == failed.json()["request_id"]
    assert line["status"] == 503
    (span,) = collector.spans
    assert span.name == f"GET {COUNTS}"
    assert span.service == "lead-marts-api"
    assert span.failed
    assert span.trace_id == line["trace_id"]
    assert span.attributes["http.response.status_code"] == 503


def test_no_secret_is_logged_or_sent(served_with):
    hidden = {
        "NOTION_TOKEN": "ntn_aSecretOfNotion0123456789",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGbPxRfiCY",
    }
    with (
        collecting() as collector,
        served_with(**ALL, **hidden, **collector.variables) as server,
        server.client() as client,
    ):
        token = server.token("ada", SECRET)
        bearer = {"Authorization": f"Bearer {token}"}
        for secret in (token, *hidden.values(), PRODUCTION["LEADMARTS_SIGNING_KEY"]):
            client.get(f"/nowhere/{secret}", params={"token": secret, "x": secret})
            client.get(COUNTS, params={secret: secret}, headers={"X-Request-ID": secret})
            client.get("/api/v1/marts/marketing_conversions", headers=bearer)
            client.get("/api/v1/marts/marketing_conversions", params={"select": secret})
        # Passwords have no shape and are known to nobody here, so they stand where they belong.
        for password in (SECRET, WRONG):
            form = {"grant_type": "password", "username": "ada", "password": password}
            for data in (form, {"password": password}, {**form, "scope": "nothing"}):
                client.post("/api/auth/token/", data=data)
            client.get("/api/auth/token/", auth=("ada", password))
            client.get("/nowhere", auth=("ada", password))
    log = server.log()
    key = PRODUCTION["LEADMARTS_SIGNING_KEY"]
    basic = [b64encode(f"ada:{password}".encode()).decode() for password in (SECRET, WRONG)]
    for secret in (token, key, *hidden.values(), token.rpartition(".")[2], SECRET, WRONG, *basic):
        assert secret not in log
        assert secret.encode() not in collector.raw
    assert collector.spans


def test_of_a_long_request_the_log_has_the_beginning(run_server):
    with run_server(LEADMARTS_LOG_FORMAT="json") as server, server.client() as client:
        client.get(f"/nowhere/{'p' * 600}?a=1&b={'eyJ-' * 4000}")
    (line,) = [line for line in lines(server) if line.get("status") == 404]
    assert line["path"] == "/nowhere/…"
    assert line["query"] == "a=1&…"


def test_one_log_may_be_chosen(run_server, make_publication, make_events, tmp_path):
    make_publication(tmp_path / "publications", make_events(1))
    with run_server(LEADMARTS_LOG_FORMAT="json") as server:
        pass
    assert all(line["level"] for line in lines(server))


@pytest.mark.parametrize(
    ("variable", "value"), [("LEADMARTS_LOG_FORMAT", "xml"), ("LEADMARTS_REQUEST_SAMPLE", "1.5")]
)
def test_a_wrong_setting_is_a_sentence(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f'{variable} is "{value}"; set it to'):
        Settings.from_environment()


def test_what_is_made_ready_for_a_new_publication_is_no_request(
    run_server, tmp_path, make_publication, make_events, wait_until
):
    """A mart that was asked for lately is not in it any more: nobody has asked for that yet."""
    folder, events = tmp_path / "publications", make_events(1)
    make_publication(folder, events, more={"extra": "select 1 as n"})
    with run_server() as server, server.client() as client:
        assert client.get("/api/v1/marts/extra").status_code == 200
        make_publication(folder, events)
        wait_until(lambda: client.get("/health/ready").json()["publication"] == 2)
        assert "There is no mart extra" not in server.log()
        assert client.get("/api/v1/marts/extra").status_code == 404
    assert server.log().count("There is no mart extra") == 1

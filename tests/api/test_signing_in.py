"""Names and passwords become tokens: every way, every refusal, and not too often."""

import asyncio
import base64
import re
import time

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.auth import passwords
from api.auth.limits import Limit
from api.auth.users import User

PATHS = ["/api/auth/token/", "/api/auth/token", "/api/token/"]
POST = "/api/auth/token/"
GUARDED = "/api/marketing/measurements/"
FORM = "application/x-www-form-urlencoded"


def claims(token):
    return jwt.decode(token, options={"verify_signature": False})


def opens(client, token):
    return client.get(GUARDED, headers={"Authorization": f"Bearer {token}"}).status_code


@pytest.fixture
def operator_form(users):
    name, password = users["operator"]
    return {"grant_type": "password", "username": name, "password": password}


@pytest.mark.parametrize("path", PATHS)
def test_by_http_basic(client, users, path):
    answer = client.get(path, auth=users["operator"])
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"data"}
    data = answer.json()["data"]
    assert set(data) == {"token", "expires_in", "refresh_token"}
    assert data["expires_in"] == 3600
    assert opens(client, data["token"]) == 200
    assert opens(client, data["refresh_token"]) == 401
    form = {"grant_type": "refresh_token", "refresh_token": data["refresh_token"]}
    assert opens(client, client.post(path, data=form).json()["access_token"]) == 200


def test_the_token_is_as_rfc_9068_has_it(client, users):
    before = int(time.time())
    token = client.get(POST, auth=users["operator"]).json()["data"]["token"]
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "at+jwt"}
    said = claims(token)
    assert before <= said["iat"] <= time.time()
    assert said["exp"] == said["iat"] + 3600
    assert said["iss"] == "lead-marts"
    assert said["aud"] == "lead-marts-api"
    assert said["sub"] == said["client_id"] == "operator"
    assert said["scope"] == "marketing:read"
    other = client.get(POST, auth=users["operator"]).json()["data"]["token"]
    assert claims(other)["jti"] != said["jti"]


def test_wrong_password_and_unknown_user_look_the_same(client, users):
    wrong, unknown = (
        client.get(POST, auth=auth) for auth in (("operator", "wrong"), ("unknown", "wrong"))
    )
    seen = []
    for answer in (wrong, unknown):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Basic realm="Lead Marts", charset="UTF-8"'
        del answer.headers["date"]
        problem = answer.json()
        assert problem.pop("request_id") == answer.headers.pop("x-request-id")
        seen.append((dict(answer.headers), problem))
    assert seen[0] == seen[1]
    assert seen[0][1]["detail"] == "The name or the password is wrong."


def test_wrong_password_and_unknown_user_cost_the_same(monkeypatch):
    """One hash of the same parameters is computed, whoever asks."""
    compared = []

    def noted(password, password_hash):
        compared.append(re.match(r"\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$", password_hash)[0])
        return real(password, password_hash)

    real = passwords.fits
    monkeypatch.setattr(passwords, "fits", noted)
    ada = User(name="ada", password_hash=passwords.HASHER.hash("right"), scopes=())

    async def go():
        checking = passwords.Passwords()
        return [
            await checking.is_right("right", ada),
            await checking.is_right("wrong", ada),
            await checking.is_right("wrong", None),
        ]

    assert asyncio.run(go()) == [True, False, False]
    assert len(compared) == 3
    assert len(set(compared)) == 1


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic " + base64.b64encode(b"operator:wrong\0").decode(),
        "Basic " + base64.b64encode(b"a" * 30_000 + b":x").decode(),
        "Bearer x",
        "Digest username=operator",
        None,
    ],
)
def test_no_credentials(client, header):
    answer = client.get(POST, headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert answer.json()["detail"]


def test_names_and_passwords_are_utf_8(client, add_user, served):
    add_user(served.log_file.parent / "users.json", "zoë & co", "pässwörd: +%41")
    time_out = time.monotonic() + 60
    while client.get(POST, auth=("zoë & co", "pässwörd: +%41")).status_code != 200:
        assert time.monotonic() < time_out
    form = {"grant_type": "password", "username": "zoë & co", "password": "pässwörd: +%41"}
    assert client.post(POST, data=form).status_code == 200
    form = {"grant_type": "client_credentials"}
    # RFC 6749 §2.3.1: both parts are form-encoded before they become HTTP Basic.
    encoded = ("zo%C3%AB+%26+co", "p%C3%A4ssw%C3%B6rd%3A+%2B%2541")
    assert client.post(POST, data=form, auth=encoded).status_code == 200
    assert client.post(POST, data=form, auth=("zoë & co", "pässwörd: +%41")).status_code == 401


def test_the_password_grant(client, operator_form):
    # RFC 6749 §4.3.2: who the client is does not matter here.
    answer = client.post(POST, data=operator_form, headers={"Authorization": "Basic xyz"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 3600
    assert body["scope"] == "marketing:read"
    assert opens(client, body["access_token"]) == 200


def test_client_credentials(client, users):
    name, secret = users["operator"]
    form = {"grant_type": "client_credentials"}
    by_header = client.post(POST, data=form, auth=(name, secret.replace(" ", "+")))
    by_body = client.post(POST, data={**form, "client_id": name, "client_secret": secret})
    for answer in (by_header, by_body):
        body = answer.json()
        # RFC 6749 §4.4.3: no refresh token.
        assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
        assert opens(client, body["access_token"]) == 200


def test_refreshing(client, operator_form):
    first = client.post(POST, data=operator_form).json()
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = client.post(POST, data=form).json()
    assert second["refresh_token"] == first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert opens(client, second["access_token"]) == 200
    less = client.post(POST, data={**form, "scope": "marketing:read"}).json()
    assert less["scope"] == "marketing:read"
    more = client.post(POST, data={**form, "scope": "marketing:write"})
    assert (more.status_code, more.json()["error"]) == (400, "invalid_scope")


def test_asking_for_less(client, users, operator_form):
    assert client.post(POST, data={**operator_form, "scope": "marketing:read"}).is_success
    beyond = client.post(POST, data={**operator_form, "scope": "marketing:read admin"})
    assert beyond.status_code == 400
    assert beyond.json()["error"] == "invalid_scope"
    assert "admin" in beyond.json()["detail"]
    name, password = users["nobody"]
    form = {"grant_type": "password", "username": name, "password": password}
    token = client.post(POST, data=form).json()
    assert token["scope"] == ""
    assert opens(client, token["access_token"]) == 403


@pytest.mark.parametrize(
    ("form", "status", "error", "told"),
    [
        ({}, 400, "invalid_request", "Parameters are missing: grant_type."),
        ({"grant_type": ""}, 400, "invalid_request", "Parameters are missing: grant_type."),
        ({"grant_type": "magic"}, 400, "unsupported_grant_type", "no grant type magic here"),
        ({"grant_type": "é\0\n"}, 400, "unsupported_grant_type", "no grant type %C3%A9%00%0A"),
        (
            {"grant_type": "password"},
            400,
            "invalid_request",
            "Parameters are missing: username, password.",
        ),
        (
            {"grant_type": "password", "username": "operator", "password": "wrong"},
            400,
            "invalid_grant",
            "The name or the password is wrong.",
        ),
        (
            {"grant_type": "password", "username": "unknown\0", "password": "\0"},
            400,
            "invalid_grant",
            "The name or the password is wrong.",
        ),
        (
            {"grant_type": "client_credentials"},
            401,
            "invalid_client",
            "needs a client_id and a client_secret",
        ),
        (
            {"grant_type": "client_credentials", "client_id": "operator"},
            400,
            "invalid_request",
            "Parameters are missing: client_secret.",
        ),
        (
            {"grant_type": "client_credentials", "client_id": "operator", "client_secret": "x"},
            401,
            "invalid_client",
            "The client's name or secret is wrong.",
        ),
        ({"grant_type": "refresh_token"}, 400, "invalid_request", "missing: refresh_token."),
        (
            {"grant_type": "refresh_token", "refresh_token": "x"},
            400,
            "invalid_grant",
            "The token cannot be taken: it is malformed.",
        ),
    ],
)
def test_oauth_errors(client, form, status, error, told):
    answer = client.post(POST, data=form, headers={"Content-Type": FORM})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"error", "error_description", "detail"}
    assert body["error"] == error
    assert told in body["detail"] == body["error_description"]
    # What RFC 6749 §5.2 allows in a description.
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", body["error_description"])
    assert ("www-authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"grant_type": "password"}', "application/json", 400),
        (b"grant_type=password", "", 400),
        (b"grant_type=password&grant_type=password", FORM, 400),
        (b"grant_type=\xff", FORM, 400),
        (b"grant_type=%ff", FORM, 400),
        (b"&".join(b"a%d=b" % n for n in range(100)), FORM, 400),
        (b"", FORM, 400),
        (b"grant_type=password&username=" + b"x" * 20_000, FORM, 413),
    ],
)
def test_bodies_that_are_none(client, content, kind, status):
    answer = client.post(POST, content=content, headers={"Content-Type": kind} if kind else {})
    assert answer.status_code == status
    assert answer.json()["error"] == "invalid_request"
    assert answer.json()["detail"]


def test_a_secret_that_comes_twice(client, users):
    name, secret = users["operator"]
    form = {"grant_type": "client_credentials", "client_id": name, "client_secret": secret}
    answer = client.post(POST, data=form, auth=users["operator"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200))
def test_no_body_breaks_anything(client, content):
    answer = client.post(POST, content=content, headers={"Content-Type": FORM})
    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_request", "unsupported_grant_type"}


def test_users_come_and_go_while_the_server_runs(run_server, add_user, tmp_path, wait_until):
    file = tmp_path / "users.json"
    demo = ("marketing_op", "marketing_op_supersecret")
    with run_server() as server, server.client() as client:

        def status(*auth):
            return client.get(POST, auth=auth).status_code

        assert status(*demo) == 200
        add_user(file, "ada", "a good password")
        wait_until(lambda: status("ada", "a good password") == 200)
        assert status(*demo) == 401  # there are others now
        assert "The users were read again: 1 user." in server.log()
        add_user(file, "ada", "a better password")
        wait_until(lambda: status("ada", "a better password") == 200)
        assert status("ada", "a good password") == 401
        file.write_text("{")
        wait_until(lambda: status("ada", "a better password") and "as they were" in server.log())
        assert status("ada", "a better password") == 200
        assert server.log().count("The users stay as they were: The users in") == 1


def test_a_client_that_asks_too_often(run_server, tmp_path):
    with run_server(LEADMARTS_TOKEN_RATE_CLIENT="3") as server, server.client() as client:
        for left in (2, 1, 0):
            answer = client.get(POST, auth=("marketing_op", "marketing_op_supersecret"))
            assert answer.status_code == 200
            assert answer.headers["ratelimit-policy"] == '"client";q=3;w=60'
            assert re.fullmatch(rf'"client";r={left};t=\d+', answer.headers["ratelimit"])
        for answer in (client.get(POST), client.post(POST, data={"grant_type": "password"})):
            assert answer.status_code == 429
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert answer.headers["ratelimit"].startswith('"client";r=0;t=')
            assert "This client asked for tokens too often" in answer.json()["detail"]
        assert answer.json()["error"] == "temporarily_unavailable"
        # Everything else goes on.
        assert client.get("/health/live").status_code == 200


def test_a_user_with_whom_somebody_fails_too_often(run_server, add_user, tmp_path):
    add_user(tmp_path / "users.json", "ada", "a good password")
    add_user(tmp_path / "users.json", "bob", "a good password")
    with run_server(LEADMARTS_TOKEN_RATE_USER="3") as server, server.client() as client:
        for name in ("ada", "unknown"):
            assert client.get(POST, auth=("ada", "a good password")).status_code == (
                200 if name == "ada" else 429
            )
            for _ in range(3):
                assert client.get(POST, auth=(name, "wrong")).status_code == 401
            answer = client.get(POST, auth=(name, "a good password"))
            assert answer.status_code == 429
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert answer.headers["ratelimit-policy"] == '"user";q=3;w=60'
            assert "with this name failed too often" in answer.json()["detail"]
        assert client.get(POST, auth=("bob", "a good password")).status_code == 200


def test_no_limit_goes_or_stays_because_a_wall_clock_moves(run_server, add_user, tmp_path):
    add_user(tmp_path / "users.json", "ada", "a good password")
    clock = tmp_path / "clock"
    clock.write_text("0")
    limits = {"LEADMARTS_TOKEN_RATE_USER": "2", "LEADMARTS_TOKEN_RATE_CLIENT": "8"}
    command = ["-m", "tests.api.moved_clock", "--port", "0"]
    with (
        run_server(command, CLOCK_MOVED=str(clock), **limits) as server,
        server.client() as client,
    ):

        def refused(*auth):
            answer = client.get(POST, auth=auth)
            if answer.status_code == 429:
                assert 1 <= int(answer.headers["retry-after"]) <= 60
                return answer.headers["ratelimit-policy"].partition(";")[0]
            return answer.status_code

        assert [refused("ada", "wrong") for _ in range(3)] == [401, 401, '"user"']
        for moved in ("3600", "-3600", "0"):
            clock.write_text(moved)
            assert refused("ada", "a good password") == '"user"'
        assert [refused("unknown", "wrong") for _ in range(2)] == [401, 401]
        for moved in ("86400", "-86400"):
            clock.write_text(moved)
            assert refused("ada", "a good password") == '"client"'


def test_a_limit_ends_after_a_minute_of_the_monotonic_clock(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    limit = Limit("user", 2)

    def counted(who="ada"):
        limit.count(who)
        return limit.standing(who)[:2]

    assert limit.standing("ada")[:2] == (2, 60)
    assert counted() == (1, 60)
    now += 20
    assert counted() == (0, 40)
    now += 39.5
    assert limit.standing("ada")[:2] == (0, 1)
    assert limit.standing("bob")[:2] == (2, 60)
    now += 0.5  # the first is a minute old
    assert limit.standing("ada")[:2] == (1, 20)
    assert counted() == (0, 20)
    now += 60
    assert limit.standing("ada")[:2] == (2, 60)


QUARTERS = st.integers(0, 120).map(lambda quarters: quarters / 4)
STEPS = st.lists(st.tuples(QUARTERS, st.sampled_from("ab"), st.booleans()), max_size=60)


@given(STEPS)
def test_a_limit_counts_what_the_last_minute_had(steps):
    now, model = 0.0, []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "monotonic", lambda: now)
        limit = Limit("client", 3)
        for passed, who, counts in steps:
            now += passed
            if counts and limit.standing(who).remaining:
                limit.count(who)
                model.append((now, who))
            recent = [at for at, counted in model if counted == who and at > now - 60]
            standing = limit.standing(who)
            assert standing.remaining == 3 - len(recent)
            assert 1 <= standing.seconds <= 60
        now += 60
        limit.standing("a")
        assert not limit._moments  # nobody is remembered for ever

"""Which token opens which route, whoever made it and whatever it says."""

import base64
import json
import time
from dataclasses import dataclass

import jwt
import pytest

from api.auth.passwords import HASHER
from api.auth.tokens import Tokens
from api.auth.users import User, Users, changing

GUARDED = [
    "/api/marketing/measurements/",
    "/api/marketing/stats/channel-sales-percentages/",
    "/api/marketing/stats/channels-sales-percentages",
    "/api/marketing/stats/channel-weekly-sales/",
]
OPEN = [
    "/",
    "/health/live",
    "/openapi.json",
    "/api/v1/publications",
    "/api/v1/transformation/count_date_by_week",
]

KEY = b"another key, which only this test's server knows"
SCOPES = frozenset({"marketing:read"})


@dataclass
class Place:
    """A server, and what makes the same tokens as it does."""

    url: object
    users: Users
    tokens: Tokens
    file: object

    def claims(self, **others):
        """What is in a good token, and what a test says instead; None leaves a claim out."""
        claims = jwt.decode(self.good(), options={"verify_signature": False})
        return {key: value for key, value in (claims | others).items() if value is not None}

    def good(self, name="ada"):
        return self.tokens.access(self.users.get(name), SCOPES)

    def signed(self, claims, algorithm="HS256", key=None, **headers):
        # Zeros at the end change nothing about an HMAC (RFC 2104 §2), and make a longer key.
        key = self.tokens._signing + bytes(32) if key is None else key
        return jwt.encode(claims, key, algorithm, headers={"typ": "at+jwt"} | headers)


def user(name, scopes=("marketing:read",), password="a good password"):  # noqa: S107
    return User(name=name, password_hash=HASHER.hash(password), scopes=scopes)


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_publication, conversions, run_server_in):
    folder = tmp_path_factory.mktemp("tokens")
    make_publication(folder / "publications", [], conversions)
    file = folder / "users.json"
    with changing(file) as known:
        known |= {name: user(name) for name in ("ada", "removed", "changed", "less")}
        known["nobody"] = user("nobody", scopes=())
    users = Users(file)
    variables = {"LEADMARTS_SIGNING_KEY": KEY.decode(), "LEADMARTS_TOKEN_RATE_CLIENT": "100000"}
    with run_server_in(folder, **variables) as server:
        yield Place(server, users, Tokens(KEY, 3600, users), file)


def unsigned(claims):
    """A token of the algorithm "none"; the library refuses to make some of these."""

    def part(content):
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{part(claims)}."


OTHERS_KEY = b"a key of somebody else, as long as it needs to be"

TOKENS = {
    "good": (200, lambda p: p.good()),
    "good, typ in full": (200, lambda p: p.signed(p.claims(), typ="application/at+jwt")),
    "more scopes": (200, lambda p: p.signed(p.claims(scope="a:b marketing:read"))),
    "no scope of its user": (403, lambda p: p.tokens.access(p.users.get("nobody"), frozenset())),
    "less than its user may": (403, lambda p: p.signed(p.claims(scope=""))),
    "another scope": (403, lambda p: p.signed(p.claims(scope="marketing:reader"))),
    "none": (401, lambda p: None),
    "empty": (401, lambda p: ""),
    "garbage": (401, lambda p: "garbage"),
    "garbage with dots": (401, lambda p: "a.b.c"),
    "not ASCII": (401, lambda p: "tokén".encode()),
    "expired": (401, lambda p: p.signed(p.claims(exp=int(time.time()) - 1))),
    "never ends": (401, lambda p: p.signed(p.claims(exp=None))),
    "expired just now": (401, lambda p: p.signed(p.claims(exp=int(time.time())))),
    "not yet": (401, lambda p: p.signed(p.claims(nbf=int(time.time()) + 60))),
    "made in the future": (401, lambda p: p.signed(p.claims(iat=int(time.time()) + 60))),
    "made by a clock that is ahead": (200, lambda p: p.signed(p.claims(iat=time.time() + 20))),
    "begins by a clock that is ahead": (200, lambda p: p.signed(p.claims(nbf=time.time() + 20))),
    "wrong audience": (401, lambda p: p.signed(p.claims(aud="another"))),
    "no audience": (401, lambda p: p.signed(p.claims(aud=None))),
    "wrong issuer": (401, lambda p: p.signed(p.claims(iss="another"))),
    "no issuer": (401, lambda p: p.signed(p.claims(iss=None))),
    "no scope claim": (401, lambda p: p.signed(p.claims(scope=None))),
    "wrong key": (401, lambda p: p.signed(p.claims(), key=OTHERS_KEY)),
    "the key itself": (401, lambda p: p.signed(p.claims(), key=KEY)),
    "alg none": (401, lambda p: unsigned(p.claims())),
    "alg none, signed": (401, lambda p: unsigned(p.claims()) + p.good().rpartition(".")[2]),
    "HS512": (401, lambda p: p.signed(p.claims(), "HS512")),
    "HS384": (401, lambda p: p.signed(p.claims(), "HS384")),
    "typ JWT": (401, lambda p: p.signed(p.claims(), typ="JWT")),
    "refresh token": (401, lambda p: p.tokens.refresh(p.users.get("ada"), SCOPES)),
    "user unknown": (401, lambda p: p.signed(p.claims(sub="nobody there"))),
    "user of another": (401, lambda p: p.signed(p.claims(sub="nobody"))),
    "sub is no text": (401, lambda p: p.signed(p.claims() | {"sub": 1})),
    "sub is a list": (401, lambda p: p.signed(p.claims() | {"sub": ["ada"]})),
    "exp is no number": (401, lambda p: p.signed(p.claims() | {"exp": "soon"})),
    "exp is far away": (401, lambda p: p.signed(p.claims() | {"exp": 1e400})),
    "cut": (401, lambda p: p.good()[:-1]),
    "changed": (401, lambda p: p.good()[:-4] + "AAAA"),
}


@pytest.mark.parametrize("name", TOKENS)
def test_tokens(place, name):
    status, make = TOKENS[name]
    token = make(place)
    headers = {} if token is None else {"Authorization": token}
    if isinstance(token, str):
        headers["Authorization"] = f"Bearer {token}".strip()
    elif token:
        headers["Authorization"] = b"Bearer " + token
    with place.url.client() as client:
        for path in GUARDED:
            # Twice: the second time what was answered before is kept, and the token remembered.
            for _ in range(2):
                answer = client.get(path, headers=headers)
                assert answer.status_code == status, path
                challenge = answer.headers.get("www-authenticate")
                if status == 200:
                    assert challenge is None
                    assert answer.json()["data"]
                    continue
                assert answer.json()["detail"]
                assert answer.headers["cache-control"] == "no-store"
                assert challenge.startswith('Bearer realm="Lead Marts"')
                code = {401: 'error="invalid_token"', 403: 'error="insufficient_scope"'}[status]
                # RFC 6750 §3: no error code where there was no token at all.
                assert (code in challenge) == (token is not None)
        for path in OPEN:
            assert client.get(path, headers=headers).status_code == 200, path


def test_the_word_bearer_is_written_as_people_like(place):
    with place.url.client() as client:
        for line in ("bearer {}", "BEARER  {}"):
            headers = {"Authorization": line.format(place.good())}
            assert client.get(GUARDED[0], headers=headers).status_code == 200
        for line in ("Bearer{}", "Token {}", "{}", "Bearer {0} {0}", "Bearer {0}, Bearer {0}"):
            headers = {"Authorization": line.format(place.good())}
            assert client.get(GUARDED[0], headers=headers).status_code == 401
        twice = [("Authorization", f"Bearer {place.good()}")] * 2
        assert client.get(GUARDED[0], headers=twice).status_code == 401


@pytest.mark.parametrize("end", ["removed", "changed", "less"])
def test_tokens_end_with_their_user(place, wait_until, end):
    token, refresh = place.good(end), place.tokens.refresh(place.users.get(end), SCOPES)
    headers = {"Authorization": f"Bearer {token}"}
    form = {"grant_type": "refresh_token", "refresh_token": refresh}
    with place.url.client() as client:
        assert client.get(GUARDED[0], headers=headers).status_code == 200
        assert client.post("/api/auth/token/", data=form).status_code == 200
        with changing(place.file) as known:
            if end == "removed":
                del known[end]
            elif end == "changed":
                known[end] = user(end, password="another password")
            else:
                known[end] = user(end, scopes=())
        wait_until(lambda: client.get(GUARDED[0], headers=headers).status_code == 401)
        answer = client.post("/api/auth/token/", data=form)
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_grant"
        assert "removed or changed" in answer.json()["detail"]
        # Nobody else's ends.
        good = {"Authorization": f"Bearer {place.good()}"}
        assert client.get(GUARDED[0], headers=good).status_code == 200


REFRESHES = {
    "good": (200, lambda p: p.tokens.refresh(p.users.get("ada"), SCOPES)),
    "access token": (400, lambda p: p.good()),
    "expired": (400, lambda p: p.signed(p.claims(exp=int(time.time()) - 1), typ="rt+jwt")),
    "wrong audience": (400, lambda p: p.signed(p.claims(aud="another"), typ="rt+jwt")),
    "wrong key": (400, lambda p: p.signed(p.claims(), key=OTHERS_KEY, typ="rt+jwt")),
    "HS512": (400, lambda p: p.signed(p.claims(), "HS512", typ="rt+jwt")),
    "alg none": (400, lambda p: unsigned(p.claims())),
    "garbage": (400, lambda p: "a.b.c"),
    "not ASCII": (400, lambda p: "tokén"),
}


@pytest.mark.parametrize("name", REFRESHES)
def test_refresh_tokens(place, name):
    status, make = REFRESHES[name]
    token = make(place)
    with place.url.client() as client:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        answer = client.post("/api/auth/token/", data=form)
        assert answer.status_code == status
        if status == 400:
            assert answer.json()["error"] == "invalid_grant"
            return
        assert answer.json()["refresh_token"] == token
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert client.get(GUARDED[0], headers=headers).status_code == 200


def test_a_token_ends_though_it_is_remembered(place, wait_until):
    """And until then it was answered from what was kept."""
    with place.url.client() as client:
        # With another token first: what is new takes longer.
        other = {"Authorization": f"Bearer {place.good()}"}
        assert client.get(GUARDED[0], headers=other).status_code == 200
        token = place.signed(place.claims(exp=int(time.time()) + 6))
        headers = {"Authorization": f"Bearer {token}"}
        for _ in range(3):
            assert client.get(GUARDED[0], headers=headers).status_code == 200
        wait_until(lambda: client.get(GUARDED[0], headers=headers).status_code == 401)


def test_a_replica_whose_clock_is_behind_takes_fresh_tokens_and_no_expired_ones(
    tmp_path, make_publication, conversions, run_server
):
    make_publication(tmp_path / "publications", [], conversions)
    clock = tmp_path / "clock"
    clock.write_text("0")
    with changing(tmp_path / "users.json") as known:
        known["ada"] = user("ada")
    users = Users(tmp_path / "users.json")
    tokens = Tokens(KEY, 3600, users)
    variables = {"LEADMARTS_SIGNING_KEY": KEY.decode(), "CLOCK_MOVED": str(clock)}
    command = ["-m", "tests.api.moved_clock", "--port", "0"]
    with run_server(command, **variables) as server, server.client() as client:

        def asked(token):
            return client.get(GUARDED[0], headers={"Authorization": f"Bearer {token}"})

        for behind in (2, 25):
            clock.write_text(f"-{behind}")
            token = tokens.access(users.get("ada"), SCOPES)
            # Twice: what was answered before is kept, and the token remembered.
            assert [asked(token).status_code for _ in range(2)] == [200, 200]
        clock.write_text("-60")
        answer = asked(tokens.access(users.get("ada"), SCOPES))
        assert answer.status_code == 401
        assert "the clocks of the servers differ by more than 30 seconds" in answer.json()["detail"]

        # A token that was taken ends as one that was not, and begins again with the clock.
        fresh = Tokens(KEY, 3600, users).access(users.get("ada"), SCOPES)
        for moved, status in (("3590", 200), ("3601", 401), ("0", 200)):
            clock.write_text(moved)
            assert asked(fresh).status_code == status
            assert asked(tokens.access(users.get("ada"), frozenset())).status_code == (
                403 if status == 200 else 401
            )

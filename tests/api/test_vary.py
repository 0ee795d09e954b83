"""What an answer depends on, held against ``Vary`` as a cache does that follows RFC 9111."""

from __future__ import annotations

import itertools
import random

import pytest

APP = "https://app.example"
ORIGINS = (None, APP, "https://other.example")
KINDS = (None, "text/csv", "application/vnd.pgrst.object+json", "text/html")
CODINGS = (None, "gzip", "zstd, gzip;q=0.5", "*;q=0")
MARTS = "/api/v1/marts"

OF_A_MART = {"Accept", "Accept-Profile", "Origin", "Prefer", "Range"}
USUAL = "public, max-age=0, stale-while-revalidate=10, stale-if-error=86400"
NUMBERED = "public, max-age=3600, must-revalidate"
GUARDED = "private, no-cache"

PATHS = {
    "/": (USUAL, {"Origin"}),
    "/openapi.json": (USUAL, {"Origin"}),
    "/docs": (USUAL, {"Origin"}),
    "/docs/assets/start.js": (USUAL, {"Origin"}),
    "/health/ready": ("no-store", {"Origin"}),
    "/nowhere": ("no-store", {"Origin"}),
    "/api/v1/publications/current": (USUAL, {"Origin"}),
    MARTS: (USUAL, {"Origin"}),
    "/api/v1/transformation/count_date_by_week": (USUAL, {"Origin"}),
    "/api/marketing/measurements/": (GUARDED, {"Authorization", "Origin"}),
    "/api/marketing/measurements/?publication=1": (GUARDED, {"Authorization", "Origin"}),
    f"{MARTS}/open": (USUAL, OF_A_MART),
    f"{MARTS}/open.csv?publication=1": (NUMBERED, OF_A_MART),
    f"{MARTS}/open/changes?since=1": (USUAL, {"Accept-Profile", "Origin"}),
    f"{MARTS}/guarded": (GUARDED, OF_A_MART | {"Authorization"}),
    f"{MARTS}/guarded?nothing=eq.1": (GUARDED, OF_A_MART | {"Authorization"}),
    f"{MARTS}/guarded/changes?since=1": (
        GUARDED,
        {"Accept-Profile", "Authorization", "Origin"},
    ),
    f"{MARTS}/long.csv": (GUARDED, OF_A_MART | {"Authorization"}),
    f"{MARTS}/long.csv?publication=1": (GUARDED, OF_A_MART | {"Authorization"}),
}
"""What a cache may do with an answer of each path, and what it depends on besides the coding."""

COUNT = 12
"""How many requests to each path. Each comes three times: to be made, kept, known by its head."""


@pytest.fixture(scope="module", params=["any", "named"])
def served_to(request, run_server_in, make_publication, make_conversion, add_user, users,
              tmp_path_factory):  # fmt: skip
    """A server that pages of any origin may read, or of a named one; and its users' tokens."""
    folder = tmp_path_factory.mktemp(request.param)
    marts = {
        "open": "select n, 'text ' || n as t from range(80) r(n)",
        "guarded": "select n, 'secret ' || n as t from range(80) r(n)",
        "long": "select n, repeat('long', 5000) as t from range(80) r(n)",
    }
    for _ in range(2):
        make_publication(
            folder / "publications",
            [],
            [make_conversion()],
            more=marts,
            scopes={"guarded": "marketing:read", "long": "marketing:read"},
        )
    add_user(folder / "users.json", *users["operator"])
    add_user(folder / "users.json", *users["nobody"], "--no-scope")
    named = {"LEADMARTS_CORS_ORIGINS": APP} if request.param == "named" else {}
    with run_server_in(folder, **named) as server, server.client() as client:
        del client.headers["accept"]
        tokens = [f"Bearer {server.token(*users[name])}" for name in ("operator", "nobody")]
        yield client, tokens, request.param


def asked(path, tokens):
    """Requests to a path that differ in everything that an answer may depend on."""
    is_mart = path.startswith(f"{MARTS}/") and "/changes" not in path
    varied = {
        "Origin": ORIGINS,
        "Authorization": (None, *tokens),
        "Accept-Encoding": CODINGS,
        "Accept": KINDS if is_mart else (None, "text/csv"),
        "Prefer": (None, "count=exact", "handling=strict, x"),
        "Range": (None, "0-4", "90-95"),
        "Accept-Profile": (None, "other"),
    }
    chance = random.Random(path)  # noqa: S311 -- the same requests each time, nothing secret
    few = [dict.fromkeys(varied) | {"Authorization": tokens[0], "Origin": APP}]
    few += [
        {name: chance.choice(values) for name, values in varied.items()} for _ in range(COUNT - 1)
    ]
    return [{name: value for name, value in one.items() if value is not None} for one in few]


def seen(answer):
    """What a client sees of an answer that a cache may hand on."""
    names = ("content-type", "content-encoding", "content-range", "etag", "link")
    said = [answer.headers.get(name) for name in (*names, "access-control-allow-origin")]
    # A problem names its request.
    body = None if answer.status_code >= 400 else answer.content
    return answer.status_code, *said, body


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_varies_by_all_that_it_depends_on(served_to, path):
    """Whatever two requests agree in that ``Vary`` names, both get the same."""
    client, tokens, origins = served_to
    control, names = PATHS[path]
    answered = []
    for headers in asked(path, tokens):
        for _ in range(3):
            answer = client.get(path, headers=headers)
            said = {one.strip() for one in answer.headers["vary"].split(",")}
            coded = "etag" in answer.headers or answer.status_code == 406
            assert said == names | ({"Accept-Encoding"} if coded else set()), headers
            usual = control if answer.status_code < 400 else "no-store"
            assert answer.headers["cache-control"] == usual, headers
            right = {"any": "*", "named": APP}[origins] if "Origin" in headers else None
            if origins == "named" and headers.get("Origin") != APP:
                right = None
            assert answer.headers.get("access-control-allow-origin") == right, headers
            answered.append((headers, said, answer))
        head = client.head(path, headers={k: v for k, v in headers.items() if k != "Range"})
        assert {one.strip() for one in head.headers["vary"].split(",")} >= names
        if (tag := answer.headers.get("etag")) and answer.status_code < 400:
            current = client.get(path, headers={**headers, "If-None-Match": tag})
            assert current.status_code == 304
            for name in ("vary", "cache-control", "access-control-allow-origin", "content-range"):
                assert current.headers.get(name) == answer.headers.get(name), name
    for (one, said, first), (other, _, second) in itertools.combinations(answered, 2):
        if all(one.get(name) == other.get(name) for name in said):
            assert seen(first) == seen(second), (one, other)


def test_a_preflight_is_answered_for_every_path(served_to):
    """So a page gets the status and the sentence of what comes after it."""
    client, _, origins = served_to
    for path, method, status in (
        (f"{MARTS}/open", "PATCH", 405),
        (f"{MARTS}/open", "PUT", 405),
        (f"{MARTS}/open", "DELETE", 405),
        (f"{MARTS}/guarded", "GET", 401),
        ("/nowhere", "GET", 404),
    ):
        said = {"Origin": APP, "Access-Control-Request-Method": method}
        wanted = {**said, "Access-Control-Request-Headers": "authorization,prefer,range"}
        first = client.options(path, headers=wanted)
        assert (first.status_code, first.content) == (204, b"")
        assert first.headers["access-control-allow-origin"] == ("*" if origins == "any" else APP)
        assert first.headers["access-control-allow-headers"] == "authorization,prefer,range"
        allowed = first.headers["access-control-allow-methods"].split(", ")
        assert method in allowed
        assert first.headers["vary"] == "Origin, Access-Control-Request-Headers"
        assert first.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-headers" not in client.options(path, headers=said).headers
        then = client.request(method, path, headers={"Origin": APP})
        assert then.status_code == status
        exposed = then.headers["access-control-expose-headers"]
        assert {"Allow", "Content-Range", "ETag", "Link"} <= {*exposed.split(", ")}
    other = client.options(path, headers={**said, "Origin": "https://other.example"})
    if origins == "named":
        assert other.status_code == 403
        assert other.headers["vary"] == "Origin"
        assert "access-control-allow-origin" not in other.headers
        assert other.json()["detail"] == (
            "Pages of https://other.example may not read this API; the server's setting "
            "LEADMARTS_CORS_ORIGINS names the origins that may."
        )
    else:
        assert other.status_code == 204

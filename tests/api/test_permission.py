"""Who may read a mart: by whichever route, of whichever publication, and from whatever is kept."""

from types import SimpleNamespace

import pytest
from litestar.exceptions import PermissionDeniedException

from api.auth.permission import admit
from tests.api import contract

WEEKLY = "lead_event_counts_weekly"
MARTS = "/api/v1/marts"
COUNTS = "/api/v1/transformation/count_date_by_"
MARKETING = [
    "/api/marketing/measurements/",
    "/api/marketing/stats/channel-sales-percentages/",
    "/api/marketing/stats/channel-weekly-sales/",
]

USUAL = "max-age=0, stale-while-revalidate=10, stale-if-error=86400"
GUARDED = "private, no-cache"

LEADS = ("leads", "a password for leads")
BOTH = ("both", "a password for both")
FINANCE = ("finance", "a password for finance")
SOME = ("some", "a password for some")


@pytest.fixture
def folder(tmp_path, add_user):
    """Where to publish, beside users who may read leads, marketing and finance, or marketing."""
    users = tmp_path / "users.json"
    add_user(users, *LEADS, "--scope", "leads:read")
    add_user(users, *BOTH, "--scope", "marketing:read", "--scope", "finance:read")
    add_user(users, *SOME, "--scope", "marketing:read")
    return tmp_path / "publications"


@pytest.mark.parametrize("grain", ["week", "month"])
@pytest.mark.parametrize(("scope", "other"), [("leads:read", 403), (None, 200)])
def test_every_route_asks_for_what_the_mart_says(
    folder, run_server, make_publication, make_events, grain, scope, other
):
    mart = f"lead_event_counts_{grain}ly"
    for seed in (1, 2):
        make_publication(folder, make_events(seed), scopes={mart: scope})
    paths = [
        f"{COUNTS}{grain}",
        f"{COUNTS}{grain}?dense=true",
        f"{MARTS}/{mart}",
        f"{MARTS}/{mart}.csv",
        f"{MARTS}/{mart}/changes?since=1",
    ]
    with (
        run_server() as server,
        server.signed_in(*LEADS) as reader,
        server.signed_in(*SOME) as another,
        server.client() as stranger,
    ):
        for path in paths:
            # The second time it is kept, and the third time known by its head.
            for _ in range(3):
                answer = reader.get(path)
                assert answer.status_code == 200, path
                assert answer.headers["cache-control"] == GUARDED
                assert "Authorization" in answer.headers["vary"]
                assert another.get(path).status_code == other, path
                tag = {"If-None-Match": answer.headers["etag"]}
                assert reader.get(path, headers=tag).status_code == 304
                for headers in ({}, tag):
                    assert stranger.get(path, headers=headers).status_code == 401, path


def test_the_document_shows_rows_of_open_marts_alone(
    folder, run_server, make_publication, make_events
):
    make_publication(folder, make_events(1), scopes={WEEKLY: "leads:read"})
    with run_server() as server, server.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
        weeks, months = (paths[f"{COUNTS}{grain}"]["get"] for grain in ("week", "month"))
        assert "example" not in weeks["responses"]["200"]["content"]["application/json"]
        assert {"401", "403"} <= weeks["responses"].keys()
        assert weeks["security"] == [{"OAuth2": ["leads:read"]}, {"Bearer": []}]
        assert months["responses"]["200"]["content"]["application/json"]["example"]
        assert not {"401", "403"} & months["responses"].keys()
        assert months["security"] == []


def test_what_was_kept_of_an_open_mart_is_closed_with_it(
    folder, run_server, make_publication, make_events, wait_until
):
    """Also what the newer publication got ready before anybody asked."""
    make_publication(folder, make_events(1))
    path = f"{COUNTS}week"
    with (
        run_server() as server,
        server.client() as stranger,
        server.signed_in(*LEADS) as reader,
    ):
        for _ in range(3):
            assert stranger.get(path).headers["cache-control"] == f"public, {USUAL}"
        make_publication(folder, make_events(2), scopes={WEEKLY: "leads:read"})
        ready = "/health/ready"
        wait_until(lambda: stranger.get(ready).json()["publication"] == 2)
        contract.forget(server.url)  # a refusal does not say which publication's document has it
        for _ in range(3):
            assert stranger.get(path).status_code == 401
            assert reader.get(path).headers["publication"] == "2"


@pytest.mark.parametrize("scopes", [("finance:read", "marketing:read"), ("open", "finance:read")])
def test_marketing_asks_for_what_the_mart_was_and_is(
    folder, run_server, make_publication, make_conversion, scopes
):
    for scope in scopes:
        make_publication(folder, [], [make_conversion()], scope=scope)
    with (
        run_server() as server,
        server.signed_in(*BOTH) as reader,
        server.signed_in(*SOME) as another,
        server.client() as stranger,
    ):
        for path in [*MARKETING, f"{MARTS}/marketing_conversions"]:
            for _ in range(2):
                answer = reader.get(path, params={"publication": 1})
                assert answer.status_code == 200, path
                assert answer.headers["cache-control"] == GUARDED
                refused = another.get(path, params={"publication": 1})
                assert refused.status_code == 403, path
                assert "it lacks the scope finance:read." in refused.json()["detail"]
                assert stranger.get(path, params={"publication": 1}).status_code == 401


def test_a_kept_answer_needs_all_that_was_asked_for(
    folder, run_server, make_publication, make_conversion, add_user
):
    """By the route, and by the mart."""
    add_user(folder.parent / "users.json", *FINANCE, "--scope", "finance:read")
    make_publication(folder, [], [make_conversion()], scope="finance:read")
    with (
        run_server() as server,
        server.signed_in(*BOTH) as reader,
        server.signed_in(*FINANCE) as half,
        server.signed_in(*SOME) as other_half,
    ):
        for path in MARKETING:
            for _ in range(3):
                assert reader.get(path).status_code == 200
                assert half.get(path).status_code == 403
                assert other_half.get(path).status_code == 403


@pytest.mark.parametrize("scopes", [("open", "leads:read"), ("leads:read", "open")])
def test_what_needed_a_permission_is_private(folder, run_server, make_publication, scopes):
    """Whichever of two publications asked for it: the one that is named, or the one served."""
    for scope in scopes:
        more = {"m": "select n, n as a from range(100000) r(n)"}
        make_publication(folder, [], more=more, scopes={"m": scope})
    with run_server() as server, server.signed_in(*LEADS) as reader:
        for path in ("m?limit=3&", "m.csv?limit=3&", "m.csv?", "m/changes?since=1&"):
            answer = reader.get(f"{MARTS}/{path}publication=1")
            assert answer.status_code == 200, path
            assert answer.headers["cache-control"] == GUARDED, path
            assert "Authorization" in answer.headers["vary"]
        since = reader.get(f"{MARTS}/m/changes?since=1&publication=2")
        assert since.headers["cache-control"] == GUARDED


def test_a_scope_without_a_name_is_in_no_token():
    bearer = SimpleNamespace(scopes=lambda _authorization: frozenset({"marketing:read"}))
    connection = SimpleNamespace(
        scope={"state": {"permission": None}, "headers": []},
        app=SimpleNamespace(state=SimpleNamespace(bearer=bearer)),
    )
    with pytest.raises(PermissionDeniedException):
        admit(connection, frozenset({""}))

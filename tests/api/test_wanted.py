"""What a request says about its answer: `Accept` and `Prefer`."""

import pytest

from api.accepted import choose, read_accept
from api.wanted import PROVIDED

MARTS = "/api/v1/marts"
WEEKS = f"{MARTS}/lead_event_counts_weekly"
JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
OBJECT = "application/vnd.pgrst.object+json"
ARRAY = "application/vnd.pgrst.array+json"


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("", JSON),
        (" , ", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/*", "text/csv"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV; charset=utf-8", "text/csv"),
        ("text/csv, application/json", "text/csv"),
        ("application/json, text/csv", JSON),
        ("*/*, text/csv", "text/csv"),
        ("text/html, application/xml;q=0.9, */*;q=0.8", JSON),
        ("text/csv;q=0.5, application/json;q=0.7", JSON),
        ("application/json;q=0.5, text/*", "text/csv"),
        ("*/*, application/json;q=0", "text/csv"),
        ("*/*;q=0.9, application/json;q=0.1", "text/csv"),
        ("application/*;q=0, */*", "text/csv"),
        (f"*/*, application/*;q=0, {ARROW}", ARROW),
        ("*/*;q=0", None),
        ("application/json;q=0", None),
        ("text/plain", None),
        ('text/plain; a="b, text/csv"', None),
        ("text/csv; q=0.000, text/plain", None),
        (OBJECT, OBJECT),
        (f"{JSON}, {OBJECT}", JSON),
        (f"{OBJECT}, {JSON}", OBJECT),
    ],
)
def test_what_is_accepted_most(header, kind):
    """RFC 9110 §12.5.1: what means a kind most closely says how much it is wanted."""
    assert choose(read_accept(header), PROVIDED) == kind


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("", JSON),
        (f"{ARRAY};nulls=stripped, */*", JSON),
        (ARRAY, JSON),
        ("application/vnd.pgrst.array", JSON),
        ("application/vnd.pgrst.object", OBJECT),
        (f"{OBJECT};nulls=stripped, text/csv;q=0.1", "text/csv"),
        ("*/*, application/json;q=0", "text/csv"),
    ],
)
def test_what_is_answered(client, header, kind):
    answer = client.get(WEEKS, params={"limit": 1}, headers={"Accept": header})
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == kind


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("text/plain", "Accept: text/plain is not to be had; there are application/json, text/csv"),
        (f"{ARRAY};nulls=stripped", "asks for objects without their nulls, which is not supported"),
        (f"{OBJECT}; Nulls=Stripped", "asks for objects without their nulls"),
        ("application/vnd.pgrst.plan", "asks for the plan of a query, which is not supported"),
        (
            'application/vnd.pgrst.plan+text; for="application/json"; options=analyze|verbose;',
            "asks for the plan of a query, which is not supported",
        ),
    ],
)
def test_what_is_not_to_be_had(client, header, told):
    answer = client.get(WEEKS, headers={"Accept": header})
    assert (answer.status_code, answer.json()["code"]) == (406, "PGRST107")
    assert told in answer.json()["message"]


@pytest.mark.parametrize(
    ("header", "counted", "applied"),
    [
        ("count=exact", True, "count=exact"),
        ("count=planned , return=minimal", True, "count=exact"),
        ("xcount=exact", False, None),
        ("count=none, anything", False, None),
        ("handling=lenient, anything", False, "handling=lenient"),
        ("handling=strict, count=estimated, timezone=UTC, tx=commit", True, "both"),
    ],
)
def test_preferences(client, header, counted, applied):
    answer = client.get(WEEKS, params={"limit": 1}, headers={"Prefer": header})
    assert answer.status_code == (206 if counted else 200)
    expected = "count=exact, handling=strict" if applied == "both" else applied
    assert answer.headers.get("preference-applied") == expected


@pytest.mark.parametrize(
    ("header", "code", "told", "details"),
    [
        (
            "handling=strict, foo, bar",
            "PGRST122",
            "Prefer: handling=strict, and there is no preference foo.",
            "Invalid preferences: foo, bar",
        ),
        ("timezone=Europe/Paris", "PGRST127", "Prefer: timezone=Europe/Paris is not", None),
        ("handling=strict, max-affected=3", "PGRST127", "Prefer: max-affected=3 is for", None),
    ],
)
def test_preferences_that_are_refused(client, header, code, told, details):
    """Documented at docs.postgrest.org, Prefer Header."""
    answer = client.get(WEEKS, headers={"Prefer": header})
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["details"]) == (400, code, details)
    assert problem["message"].startswith(told)

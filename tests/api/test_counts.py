"""Both transformation routes against a count in plain Python."""

from datetime import date, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EVENT_DATES = [
    "date_prise_contact",
    "date_reponse_prospect",
    "date_appel_booke",
    "date_appel_propose",
    "date_relance",
]
DAYS = st.none() | st.dates(date(2018, 1, 1), date(2028, 12, 31))

ask_often = settings(
    max_examples=150,
    deadline=None,
    # The fixtures are the server and its events: the same for every example.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def test_all_counts(client, route, grain, model, events):
    answer = client.get(route)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == model(events, grain)
    # The order of the keys is part of the published shape.
    assert list(answer.json()[0])[1:] == EVENT_DATES


def test_iso_year_is_the_years_of_the_week(client, model, events):
    rows = client.get("/api/v1/transformation/count_date_by_week").json()
    labels = [row["semaine"] for row in rows]
    assert {"2020-W53", "2024-W09", "2025-W01", "2026-W01"} <= set(labels)
    assert "2021-W53" not in labels
    assert labels == sorted(labels)


@ask_often
@given(
    date_cols=st.lists(st.sampled_from(EVENT_DATES), max_size=6),
    start=DAYS,
    end=DAYS,
    dense=st.sampled_from([None, "true", "false", "1", "0"]),
)
def test_any_selection(client, route, grain, model, events, date_cols, start, end, dense):
    if start and end and start > end:
        start, end = end, start
    given = {"date_cols": date_cols, "start": start, "end": end, "dense": dense}
    answer = client.get(route, params={key: value for key, value in given.items() if value})
    assert answer.status_code == 200, answer.text
    columns = tuple(date_cols) or tuple(EVENT_DATES)
    assert answer.json() == model(events, grain, columns, start, end, dense in {"true", "1"})


def test_columns_are_read_as_clients_write_lists(client, route):
    """Brackets stand behind a name that axios repeats, and numbers in them with qs and PHP."""
    plain = client.get(route, params={"date_cols": ["date_relance", "date_appel_booke"]})
    for one, other in (("[]", "[]"), ("%5B%5D", "%5b%5d"), ("[0]", "[1]"), ("", "[]")):
        query = f"date_cols{one}=date_relance&date_cols{other}=date_appel_booke&end=2030-01-01"
        assert client.get(f"{route}?{query}").json() == plain.json()
    wrong = client.get(f"{route}?date_cols[]=x")
    assert wrong.status_code == 400
    assert "date_cols=x is not among" in wrong.json()["detail"]


def test_equal_dates_are_a_range_of_one_day(client, model, events):
    monday = date(2024, 12, 30)
    answer = client.get(
        "/api/v1/transformation/count_date_by_week", params={"start": monday, "end": monday}
    )
    assert [row["semaine"] for row in answer.json()] == ["2025-W01"]


def test_both_ends_are_inclusive_by_the_first_day(client):
    route = "/api/v1/transformation/count_date_by_week"

    def weeks(start, end):
        params = {"start": start, "end": end, "dense": "true"}
        return [row["semaine"] for row in client.get(route, params=params).json()]

    monday = date(2025, 1, 6)
    day = timedelta(days=1)
    assert weeks(monday, monday + 7 * day) == ["2025-W02", "2025-W03"]
    assert weeks(monday + day, monday + 7 * day) == ["2025-W03"]
    assert weeks(monday, monday + 6 * day) == ["2025-W02"]


def test_an_event_that_never_happened(client, route):
    assert client.get(route, params={"date_cols": "date_relance"}).json() == []
    assert client.get(route, params={"date_cols": "date_relance", "dense": "true"}).json() == []
    only = {"date_cols": "date_relance", "start": "2025-01-01", "end": "2025-01-31"}
    dense = client.get(route, params={**only, "dense": "true"}).json()
    assert dense
    assert all(list(row.values())[1:] == [0] for row in dense)


def test_the_ends_of_the_calendar(client, route):
    for start, end in (("9999-12-01", "9999-12-31"), ("9999-12-31", "9999-12-31")):
        answer = client.get(route, params={"start": start, "end": end, "dense": "true"})
        assert answer.status_code == 200
    first = client.get(route, params={"start": "0001-01-01", "end": "0001-01-31", "dense": "true"})
    assert next(iter(first.json()[0].values())) in {"0001-W01", "0001-01"}


def test_a_dense_answer_has_an_end(client, route):
    answer = client.get(route, params={"start": "0001-01-01", "dense": "true"})
    assert answer.status_code == 400
    assert "5000 periods" in answer.json()["detail"]

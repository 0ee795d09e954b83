"""From a file to an answer, through every room, against a count made without any of them.

`LEADMARTS_LEADS_CSV` names another file of leads to run this over.
"""

from __future__ import annotations

import csv
import json
import os
import threading
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pipeline.conftest import Project

LEADS = Path(os.environ.get("LEADMARTS_LEADS_CSV", Path(__file__).with_name("leads.csv")))
EVENTS = [
    "date_prise_contact",
    "date_reponse_prospect",
    "date_appel_booke",
    "date_appel_propose",
    "date_relance",
]
WEEKS = "/api/v1/transformation/count_date_by_week"
MONTHS = "/api/v1/transformation/count_date_by_month"


def week(day: date) -> str:
    year, number, _ = day.isocalendar()
    return f"{year}-W{number:02}"


def month(day: date) -> str:
    return f"{day.year}-{day.month:02}"


def count(file: Path, name: str, period: Callable[[date], str]) -> list[dict[str, Any]]:
    """Count each event of a CSV of leads by period, with the standard library alone."""
    counted: dict[str, Counter[str]] = {}
    with file.open(newline="") as lines:
        for lead in csv.DictReader(lines):
            for event in EVENTS:
                if lead[event]:
                    day = date.fromisoformat(lead[event][:10])
                    counted.setdefault(period(day), Counter())[event] += 1
    return [
        {name: key, **{event: counted[key][event] for event in EVENTS}} for key in sorted(counted)
    ]


def test_both_routes_equal_a_count_made_from_the_file(project: Project) -> None:
    loaded = project.run("python", "-m", "lake", "load", "leads", str(LEADS))
    assert loaded.returncode == 0, loaded.stdout
    build = project.dbt("build")
    assert build.returncode == 0, build.stdout
    with project.api() as client:
        weeks, months = client.get(WEEKS), client.get(MONTHS)
    assert weeks.status_code == months.status_code == 200
    assert weeks.json() == count(LEADS, "semaine", week) != []
    assert months.json() == count(LEADS, "mois", month) != []
    cells = len(weeks.json()) * 6 + len(months.json()) * 6
    print(f"{LEADS.name}: {len(weeks.json())} weeks, {len(months.json())} months, {cells} cells")  # noqa: T201


def test_builds_under_load_fail_no_request_and_mix_no_publication(
    built: Project, write_leads: Callable[..., None]
) -> None:
    project = built
    answers: list[tuple[int, bytes]] = []
    failures: list[object] = []
    over = threading.Event()

    def ask(base: httpx.URL, number: int) -> None:
        # Every second client asks for what no cache has, so that queries run during swaps too.
        with httpx.Client(base_url=base, timeout=60) as client:
            asked = 0
            while not over.wait(0.005):  # leave the builds a little of the machine
                asked += 1
                late = date(2200, 1, 1) + timedelta(days=asked * 7 + number)
                query = {"end": late.isoformat()} if number % 2 else {}
                try:
                    answer = client.get(WEEKS, params=query)
                except httpx.HTTPError as error:
                    failures.append(error)
                    continue
                if answer.status_code != 200:
                    failures.append((answer.status_code, answer.text))
                    continue
                answers.append((int(answer.headers["Publication"]), answer.content))

    with project.api() as client:
        clients = [
            threading.Thread(target=ask, args=(client.base_url, number)) for number in range(4)
        ]
        for thread in clients:
            thread.start()
        try:
            for number in range(2, 4):
                write_leads(
                    project.leads,
                    [{"id": f"more-{number}", "date_relance": date(2025, 1, number)}],
                )
                build = project.dbt("build")
                assert build.returncode == 0, build.stdout
                deadline = time.monotonic() + 60
                while client.get("/api/v1/publications/current").json()["number"] != number:
                    assert time.monotonic() < deadline, "not seen"
                    time.sleep(0.05)
        finally:
            over.set()
            for thread in clients:
                thread.join()

    assert failures == []
    seen = {number for number, _ in answers}
    assert seen == {1, 2, 3}
    for number in seen:
        (file,) = (project.data / "publications").glob(f"{number:06}-*.duckdb")
        with duckdb.connect(str(file), read_only=True) as marts:
            relation = marts.sql(
                f"select semaine, {', '.join(EVENTS)} from lead_event_counts_weekly order by 1"
            )
            expected = [
                dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()
            ]
        bodies = {body for n, body in answers if n == number}
        assert [json.loads(body) for body in bodies] == [expected] * len(bodies)


def test_before_the_first_publication_a_sentence_says_what_to_run(
    project_with_leads: Project,
) -> None:
    project = project_with_leads
    with project.api() as client:
        for route in (WEEKS, MONTHS):
            early = client.get(route)
            assert early.status_code == 503
            assert "dbt build" in early.json()["detail"]
        assert project.dbt("build").returncode == 0
        for route in (WEEKS, MONTHS):
            deadline = time.monotonic() + 60
            while (answer := client.get(route)).status_code == 503:
                assert time.monotonic() < deadline, "not seen"
                time.sleep(0.05)
            assert answer.status_code == 200
            assert len(answer.json()) > 0

"""Marketing conversions from a file to both marts, against sums made without any room.

`LEADMARTS_MARKETING_CSV` names another file of conversions to run this over.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import jinja2
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pipeline.conftest import Project

OWN = Path(__file__).with_name("marketing.csv")
FILE = Path(os.environ.get("LEADMARTS_MARKETING_CSV", OWN))
MEASURED = (
    "select product, campaign_type, campaign, channel, date, conversions "
    "from marketing_conversions order by all"
)
WEEKS = "select channel, year, week, week_start, semaine, sales from channel_sales_weekly"

MACROS = Path(__file__).parents[2] / "macros"
EXACT_SUM = jinja2.Template(
    (MACROS / "sums.sql").read_text() + "{{ exact_sum('conversions') }}"
).render()

DEMO_USER = ("marketing_op", "marketing_op_supersecret")

Measurement = tuple[str, str, str, str, date]


def sums(file: Path) -> dict[Measurement, Fraction]:
    """Sum a CSV of conversions by its key, with the standard library alone, exactly."""
    summed: defaultdict[Measurement, Fraction] = defaultdict(Fraction)
    with file.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            key = tuple(row[name] for name in ("product", "campaign_type", "campaign", "channel"))
            summed[*key, date.fromisoformat(row["date"])] += Fraction(row["conversions"])
    return summed


def weeks(measured: dict[Measurement, Fraction]) -> dict[tuple[Any, ...], Fraction]:
    """Sum measurements by channel and ISO week."""
    summed: defaultdict[tuple[Any, ...], Fraction] = defaultdict(Fraction)
    for (*_, channel, day), conversions in measured.items():
        year, week, weekday = day.isocalendar()
        monday = day - timedelta(days=weekday - 1)
        summed[channel, year, week, monday, f"{year}-W{week:02}"] += conversions
    return summed


def read(project: Project, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(project.data / "marts.duckdb"), read_only=True) as marts:
        return marts.execute(query).fetchall()


def manifest(project: Project) -> Any:
    folder = project.data / "publications"
    file = json.loads((folder / "current.json").read_text())["file"]
    return json.loads((folder / file).with_suffix(".json").read_text())


def assert_equal(rows: list[tuple[Any, ...]], expected: dict[Any, Fraction]) -> None:
    assert [row[:-1] for row in rows] == sorted(expected)
    for *key, value in rows:
        assert value == float(expected[tuple(key)])


@pytest.fixture(scope="session")
def built_once(made_once: Callable[..., Path], project_in: Callable[..., Project]) -> Project:
    """The project after `lake load marketing` and one plain `dbt build`; and what that said."""

    def build(folder: Path) -> None:
        project = project_in(folder / "data")
        loaded = project.run("python", "-m", "lake", "load", "marketing", str(FILE))
        assert loaded.returncode == 0, loaded.stdout
        build = project.dbt("build")
        assert build.returncode == 0, build.stdout
        (project.data / "build.out").write_text(build.stdout)

    return project_in(made_once("marketing", build) / "data")


def test_both_marts_equal_sums_made_from_the_file(built_once: Project) -> None:
    measured = sums(FILE)
    assert_equal(read(built_once, MEASURED), measured)
    mondays = dict(read(built_once, "select distinct date, week_start from marketing_conversions"))
    assert mondays == {day: day - timedelta(days=day.weekday()) for *_, day in measured}
    by_week = weeks(measured)
    assert_equal(read(built_once, WEEKS + " order by all"), by_week)
    print(f"{FILE.name}: {len(measured)} measurements, {len(by_week)} channels and weeks")  # noqa: T201


def test_what_was_measured_once_keeps_all_its_digits(built_once: Project) -> None:
    lines: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
    with FILE.open(newline="", encoding="utf-8") as rows:
        for *key, conversions in list(csv.reader(rows))[1:]:
            lines[tuple(key)].append(float(conversions))
    once = {key: values[0] for key, values in lines.items() if len(values) == 1}
    found = {(*map(str, row[:-1]),): row[-1] for row in read(built_once, MEASURED)}
    assert once
    assert {key: found[key] for key in once} == once


def test_the_api_answers_sums_made_from_the_file(built_once: Project) -> None:
    """Weekly sales and shares of the first month, which cuts weeks."""
    all_measured = sums(FILE)
    first = min(day for *_, day in all_measured)
    last = first + timedelta(days=31)
    measured = {key: value for key, value in all_measured.items() if key[-1] <= last}
    assert measured
    query = {"start_date": str(first), "end_date": str(last), "page_size": "100"}
    with built_once.api() as client:
        signed_in = client.get("/api/auth/token/", auth=DEMO_USER).json()["data"]
        client.headers["Authorization"] = f"Bearer {signed_in['token']}"
        answer = client.get("/api/marketing/stats/channel-weekly-sales/", params=query)
        found = [tuple(element.values()) for element in answer.json()["data"]]
        assert answer.headers["x-total-count"] == str(len(found))
        summed = {
            (year, week, channel): n for (channel, year, week, *_), n in weeks(measured).items()
        }
        assert [(year, week, channel) for channel, year, week, _ in found] == sorted(summed)
        for channel, year, week, sales in found:
            assert sales == pytest.approx(float(summed[year, week, channel]), rel=1e-9)
        answer = client.get("/api/marketing/stats/channel-sales-percentages/", params=query)
        by_channel: defaultdict[str, Fraction] = defaultdict(Fraction)
        for (*_, channel, _), conversions in measured.items():
            by_channel[channel] += conversions
        whole = sum(by_channel.values())
        assert len(answer.json()["data"]) == len(by_channel)
        for element in answer.json()["data"]:
            share = 100 * by_channel[element["channel"]] / whole
            assert abs(Fraction(element["percentage"]) - share) <= Fraction("0.005")
    print([sales for channel, *_, sales in found if channel == "facebook"])  # noqa: T201


@pytest.mark.skipif(FILE != OWN, reason="another file has other channels")
def test_unlisted_values_are_a_warning_that_names_them(built_once: Project) -> None:
    said = " ".join((built_once.data / "build.out").read_text().split())
    assert (
        "marketing_conversions.channel has values that seeds/marketing_channels.csv does not list: "
        "Owl; express, pigeon post." in said
    )
    assert "seeds/marketing_campaign_types.csv does not list: seasonal." in said
    assert manifest(built_once)["build"]["tests"] == "warned"


def test_marketing_is_not_open(built_once: Project) -> None:
    scopes = {mart["name"]: mart["scope"] for mart in manifest(built_once)["marts"]}
    assert scopes["marketing_conversions"] == "marketing:read"
    assert scopes["channel_sales_weekly"] == "marketing:read"


def test_a_table_that_nobody_loaded_is_empty_and_a_warning_says_so(built: Project) -> None:
    said = (built.data / "build.out").read_text()
    assert said.count("leads is taken as empty. There is no Delta table leads at") == 1
    assert [source["name"] for source in manifest(built)["sources"]] == ["marketing_conversions"]
    assert read(built, "from lead_event_counts_daily") == []
    freshness = built.dbt("source", "freshness")
    assert freshness.returncode == 0, freshness.stdout
    assert "WARN freshness of lake.leads " in freshness.stdout
    assert "PASS freshness of lake.marketing_conversions " in freshness.stdout
    assert "There is no Delta table leads at" in freshness.stdout


def test_a_table_whose_place_was_set_must_be_there(built: Project) -> None:
    pointer = (built.data / "publications" / "current.json").read_bytes()
    for variable, name in (
        ("LEADMARTS_LEADS_URI", "leads"),
        ("LEADMARTS_MARKETING_URI", "marketing_conversions"),
    ):
        done = built.dbt("build", **{variable: str(built.data / "nowhere")})
        assert done.returncode != 0
        assert f"There is no Delta table {name} at" in done.stdout
        assert "Traceback" not in done.stdout
    assert (built.data / "publications" / "current.json").read_bytes() == pointer


def test_a_published_table_that_is_lost_publishes_nothing(
    built: Project, write_leads: Callable[..., None]
) -> None:
    pointer = (built.data / "publications" / "current.json").read_bytes()
    write_leads(built.leads, [{"id": "a", "date_relance": date(2025, 1, 1)}])
    table = built.data / "lake" / "marketing_conversions"
    away = table.rename(built.data / "away")
    done = built.dbt("run")
    away.rename(table)
    assert done.returncode != 0
    assert "This run did not read marketing_conversions, which the current" in done.stdout
    assert (built.data / "publications" / "current.json").read_bytes() == pointer


def test_repeats_that_another_writer_left_are_summed(
    built_once: Project, tmp_path: Path, project_in: Callable[..., Project]
) -> None:
    project = project_in(tmp_path / "data")
    rows = DeltaTable(built_once.data / "lake" / "marketing_conversions").to_pyarrow_table()
    for _ in range(2):
        write_deltalake(project.data / "lake" / "marketing_conversions", rows, mode="append")
    build = project.dbt("build")
    assert build.returncode == 0, build.stdout
    twice = {key: 2 * conversions for key, conversions in sums(FILE).items()}
    assert_equal(read(project, MEASURED), twice)


def test_rows_that_cannot_be_counted_are_left_out_and_the_rest_is_published(
    project: Project, write_leads: Callable[..., None]
) -> None:
    write_leads(project.leads, [{"id": "a", "date_relance": date(2025, 1, 1)}])
    day = date(2025, 1, 6)
    rows = [
        ("a", "tv", day, 2259.87),
        ("b", "tv", day, 1087.93),
        ("c", "tv", day, 1e12),
        ("d", "tv", day, None),
        ("e", "tv", day, math.nan),
        ("e", "tv", day, math.inf),
        ("f", "tv", day, 1e20),
        ("g", "tv", day, 1e25),
        ("h", None, day, 1.0),
        (None, "tv", day, 1.0),
        ("i", "tv", None, 1.0),
    ]
    names = ("product", "channel", "date", "conversions")
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
    far = pa.array([6_700_000, -1_000_000], pa.int32()).cast(pa.date32())
    late = pa.table({"product": ["j", "k"], "channel": ["tv"] * 2, "date": far})
    late = late.append_column("conversions", pa.array([1.0, 1.0]))
    whole = pa.concat_tables([table, late])
    for name in ("campaign", "campaign_type"):
        whole = whole.append_column(name, pa.array(["branding"] * len(whole)))
    write_deltalake(
        project.data / "lake" / "marketing_conversions",
        whole,
        configuration={"delta.dataSkippingNumIndexedCols": "0"},  # days that Python cannot read
    )
    build = project.dbt("build")
    assert build.returncode == 0, build.stdout
    assert (
        "Of the rows of the lake that stg_marketing_conversions reads, the marts leave out: "
        "3 because a part of the key is null, 2 because the conversions are NaN or infinite, "
        "2 because the conversions are beyond 1e12, "
        "2 because the date is not in the years 1 to 9999." in " ".join(build.stdout.split())
    )
    assert read(project, "select product, conversions from marketing_conversions order by 1") == [
        ("a", 2259.87),
        ("b", 1087.93),
        ("c", 1e12),
        ("d", 0.0),
    ]
    assert read(project, "select sales from channel_sales_weekly") == [(1e12 + 3347.8,)]
    assert read(project, "select sum(date_relance) from lead_event_counts_daily") == [(1,)]
    assert manifest(project)["build"]["tests"] == "warned"


def test_rows_that_are_all_faulty_replace_no_good_mart(built: Project) -> None:
    pointer = (built.data / "publications" / "current.json").read_bytes()
    table = DeltaTable(built.data / "lake" / "marketing_conversions")
    table.update(updates={"conversions": "cast('NaN' as double)"})
    build = built.dbt("build")
    assert build.returncode == 1
    assert (
        "There are marketing conversions, but not one row of them can be counted: the conversions "
        "are NaN or infinite. Have their writer mend them." in " ".join(build.stdout.split())
    )
    assert (built.data / "publications" / "current.json").read_bytes() == pointer


@given(
    numbers=st.lists(
        st.one_of(
            st.decimals(-5000, 5000, places=2).map(float),
            st.decimals(0, 10**6, places=6).map(float),
            st.integers(-(10**12), 10**12).map(float),
            st.floats(1e-3, 1e9).map(lambda number: round(number, 12)),
        ),
        min_size=1,
        max_size=50,
    )
)
@settings(max_examples=300, deadline=None)
def test_sums_are_those_of_the_numbers_as_they_are_written(numbers: list[float]) -> None:
    """The double nearest to the exact sum of the shortest texts, in any order of rows."""
    exact = sum(Fraction(repr(number)) for number in numbers)
    for ordered in (numbers, sorted(numbers)):
        query = f"select {EXACT_SUM} from (select unnest(?::double[]) as conversions)"
        assert duckdb.execute(query, [ordered]).fetchall() == [(float(exact),)]

"""Which version a number or a moment means, on tables whose commits tell when they were made."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import places
from lake.commits import kept
from lake.errors import TableMissing
from lake.pinned import pin
from lake.versions import resolve

START = datetime(2024, 3, 1, tzinfo=UTC)
VERSIONS = 5


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A table of five versions, whose times are those of today."""
    folder = tmp_path_factory.mktemp("versions") / "leads"
    write(folder, VERSIONS)
    return folder


def write(folder, versions):
    for number in range(versions):
        write_deltalake(folder, pa.table({"id": [str(number)]}), mode="append")


def entry(folder, version):
    return folder / "_delta_log" / f"{version:020}.json"


def stamp(folder, version, moment, field="timestamp"):
    """Have a commit say that it was made at a moment, or nothing if that is None."""
    actions = [json.loads(line) for line in entry(folder, version).read_text().splitlines()]
    for action in actions:
        if info := action.get("commitInfo"):
            info.pop("timestamp", None)
            if moment:
                info[field] = round(moment.timestamp() * 1000)
    entry(folder, version).write_text("\n".join(map(json.dumps, actions)))


def meant(folder, asked):
    return resolve(places.at(str(folder)), DeltaTable(folder), "leads", asked)


def scan(times, moment):
    """The oracle: walk from the oldest commit up to the first one after the moment."""
    version = None
    for number, time in enumerate(times):
        if time > moment:
            break
        version = number
    return version


minutes = st.integers(0, 40)


@settings(max_examples=60, deadline=None)
@given(times=st.lists(minutes, min_size=VERSIONS, max_size=VERSIONS), asked=minutes, data=st.data())
def test_a_moment_means_the_version_before_the_first_commit_after_it(made, times, asked, data):
    """Also where clocks of writers disagree, and whatever the age of the log's files."""
    times = [START + timedelta(minutes=minute) for minute in times]
    if data.draw(st.booleans(), label="in order"):
        times.sort()
    for number, time in enumerate(times):
        stamp(made, number, time)
        os.utime(entry(made, number), (data.draw(minutes), data.draw(minutes)))
    moment = START + timedelta(minutes=asked)
    expected = scan(times, moment)
    if expected is None:
        with pytest.raises(TableMissing, match=r"is before the first commit .* name a later"):
            meant(made, moment.isoformat())
        return
    assert meant(made, moment.isoformat()) == expected
    if expected < VERSIONS - 2:  # what comes later changes nothing, even by a clock that is behind
        stamp(made, VERSIONS - 1, START)
        assert meant(made, moment.isoformat()) == expected


def daily(folder, versions=3, first=START):
    """Write a table with a commit a day, each at noon UTC."""
    write(folder, versions)
    for number in range(versions):
        stamp(folder, number, first + timedelta(days=number, hours=12))


@pytest.mark.parametrize(
    ("asked", "version"),
    [
        ("0", 0),
        ("2", 2),
        ("latest", 2),
        ("2024-03-01T12:00:00Z", 0),  # the very moment of the commit
        ("2024-03-02T11:59:59.999Z", 0),
        ("2024-03-02", 0),  # its first moment
        ("2024-03-03", 1),
        ("2024-03-02T13:00", 1),  # in Paris, where that is 12:00 UTC
        ("2024-03-02T12:59:59", 0),
        ("2024-03-02 12:00:00+00:00", 1),  # as dbt shows a moment that YAML read
        ("2024-03-02T07:00:00-05:00", 1),
        ("20240302T120000Z", 1),
    ],
)
def test_numbers_dates_and_moments(lake, asked, version):
    daily(lake.folder("leads"))
    assert meant(lake.folder("leads"), asked) == version
    pinned = pin("leads", str(lake.folder("leads")), asked)
    assert pinned.version == version
    assert pinned.committed_at == START + timedelta(days=version, hours=12)


def test_a_moment_without_a_zone_is_one_of_the_configured_zone(lake, monkeypatch):
    daily(lake.folder("leads"))
    for zone, version in [("Asia/Tokyo", 0), ("UTC", 1), ("America/New_York", 1)]:
        monkeypatch.setenv("LEADMARTS_TIMEZONE", zone)
        assert meant(lake.folder("leads"), "2024-03-02T12:00:00") == version
        assert meant(lake.folder("leads"), "2024-03-02T12:00:00Z") == 1


def test_an_hour_that_the_clocks_repeat_is_the_first(lake):
    write(lake.folder("leads"), 2)
    stamp(lake.folder("leads"), 0, datetime(2024, 10, 26, tzinfo=UTC))
    stamp(lake.folder("leads"), 1, datetime(2024, 10, 27, 1, tzinfo=UTC))  # 02:00 the second time
    assert meant(lake.folder("leads"), "2024-10-27T02:30") == 0
    assert meant(lake.folder("leads"), "2024-10-27T03:00") == 1


@pytest.mark.parametrize("asked", ["0001-01-01", "2024-02-29", "2024-03-01T11:59:59.999Z"])
def test_before_the_first_commit_is_a_sentence(lake, asked):
    daily(lake.folder("leads"))
    with pytest.raises(TableMissing, match="is before the first commit") as raised:
        meant(lake.folder("leads"), asked)
    assert "which was at 2024-03-01 12:00:00.000000 UTC: name a later moment." in str(raised.value)


def test_the_future_is_a_sentence_but_now_is_not(lake):
    daily(lake.folder("leads"))
    now = datetime.now(UTC)
    assert meant(lake.folder("leads"), now.isoformat()) == 2
    for asked in ((now + timedelta(minutes=1)).isoformat(), "9999-12-31"):
        with pytest.raises(TableMissing, match="is yet to come"):
            meant(lake.folder("leads"), asked)
    # A commit of a writer whose clock is ahead can be named by its own time all the same.
    ahead = now.replace(microsecond=0) + timedelta(minutes=10)
    stamp(lake.folder("leads"), 2, ahead)
    assert meant(lake.folder("leads"), now.isoformat()) == 1
    assert meant(lake.folder("leads"), ahead.isoformat()) == 2


def test_every_commit_can_be_named_by_the_time_that_its_build_tells(lake):
    for number in range(3):
        lake.load(f"{number}.csv", f"id\n{number}\n")
    uri = str(lake.folder("leads"))
    for number in range(3):
        told = pin("leads", uri, str(number)).committed_at
        assert pin("leads", uri, f"{told:%Y-%m-%dT%H:%M:%S.%fZ}").version == number


@pytest.mark.parametrize("age", [0, 1_000_000, None])
def test_a_copied_lake_means_the_same(lake, age):
    """delta-rs' own `load_as_version(datetime)` goes by the files' ages, and reads another one."""
    daily(lake.folder("leads"))
    copy = lake.folder("copy")
    shutil.copytree(lake.folder("leads"), copy, copy_function=shutil.copyfile)
    for path in copy.rglob("*.json"):
        if age is not None:
            os.utime(path, (age, age))
    for day, version in [(date(2024, 3, 2), 0), (date(2024, 3, 3), 1), (date(2024, 3, 4), 2)]:
        assert meant(copy, day.isoformat()) == version


def test_a_commit_that_says_nothing_of_itself(lake):
    """`commitInfo` is optional in Delta's protocol; the other entries keep their numbers."""
    folder = lake.folder("leads")
    daily(folder, 4)
    lines = [line for line in entry(folder, 1).read_text().splitlines() if "commitInfo" not in line]
    written = START + timedelta(days=1)
    action = json.loads(lines[0])
    action["add"]["modificationTime"] = round(written.timestamp() * 1000)
    entry(folder, 1).write_text(json.dumps(action))
    told = [(c.version, c.committed_at) for c in kept(places.at(str(folder)), DeltaTable(folder))]
    noon = START + timedelta(hours=12)
    assert told == [
        (0, noon),
        (1, written),
        (2, noon + timedelta(days=2)),
        (3, noon + timedelta(days=3)),
    ]
    assert meant(folder, "2024-03-03") == 1
    assert pin("leads", str(folder), "1").committed_at == written


def test_an_in_commit_timestamp_wins(lake):
    folder = lake.folder("leads")
    daily(folder)
    stamp(folder, 2, START + timedelta(days=9), "inCommitTimestamp")
    assert meant(folder, "2024-03-09") == 1
    assert meant(folder, "2024-03-11") == 2


def test_a_log_that_was_cleaned_up_says_from_when_it_is(lake):
    folder = lake.folder("leads")
    daily(folder)
    DeltaTable(folder).create_checkpoint()
    for version in (0, 1):
        entry(folder, version).unlink()
    assert meant(folder, "2024-03-04") == 2
    with pytest.raises(TableMissing, match=r"log still has, which was at 2024-03-03 12:00"):
        meant(folder, "2024-03-03")


@pytest.mark.parametrize("asked", ["yesterday", "2024-13-01", "2024-02-30", "-1", "1.5", "", "²"])
def test_what_is_neither_is_a_sentence(lake, asked):
    daily(lake.folder("leads"), 1)
    with pytest.raises(
        TableMissing, match=r"is no version .* such as .*Z, a whole number from 0 to"
    ):
        meant(lake.folder("leads"), asked)

"""Where tables can lie, and where they cannot."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest

from lake import demo
from lake.demo.period import Period
from lake.errors import PlaceInvalid

PERIOD = Period(date(2024, 3, 1), 9, 1)


def test_any_path_can_be_the_lake_s(lake, monkeypatch):
    there = dataclasses.replace(lake, data=lake.data / "a b é#c?d&e")
    monkeypatch.setenv("LEADMARTS_DATA", str(there.data))
    demo.write(30, PERIOD, force=False)
    demo.write(30, PERIOD, force=True)
    for counts in ((1, 0, 0, 1), (0, 0, 1, 1)):
        assert there.counts("1.csv", "id,date_relance\na,2024-01-01\nb,no\n") == counts
    assert there.counts("2.csv", "id,date_relance\na,2024-01-02\n") == (0, 1, 0, 0)
    assert len(there.rows()) == 31
    assert there.versions() == {"leads": 3, "leads_rejects": 0, "marketing_conversions": 1}
    assert list(lake.data.iterdir()) == [there.data]


@pytest.mark.parametrize("place", ["a%20b", "100%", "file://{}/a%2520b"])
def test_a_percent_sign_in_a_path_is_a_sentence(lake, monkeypatch, place):
    """delta-rs would decode it, and write and read in two different folders."""
    data = str(lake.data)
    place = place.format(data) if "://" in place else f"{data}/{place}"
    monkeypatch.setenv("LEADMARTS_LEADS_URI", place)
    with pytest.raises(PlaceInvalid, match="has a percent sign in it"):
        lake.load("1.csv", "id\na\n")
    with pytest.raises(PlaceInvalid, match="has a percent sign in it"):
        demo.write(30, PERIOD, force=False)
    assert not list(lake.data.rglob("_delta_log"))

"""Settings come from the profile, then the environment, then are ours; bad ones are a sentence."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from publication import SettingInvalid, Store
from publication.settings import Settings

VARIABLES = (
    "LEADMARTS_DATA",
    "LEADMARTS_PUBLICATIONS",
    "LEADMARTS_KEEP_PUBLICATIONS",
    "LEADMARTS_KEEP_HOURS",
)


@pytest.fixture(autouse=True)
def _empty(monkeypatch):
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def test_without_any():
    store = Store.from_environment()
    assert store == Store(
        Path("data/publications"), Path("data/marts.duckdb"), 5, timedelta(hours=1)
    )
    assert Settings.read({}).wait_seconds == 10


def test_the_environment(monkeypatch):
    monkeypatch.setenv("LEADMARTS_DATA", "/srv/leads")
    monkeypatch.setenv("LEADMARTS_KEEP_PUBLICATIONS", "3")
    monkeypatch.setenv("LEADMARTS_KEEP_HOURS", "0.5")
    assert Store.from_environment() == Store(
        Path("/srv/leads/publications"), Path("/srv/leads/marts.duckdb"), 3, timedelta(minutes=30)
    )
    monkeypatch.setenv("LEADMARTS_PUBLICATIONS", "/srv/published")
    assert Store.from_environment().folder == Path("/srv/published")
    assert Store.from_environment().link == Path("/srv/leads/marts.duckdb")


def test_the_profile_comes_first_and_empty_is_not_set(monkeypatch):
    monkeypatch.setenv("LEADMARTS_PUBLICATIONS", "/srv/published")
    monkeypatch.setenv("LEADMARTS_KEEP_HOURS", "")
    settings = Settings.read(
        {"folder": "here", "link": "there", "keep": 2, "keep_for_hours": "", "wait_seconds": 0}
    )
    assert settings == Settings(Path("here"), Path("there"), 2, timedelta(hours=1), 0)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", "²", "1" * 10])
def test_a_bad_number_of_publications(monkeypatch, value):
    monkeypatch.setenv("LEADMARTS_KEEP_PUBLICATIONS", value)
    with pytest.raises(SettingInvalid, match=f'LEADMARTS_KEEP_PUBLICATIONS .*"{value}"'):
        Store.from_environment()


@pytest.mark.parametrize("variable", ["LEADMARTS_KEEP_PUBLICATIONS", "LEADMARTS_KEEP_HOURS"])
def test_a_number_that_never_ends(monkeypatch, variable):
    monkeypatch.setenv(variable, "1" * 5000)
    with pytest.raises(SettingInvalid, match=f'^{variable} .* is "{"1" * 40}…"; set it to a .*$'):
        Store.from_environment()


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e300", "long"])
def test_bad_hours(monkeypatch, value):
    monkeypatch.setenv("LEADMARTS_KEEP_HOURS", value)
    with pytest.raises(SettingInvalid, match=f'LEADMARTS_KEEP_HOURS .*"{value}"'):
        Store.from_environment()

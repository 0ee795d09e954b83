"""``python -m lake ingest notion``: one line when it is done, one sentence when it is not."""

from __future__ import annotations

import socket

import pytest
from deltalake import DeltaTable

from lake import progress
from lake.errors import SettingInvalid, SourceUnreachable
from tests.lake.notion.workspace import DATABASE, LEADS, PROPERTIES, TOKEN, error

OTHER = "66666666-2222-4333-8444-555555555555"


def test_the_one_line(notion):
    there = notion.workspace
    there.properties["Entreprise"] = "relation"
    pages = [there.create({"Score": n}) for n in range(9)]
    there.create({"Date de relance": {"start": "2026-02-30"}})
    done = notion.run()
    assert done.returncode == 0
    assert done.stderr == (
        "Warning: The property 'Entreprise' of Leads is left out: nothing is made of the type "
        "relation.\n"
    )
    rejects = notion.lake.folder("leads_rejects")
    assert done.stdout == (
        "notion: 9 inserted, 0 updated, 0 unchanged, 1 rejected; 0 deleted; new columns: "
        f"notion_data_source_id, notion_last_edited_time, score; see {rejects}\n"
    )
    there.tick(86_400)
    pages[0].trashed = True
    there.edit(pages[1], Score=5, Canal={"name": "Web"})
    there.create()
    done = notion.command()
    assert (done.exit_code, done.stderr.count("Error")) == (0, 0)
    assert done.stdout == (
        "notion: 1 inserted, 1 updated, 7 unchanged, 1 rejected; 1 deleted; new columns: canal; "
        f"see {rejects}\n"
        "New columns have values where pages were edited; --full brings the others.\n"
    )
    assert DeltaTable(notion.lake.folder("leads")).version() == 1


def test_more_than_a_tenth_of_all_pages_that_cannot_be_taken(notion):
    """Each time anew, though the other pages are not read again; the others are loaded."""
    for _ in range(8):
        notion.workspace.create()
    page = notion.workspace.create({"Date de relance": {"start": "2026-02-30"}})
    for counts in ("8 inserted, 0 updated, 0 unchanged", "0 inserted"):
        done = notion.command()
        assert done.exit_code == 1
        assert done.stdout.startswith(f"notion: {counts}")
        assert done.stderr == (
            "Error: More than a tenth of the 9 pages could not be taken (1), and the others are "
            "loaded: see why with `python -m lake rejects leads`, put them right in Notion and do "
            "this again.\n"
        )
        notion.workspace.tick(86_400)
    notion.workspace.edit(page, **{"Date de relance": None})
    assert notion.command().exit_code == 0


def test_how_far_it_has_come(notion, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(progress, "LINE_EVERY", 0)
    for _ in range(2):
        notion.workspace.create()
    assert notion.command().stderr.splitlines() == [
        "notion: pages read, 1",
        "notion: pages read, 2",
        "notion: pages listed, 1",
        "notion: pages listed, 2",
        "notion: Leads: reading, 100%",
    ]


def refused(notion, *arguments: str, **environment: str) -> str:
    """Run the command, and return the one sentence that it ends on."""
    done = notion.command(*arguments, **environment)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert TOKEN not in done.stderr
    assert not notion.lake.folder("leads").exists()
    return done.stderr.removeprefix("Error: ").strip()


def test_settings_that_are_missing_or_wrong(notion):
    assert refused(notion, NOTION_TOKEN="").startswith("NOTION_TOKEN is not set: make an internal")
    assert "characters that no token has" in refused(notion, NOTION_TOKEN=f"{TOKEN}\n{TOKEN}")
    assert "NOTION_DATABASE_ID is not set: open" in refused(notion, NOTION_DATABASE_ID=" ")
    assert "'leads', which has no database's id" in refused(notion, NOTION_DATABASE_ID="leads")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.notion.com",
        "http://127.0.0.1.example.org",
        "http://localhost@example.org",
        "ftp://127.0.0.1",
        "127.0.0.1:80",
        "https://",
        "https://user:secret@127.0.0.1",
        "https://127.0.0.1/?a=b",
        "http://[::1",
    ],
)
def test_a_token_goes_to_https_or_this_machine(notion, monkeypatch, url):
    monkeypatch.setenv("NOTION_BASE_URL", url)
    with pytest.raises(SettingInvalid, match="NOTION_BASE_URL m"):
        notion.ingest()
    assert not notion.workspace.requests


def test_a_link_is_an_id_too(notion):
    plain = DATABASE.replace("-", "")
    link = f"https://www.notion.so/acme/Leads-{plain}?v=148104cd477e80bb928f000ce197ddf2"
    for given in (link, plain, f" {DATABASE.upper()} \n"):
        done = notion.command(NOTION_DATABASE_ID=given)
        assert (done.exit_code, done.stderr) == (0, "")


def test_a_secret_is_not_in_what_a_process_says(notion):
    wrong = "ntn_anotherSecretThatIsNotKnown"
    done = notion.run(NOTION_TOKEN=wrong)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: Notion does not know the token in NOTION_TOKEN: copy the integration's secret "
        "anew.\n"
    )


def test_what_notion_refuses(notion):
    there = notion.workspace
    there.may_read = False
    assert refused(notion).startswith(
        "Notion does not let the integration read this database: give"
    )
    there.may_read, there.shared = True, False
    assert refused(notion) == (
        f"Notion shows no database {DATABASE} to this integration: see whether NOTION_DATABASE_ID "
        "is right, and share the database with the integration."
    )
    there.shared, there.trashed = True, True
    assert refused(notion) == f"The database {DATABASE} is in Notion's trash: restore it first."
    there.trashed = False
    there.faults = [error(400, "validation_error", f"Odd, with {TOKEN} in it.")]
    assert refused(notion) == "Notion refuses what it was asked for (400: Odd, with … in it)."


def test_data_sources(notion):
    there = notion.workspace
    there.sources = [(LEADS, "Prospects"), (OTHER, "Clients")]
    assert refused(notion) == (
        "The database has no data source called Leads: there is Clients, Prospects; choose one "
        "with --data-source."
    )
    there.sources = [(LEADS, "Leads"), (OTHER, "Leads")]
    assert refused(notion) == (
        "The database has 2 data sources called Leads: choose one by its id with --data-source "
        f"({LEADS}, {OTHER})."
    )
    there.create()
    assert notion.command("--data-source", LEADS.replace("-", "")).exit_code == 0
    there.sources = [(LEADS, "Ça")]
    assert notion.command("--data-source", "C\u0327a ").exit_code == 0


def test_a_network_that_is_not_there(notion, monkeypatch):
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody_listens.getsockname()[1]}"
        monkeypatch.setenv("NOTION_BASE_URL", url)
        with pytest.raises(SourceUnreachable) as raised:
            notion.ingest()
    assert str(raised.value) == (
        f"Notion cannot be reached at {url} ([Errno 111] Connection refused; attempts: 5): nothing "
        "has been written, try again later."
    )


def test_a_missing_event_date(notion):
    del notion.workspace.properties["Date d'appel proposé"]
    assert refused(notion) == (
        'The data source Leads has no property "Date d\'appel proposé": see whether it was '
        "renamed, or leave its dates as they are with --allow-missing."
    )
    assert len(PROPERTIES) == len(notion.workspace.properties) + 1
    done = notion.command("--allow-missing")
    assert done.exit_code == 0
    assert "Warning: The data source Leads has no property" in done.stderr

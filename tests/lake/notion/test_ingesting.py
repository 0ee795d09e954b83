"""Every page becomes a lead, edits update it, and pages that are gone make it deleted."""

from __future__ import annotations

from datetime import UTC, date, datetime

from tests.lake.notion.workspace import LEADS, text

MARKS = {"notion_data_source_id": LEADS, "deleted": False}


def test_a_page_becomes_a_lead(notion):
    page = notion.workspace.create(
        {
            "Nom": text("Rendez-vous avec ", "@Ada", " le 3"),
            "Date de prise de contact": {"start": "2026-03-01"},
            "Date de réponse du prospect": {"start": "2026-03-01T23:30:00.000+00:00"},
            "Date d'appel proposé": {"start": "2026-03-03", "end": "2026-03-05"},
            "Date d'appel booké": {
                "start": "2026-03-01T23:30:00.000",
                "time_zone": "America/New_York",
            },
            "Statut": {"name": "Gagné", "color": "green"},
            "Score": 7,
        }
    )
    assert notion.counts() == (1, 0, 0, 0, 0)
    assert notion.lake.by_id() == {
        page.id: MARKS
        | {
            "nom": "Rendez-vous avec @Ada le 3",
            "date_prise_contact": date(2026, 3, 1),
            "date_reponse_prospect": date(2026, 3, 2),
            "date_appel_propose": date(2026, 3, 3),
            "date_appel_booke": date(2026, 3, 2),
            "statut": "Gagné",
            "score": 7.0,
            "notion_last_edited_time": datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
        }
    }


def test_create_edit_trash_restore(notion):
    there = notion.workspace
    ada, bob = there.create({"Score": 1}), there.create({"Score": 2})
    assert notion.counts() == (2, 0, 0, 0, 0)
    assert notion.counts()[:2] == (0, 0)
    there.tick(3600)
    there.edit(ada, Score=10)
    eve = there.create({"Score": 3})
    bob.trashed = True
    assert notion.counts() == (1, 1, 0, 0, 1)
    leads = notion.lake.by_id()
    assert {key: (lead["score"], lead["deleted"]) for key, lead in leads.items()} == {
        ada.id: (10, False),
        bob.id: (2, True),
        eve.id: (3, False),
    }
    before = notion.lake.versions()
    assert notion.counts() == (0, 0, 2, 0, 0)
    assert notion.lake.versions() == before
    bob.trashed = False
    assert notion.counts() == (0, 1, 2, 0, 0)
    assert notion.lake.by_id()[bob.id]["deleted"] is False


def test_half_an_emoji_is_mended_and_the_other_pages_are_loaded(notion):
    """Notion cuts some texts in the middle of one."""
    cut = notion.workspace.create({"Nom": text("Ada \ud83d"), "Score": 1})
    whole = notion.workspace.create({"Nom": text("Bob \U0001f600"), "Score": 2})
    assert notion.counts() == (2, 0, 0, 0, 0)
    names = {key: lead["nom"] for key, lead in notion.lake.by_id().items()}
    assert names == {cut.id: "Ada \N{REPLACEMENT CHARACTER}", whole.id: "Bob \U0001f600"}
    assert notion.counts() == (0, 0, 2, 0, 0)


def test_a_page_of_a_date_only_can_be_trashed(notion):
    """The table has no attribute then, and no lead of Notion's that is not deleted."""
    page = notion.workspace.create({"Date de relance": {"start": "2026-03-01"}})
    assert notion.counts() == (1, 0, 0, 0, 0)
    page.trashed = True
    assert notion.counts() == (0, 0, 0, 0, 1)
    for _ in range(2):
        assert notion.counts() == (0, 0, 0, 0, 0)

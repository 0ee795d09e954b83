"""What becomes of each property: by its name a column, by its type a cell."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, date, datetime

import pytest

from lake.errors import SourceRefused
from lake.notion.data_source import DataSource, Property
from lake.notion.names import EVENTS, column_name, columns_of
from tests.lake.notion.oracle import IMPOSSIBLE
from tests.lake.notion.workspace import PROPERTIES, text


def source(**changed: str | None) -> DataSource:
    """A data source with some properties more, or (of the type None) less."""
    kinds = {name: kind for name, kind in (PROPERTIES | changed).items() if kind}
    return DataSource("d", "Leads", {name: Property(name, kind) for name, kind in kinds.items()})


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("Téléphone (pro)", "telephone_pro"),
        ("  Prénom\u00a0du  prospect ", "prenom_du_prospect"),
        ("N° de SIRET", "n_de_siret"),
        ("L\N{RIGHT SINGLE QUOTATION MARK}Œuvre", "l_oeuvre"),
        ("CA (k€) / an", "ca_k_an"),
        ("Straße", "strasse"),
        ("名前", "名前"),
        ("e-mail", "e_mail"),
        ("🔥", ""),
    ],
)
def test_names_in_snake_case(name, column):
    assert column_name(name) == column


APOSTROPHES = ["'", "`", "\u2019", "\u2018", "\u02bc", "\u00b4", "\u2032"]
"""Straight and typographic, and what else people type for one."""


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("apostrophe", APOSTROPHES)
@pytest.mark.parametrize("change", [str, str.upper, str.title, "  {}\u00a0".format])
def test_event_dates_however_they_are_written(form, apostrophe, change):
    for name, column in EVENTS.items():
        written = unicodedata.normalize(form, change(name.replace("'", apostrophe)))
        changed = {name: None, written: "date"}
        assert columns_of(source(**changed), allow_missing=False).by_id[written] == column


def test_a_property_may_be_called_like_the_column():
    changed = {"Date de relance": None, "date_relance": "formula"}
    assert columns_of(source(**changed), allow_missing=False).by_id["date_relance"] == (
        "date_relance"
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"Date de relance": None, "Relance": "date"},
            (
                "The data source Leads has no property 'Date de relance': see whether it was "
                "renamed, or leave its dates as they are with --allow-missing."
            ),
        ),
        (
            {"Date de relance": "rich_text"},
            (
                "The property 'Date de relance' of Leads is of the type rich_text, which is no "
                "date: make it one, or leave date_relance as it is with --allow-missing."
            ),
        ),
        (
            {"DATE DE RELANCE": "date"},
            (
                "Both 'DATE DE RELANCE' and 'Date de relance' of Leads are date_relance: rename "
                "the one that is not."
            ),
        ),
    ],
)
def test_event_dates_must_be_there_once(changed, said):
    with pytest.raises(SourceRefused) as raised:
        columns_of(source(**changed), allow_missing=False)
    assert str(raised.value) == said


def test_event_dates_that_may_be_missing():
    changed = {"Date de relance": None, "Date d'appel booké": "rollup"}
    columns = columns_of(source(**changed), allow_missing=True)
    assert not {"date_relance", "date_appel_booke"} & set(columns.by_id.values())
    assert columns.warnings == [
        (
            'The property "Date d\'appel booké" of Leads is left out: nothing is made of the type '
            "rollup."
        ),
        (
            "The data source Leads has no property \"Date d'appel booké\", 'Date de relance': left "
            "as it is."
        ),
    ]


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("Entreprise", "relation", "nothing is made of the type relation"),
        ("Neuf", "something_new", "nothing is made of the type something_new"),
        ("ID", "unique_id", "the column id is there for something else"),
        ("Deleted", "checkbox", "the column deleted is there for something else"),
        ("🔥", "number", "its name makes no name of a column"),
        ("statut", "select", "'Statut' is the column statut already"),
    ],
)
def test_a_property_that_is_left_out_is_named_once(name, kind, why):
    columns = columns_of(source(**{name: kind}), allow_missing=False)
    assert columns.warnings == [f"The property {name!r} of Leads is left out: {why}."]


CELLS = [
    ("Note", "rich_text", text("un ", "@Ada", " deux", "x²"), "un @Ada deuxx²"),
    ("Note", "rich_text", [], None),
    ("Tags", "multi_select", [{"name": "a"}, {"name": "b c"}], "a, b c"),
    ("Tags", "multi_select", [], None),
    ("Qui", "people", [{"id": "1", "name": "Ada", "object": "user"}, {"id": "2"}], "Ada, 2"),
    ("Qui", "people", [], None),
    ("Mail", "email", "a@b.c", "a@b.c"),
    ("Mail", "email", None, None),
    ("Tel", "phone_number", "+33 1", "+33 1"),
    ("Site", "url", "https://x.org", "https://x.org"),
    ("Site", "url", "", None),
    ("Chaud", "checkbox", True, True),
    ("Chaud", "checkbox", False, False),
    ("Montant", "number", 12, 12.0),
    ("Montant", "number", 0.5, 0.5),
    ("Canal 2", "select", {"id": "x", "name": "Web", "color": "red"}, "Web"),
    ("Canal 2", "select", None, None),
    ("Formule", "formula", {"type": "string", "string": "abc"}, "abc"),
    ("Formule", "formula", {"type": "number", "number": 3}, 3),
    ("Formule", "formula", {"type": "boolean", "boolean": False}, False),
    ("Formule", "formula", {"type": "date", "date": {"start": "2026-01-02"}}, "2026-01-02"),
    ("Formule", "formula", {"type": "date", "date": None}, None),
    ("Formule", "formula", {"type": "something", "something": 1}, None),
    ("Signature", "date", {"start": "2026-01-01T23:30:00.000Z"}, date(2026, 1, 2)),
    ("Créé par", "created_by", {"object": "user", "id": "7"}, "7"),
    ("Numéro", "unique_id", {"prefix": "LEAD", "number": 12}, "LEAD-12"),
    ("Numéro", "unique_id", {"prefix": None, "number": 12}, "12"),
    (
        "Créé le",
        "created_time",
        "2026-01-01T10:00:00.000Z",
        datetime(2026, 1, 1, 10, 0, tzinfo=UTC),
    ),
]


@pytest.fixture(scope="module")
def columns_by_case() -> dict[str, str]:
    return {f"Champ {n}": kind for n, (_, kind, _, _) in enumerate(CELLS)}


def test_every_type_of_property(notion, columns_by_case):
    """One page has one property for each case; a column is made where there is a value."""
    notion.workspace.properties |= columns_by_case
    page = notion.workspace.create({f"Champ {n}": given for n, (*_, given, _) in enumerate(CELLS)})
    assert notion.counts() == (1, 0, 0, 0, 0)
    lead = notion.lake.by_id()[page.id]
    found = {n: lead.get(f"champ_{n}") for n in range(len(CELLS))}
    assert found == {n: cell for n, (*_, cell) in enumerate(CELLS)}


def test_values_that_a_page_does_not_show_whole(notion):
    there = notion.workspace
    there.page_size = 20
    there.properties["Équipe"] = "people"
    people = [{"id": str(n), "name": f"P{n}"} for n in range(63)]
    mentions = [{"type": "mention", "plain_text": f"@{n} "} for n in range(30)]
    pages = [
        there.create({"Équipe": people, "Nom": mentions}),
        there.create({"Équipe": people[:25]}),
        there.create({"Équipe": people[:24], "Nom": mentions[:2]}),
    ]
    assert notion.counts() == (3, 0, 0, 0, 0)
    leads = notion.lake.by_id()
    assert [leads[page.id]["equipe"].count("P") for page in pages] == [63, 25, 24]
    assert leads[pages[0].id]["nom"] == "".join(f"@{n} " for n in range(30))
    there.meanwhile = {4: lambda: there.pages.pop(pages[0].id)}
    assert notion.counts(full=True) == (0, 0, 2, 0, 1)


def test_a_page_that_cannot_be_taken_is_kept_as_a_reject_and_the_others_are_loaded(notion):
    there = notion.workspace
    good = there.create({"Score": 1})
    bad = [there.create({"Date de relance": value, "Score": 2}) for value in IMPOSSIBLE]
    bad.append(there.create({"Score": "many"}))
    bad.append(there.create({"Nom": [{"text": "no plain text"}]}))
    partial = there.create()
    partial.raw = {"object": "page", "id": partial.id}
    shapeless = there.create()
    shapeless.raw = [1, 2]
    nameless = there.create()
    nameless.raw = {"object": "page", "id": "../databases", "properties": {}}
    odd = there.create()
    odd.raw = there.shown(there.create({}, odd.id), []) | {"properties": {"Nom": "text"}}
    there.pages[odd.id] = odd
    count = len(bad) + 4
    assert notion.counts() == (1, 0, 0, count, 0)
    assert notion.lake.by_id().keys() == {good.id}
    rejects = notion.lake.rows("leads_rejects")
    assert {row["file"] for row in rejects} == {"notion: Leads"}
    reasons = {
        str(json.loads(row["row"]).get("id", "?")) if row["row"][0] == "{" else "?": row["reason"]
        for row in rejects
    }
    assert reasons.keys() == {page.id for page in bad} | {partial.id, odd.id, "?", "../databases"}
    assert reasons[bad[0].id] == (
        "date_relance: '2026-02-30' is no date (YYYY-MM-DD, or with a time after T or a space)"
    )
    assert reasons[bad[4].id] == (
        "the property 'Date de relance' is none (Expected `str`, got `int` - at `$.start`)"
    )
    assert reasons[partial.id] == "no properties: the integration may not see the page whole"
    assert reasons["?"] == "no page: it has no id"
    assert reasons[odd.id] == "the property 'Nom' is none"
    before = notion.lake.versions()
    assert notion.counts() == (0, 0, 1, count, 0)
    assert notion.counts(full=True) == (0, 0, 1, count, 0)
    assert notion.lake.versions() == before
    there.edit(bad[0], Date_de_relance={"start": "2026-02-28"})
    assert notion.counts()[:2] == (1, 0)
    assert notion.lake.by_id()[bad[0].id]["date_relance"] == date(2026, 2, 28)


def test_a_property_that_a_page_lacks_keeps_its_value_and_takes_no_others(notion):
    there = notion.workspace
    there.page_size = 1
    ada, bob = (
        there.create({"Date de relance": {"start": f"2026-03-0{n}"}, "Score": n}) for n in (1, 2)
    )
    notion.ingest()
    for page in (ada, bob):
        there.edit(page, Score=9)
    shown = there.shown(ada, [])
    del shown["properties"]["Date de relance"]
    ada.raw = shown
    notion.ingest()
    leads = notion.lake.by_id()
    assert [(leads[p.id]["date_relance"].day, leads[p.id]["score"]) for p in (ada, bob)] == [
        (1, 9),
        (2, 9),
    ]


def test_a_renamed_event_date_changes_nothing(notion):
    there = notion.workspace
    page = there.create({"Date de relance": {"start": "2026-03-01"}})
    notion.ingest()
    before = notion.lake.versions()
    names = {("Relancé le" if n == "Date de relance" else n): k for n, k in PROPERTIES.items()}
    there.properties = names
    there.edit(page, Score=5)
    with pytest.raises(SourceRefused, match="no property 'Date de relance'"):
        notion.ingest()
    assert notion.lake.versions() == before
    done = notion.ingest(allow_missing=True)
    assert "no property 'Date de relance': left as it is" in " ".join(done.warnings)
    lead = notion.lake.by_id()[page.id]
    assert (lead["date_relance"], lead["score"]) == (date(2026, 3, 1), 5)


def test_a_renamed_attribute_is_a_warning(notion):
    there = notion.workspace
    page = there.create({"Statut": {"name": "Nouveau"}, "Score": 1})
    assert notion.ingest().warnings == []
    there.properties = {("État" if n == "Statut" else n): k for n, k in PROPERTIES.items()}
    page.values["État"] = page.values.pop("Statut")
    there.tick(86_400)
    warning = (
        "The column statut has values of pages, but Leads has no property for it any more: they "
        "stay; see whether it was renamed."
    )
    for full in (False, True):
        assert notion.ingest(full=full).warnings == [warning]
    lead = notion.lake.by_id()[page.id]
    assert (lead["statut"], lead["etat"]) == ("Nouveau", "Nouveau")


def test_a_property_renamed_while_pages_are_read(notion):
    """Pages name their properties anew, and their ids stay."""
    there = notion.workspace
    page = there.create({"Date de relance": {"start": "2026-03-01"}})

    def rename():
        there.properties = {
            ("Relancé le" if name == "Date de relance" else name): kind
            for name, kind in PROPERTIES.items()
        }
        page.values["Relancé le"] = page.values.pop("Date de relance")

    there.meanwhile = {2: rename}
    notion.ingest()
    assert notion.lake.by_id()[page.id]["date_relance"] == date(2026, 3, 1)

"""Marts never carry personal data: a guard over every column that dbt would publish."""

from __future__ import annotations

import copy
import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.pipeline.conftest import Project

PERSONAL = {
    "names": "name names nom noms prenom prenoms firstname lastname surname fullname username "
    "pseudo contact person personne",
    "addresses": "address addresses adresse adresses street rue postcode zip zipcode postal "
    "ip latitude longitude",
    "e-mails": "email emails mail mails courriel courriels",
    "telephone numbers": "phone phones telephone telephones tel mobile portable gsm whatsapp fax",
    "profile links": "profile profiles profil profils link links lien liens url urls uri linkedin "
    "instagram twitter website",
    "what leads to a person": "lead leadid prospect user birth birthday naissance iban ssn siret",
}
"""Words of a column's name, English and French, by what they tell."""

EVENTS = {"date_prise_contact", "date_reponse_prospect"}
"""How many leads had the event; what they are called says nothing of anybody."""


def words(column: str) -> set[str]:
    """The words of a column's name in small letters, without accents: `leadEmail`, `Téléphone`."""
    plain = unicodedata.normalize("NFKD", column).encode("ascii", "ignore").decode()
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain)
    return set(re.split(r"[^a-z]+", apart.lower()))


def personal(manifest: dict[str, Any]) -> list[str]:
    """The columns of public models that are named like personal data, each with what it tells."""
    found = []
    public = [node for node in manifest["nodes"].values() if node.get("access") == "public"]
    assert public
    for node in public:
        assert node["contract"]["enforced"], node["name"]  # so that these are all columns
        for column, described in node["columns"].items():
            counts = column in EVENTS and described["data_type"] == "bigint"
            for kind, named in PERSONAL.items():
                if not counts and words(column) & set(named.split()):
                    found.append(f"{node['name']}.{column}: {kind}")
    return found


@pytest.fixture(scope="module")
def manifest(built_once: Project) -> dict[str, Any]:
    return json.loads((built_once.data / "target" / "manifest.json").read_text())


def test_no_mart_has_a_column_of_personal_data(manifest: dict[str, Any]) -> None:
    assert personal(manifest) == []


@pytest.mark.parametrize(
    "column",
    [
        *("email", "prospect_email", "e_mail", "Courriel", "leadEmail", "nom", "prénom"),
        *("full_name", "lead_name", "adresse_postale", "billing_address", "numero_de_telephone"),
        *("Téléphone", "phone2", "lien_du_profil", "linkedin_url", "profile", "lead_id"),
    ],
)
def test_a_column_of_personal_data_is_found(manifest: dict[str, Any], column: str) -> None:
    worse = copy.deepcopy(manifest)
    weekly = next(
        node for node in worse["nodes"].values() if node["name"] == "lead_event_counts_weekly"
    )
    weekly["columns"][column] = {"name": column, "data_type": "varchar"}
    assert [line.partition(":")[0] for line in personal(worse)][:1] == [
        f"lead_event_counts_weekly.{column}"
    ]


def test_a_count_is_no_person_and_a_text_of_that_name_would_be(manifest: dict[str, Any]) -> None:
    worse = copy.deepcopy(manifest)
    (weekly,) = [n for n in worse["nodes"].values() if n["name"] == "lead_event_counts_weekly"]
    weekly["columns"]["date_prise_contact"]["data_type"] = "varchar"
    assert personal(worse) == ["lead_event_counts_weekly.date_prise_contact: names"]

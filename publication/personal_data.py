"""Personal data is not published: no column is named like it, and no text looks like it.

A column that may be published all the same says why, as ``config.meta.personal_data_allowed`` in
its YAML; the manifest repeats it. The words are those of a column's name: ``lead_email`` and
``leadEmail`` have ``lead`` and ``email``.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from publication.errors import DraftRejected
from publication.properties import type_of
from publication.sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publication.connection import MartFile
    from publication.manifest import MartDraft
    from publication.types import Type


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ALWAYS = {
    "a telephone number": _words(
        "phone phones telephone telephones phonenumber telephonenumber tel gsm whatsapp fax"
    ),
    "a place": _words("latitude longitude ipaddress"),
    "a birth": _words("birth birthday birthdate dob naissance"),
    "an official number": _words("iban ssn siret passport passeport"),
}
"""Words of columns of any type, by what they tell of a person."""

IN_TEXTS = {
    "a person's name": _words(
        "prenom prenoms firstname lastname surname fullname username pseudo contact contacts"
    ),
    "an address": _words("address addresses adresse adresses street rue postcode zip zipcode"),
    "an e-mail address": _words("email emails emailaddress mail mails courriel courriels"),
    "a telephone number": _words("mobile portable"),
    "a place": _words("ip"),
    "a profile": _words(
        "profile profiles profil profils linkedin instagram twitter facebook tiktok telegram"
    ),
}
"""Words of columns that hold texts. A number of that name counts something."""

OF_SOMETHING = {
    "the name of somebody": _words("name names nom noms"),
    "a link": _words("url urls uri link links lien liens website"),
}
"""Words of columns that hold texts, too, unless a thing has the name or the link, and no person."""

THINGS = _words(
    "campaign campagne product produit channel canal event evenement type category categorie "
    "brand marque source medium country pays region city ville month mois day jour week semaine"
)
"""What has a name or a link and is no person."""

PERSONS = _words(
    "lead leads prospect prospects user users customer customers client clients person persons "
    "personne personnes people utilisateur contact member membre"
)
IDENTIFIERS = _words("id ids uid uuid guid key ref reference number numero no hash token")
"""``lead_id`` leads to a person; ``leads`` is how many there are."""

TEXTUAL = frozenset({"VARCHAR", "ENUM", "BLOB"})

ALLOW = (
    "leave it out, or say why everyone who may read the mart may see it as "
    "config.meta.personal_data_allowed of the column in its YAML"
)

SAMPLE_ROWS = 10_000
"""Of a larger mart, about so many rows are looked at, from all over it, the same each time."""

_BEFORE = r"(^|[^\p{L}\p{N}.,+-])"
_AFTER = r"($|[^\p{L}\p{N}])"
_BETWEEN = r"[\s\x{00A0}\x{202F}./()-]"
"""What may stand before, behind and between a telephone number's digits."""

_COUNTRIES = "(3[0-469]|4[013-9]|351|352|353|21[236]|262|590|594|596)"
"""Codes of countries. Behind ``00`` any digit would do else, and ``007 2024 12 31`` be a number."""

PATTERNS = {
    "e-mail addresses": (
        r"[\p{L}\p{M}\p{N}._%+-]+@[\p{L}\p{M}\p{N}-]+(\.[\p{L}\p{M}\p{N}-]+)*\.\p{L}{2,}"
    ),
    "telephone numbers": "|".join(
        f"{_BEFORE}({number}){_AFTER}"
        for number in (
            rf"\+[1-9][0-9]{{7,13}}|\+[1-9][0-9]{{0,2}}{_BETWEEN}+[0-9]({_BETWEEN}*[0-9]){{6,12}}",
            rf"00{_BETWEEN}*{_COUNTRIES}({_BETWEEN}*[0-9]){{9,10}}",
            rf"0[67][0-9]{{8}}|0[1-9]({_BETWEEN}[0-9]{{2}}){{4}}",
            r"\([2-9][0-9]{2}\)[ .-]?[0-9]{3}[ .-][0-9]{4}",
        )
    ),
    "links to profiles": (
        r"(^|[^\p{L}\p{N}-])((linkedin\.com/(in|pub)|facebook\.com|instagram\.com|tiktok\.com"
        r"|twitter\.com|threads\.net|github\.com)/@?[[:alnum:]]"
        r"|x\.com/@[[:alnum:]]|(t\.me|wa\.me)/[[:alnum:]+])"
    ),
}
"""What a text holds that looks like personal data, as RE2 reads it."""


def check_names(mart: MartDraft) -> None:
    """Check that no column, nor a field in one, is named like personal data.

    Raises:
        DraftRejected: One is, and its YAML does not say why it may be published.
    """
    for column in mart.columns:
        if column.personal_data_allowed is not None:
            if not column.personal_data_allowed.strip():
                raise DraftRejected(
                    f'Column "{column.name}" of mart "{mart.name}" has an empty '
                    "config.meta.personal_data_allowed in its YAML; write there why everyone who "
                    "may read the mart may see the column."
                )
            continue
        for name, kind in _named(column.name, type_of(mart, column)):
            if what := _personal(name, kind):
                where = "is named" if name == column.name else f'has a field "{name}", named'
                raise DraftRejected(
                    f'Column "{column.name}" of mart "{mart.name}" {where} like {what}, which is '
                    f"personal data; {ALLOW}."
                )


def check_values(file: MartFile, mart: MartDraft) -> None:
    """Check that no text in a mart looks like personal data: in all rows, or in a sample of them.

    What was found is not said: logs are no place for it.

    Raises:
        DraftRejected: One does, and the column's YAML does not say why it may be published.
    """
    columns = [
        column
        for column in mart.columns
        if column.personal_data_allowed is None and _is_textual(type_of(mart, column))
    ]
    if not columns:
        return
    table = file.table(mart.name)
    (rows,) = file.connection.execute(f"select count(*) from {table}").fetchall()[0]  # noqa: S608 quoted
    step = max(rows // SAMPLE_ROWS, 1)
    for column in columns:
        kinds = ", ".join(
            f"count(*) filter (where regexp_matches(held, {literal(pattern)}, 'i'))"
            for pattern in PATTERNS.values()
        )
        counts = file.connection.execute(
            f"select {kinds} from (select distinct cast({identifier(column.name)} as varchar) "  # noqa: S608 quoted
            f"as held from {table} where hash(rowid) % {step} = 0)"
        ).fetchall()[0]
        for what, count in zip(PATTERNS, counts, strict=True):
            if count:
                raise DraftRejected(
                    f'Column "{column.name}" of mart "{mart.name}" holds what looks like {what}, '
                    f"which are personal data; {ALLOW}."
                )


def _named(name: str, kind: Type) -> Iterator[tuple[str, Type]]:
    """A column's name, and those of the fields in it, each with its type."""
    if kind.kind != "STRUCT":
        yield name, kind
    for part, of_it in kind.parts:
        yield from _named(part if kind.kind == "STRUCT" else name, of_it)


def _personal(name: str, kind: Type) -> str | None:
    """What of a person a name tells; none if nothing."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", plain)
    words = frozenset(re.split(r"[^a-z]+", parted.lower())) - {""}
    if {"e", "mail"} <= words:
        words |= {"email"}
    kinds = [*ALWAYS.items()]
    if _is_textual(kind):
        kinds += IN_TEXTS.items()
        if not words & THINGS or words & PERSONS:
            kinds += OF_SOMETHING.items()
        if words <= PERSONS:
            return "a person"
    for what, its in kinds:
        if words & its:
            return what
    return "what leads to a person" if words & PERSONS and words & IDENTIFIERS else None


def _is_textual(kind: Type) -> bool:
    return kind.kind in TEXTUAL or any(_is_textual(part) for _, part in kind.parts)

"""Personal data is refused by the names of columns and by their values; an allowance is noted."""

from __future__ import annotations

import msgspec
import pytest

from publication import Column, DraftRejected
from publication.personal_data import check_names

PERSONAL = [
    *("email", "prospect_email", "e_mail", "Courriel", "leadEmail", "mail", "nom", "prénom"),
    *("name", "full_name", "lead_name", "adresse_postale", "billing_address", "username"),
    *("numero_de_telephone", "Téléphone", "phone2", "tel", "lien_du_profil", "linkedin_url"),
    *("profile", "url", "ip", "birth_date", "lead_id", "customerRef", "prospect", "contact"),
    *("customer_name_by_channel", "brand_customer_name", "channel_user_name", "lead_source_url"),
    *("prospect_city_name", "emailaddress", "phonenumber", "IPAddress", "mobile_campaign"),
]
HARMLESS = [
    *("product", "campaign_type", "campaign", "channel", "semaine", "mois", "week_start"),
    *("campaign_name", "nom_du_produit", "campaign_url", "lead_status", "hotel", "emailing"),
    *("city_name", "source_url", "renomme", "department", "addressed_as", "owner", "event_type"),
]


def with_column(mart, name, type_="text", **more):
    column = Column(name=name, type=type_, nullable=True, description="A column.", **more)
    return msgspec.structs.replace(mart, columns=(*mart.columns, column))


@pytest.mark.parametrize("name", PERSONAL)
def test_a_column_named_like_personal_data(draft, name):
    told = rf'Column "{name}" of mart "weekly" is named like .*; leave it out, or say why'
    with pytest.raises(DraftRejected, match=told):
        check_names(with_column(draft.marts[0], name))
    check_names(with_column(draft.marts[0], name, personal_data_allowed="They agreed."))
    with pytest.raises(DraftRejected, match=r"an empty config\.meta\.personal"):
        check_names(with_column(draft.marts[0], name, personal_data_allowed=" "))


@pytest.mark.parametrize("name", HARMLESS)
def test_a_column_that_is_not(draft, name):
    check_names(with_column(draft.marts[0], name))


@pytest.mark.parametrize(
    ("name", "type_", "is_personal"),
    [
        ("emails", "bigint", False),  # how many
        ("date_prise_contact", "bigint", False),
        ("leads", "bigint", False),
        ("lead_id", "bigint", True),
        ("lead_id", "uuid", True),
        ("phone", "bigint", True),
        ("mobile_campaign", "bigint", False),
        ("ip_campaign", "bigint", False),
        ("birth_date", "date", True),
        ("who", "struct(email text, n int)", True),
        ("who", "struct(sent int, contact int)[]", False),
        ("who", "map(text, struct(nom text))", True),
        ("emails", "text[]", True),
    ],
)
def test_the_type_tells_a_count_from_a_person(draft, name, type_, is_personal):
    mart = with_column(draft.marts[0], name, type_)
    if is_personal:
        with pytest.raises(DraftRejected, match=r"is named like|has a field"):
            check_names(mart)
    else:
        check_names(mart)


HELD = {
    "e-mail addresses": [
        *("ada@example.org", "ask Ada.L+x@mail.example.co.uk, please"),
        *("andré@exemple.fr", "a@société.fr"),
    ],
    "telephone numbers": [
        *("+33 6 12 34 56 78", "+33612345678", "0033 6 12 34 56 78", "06 12 34 56 78"),
        *("0612345678", "call 06.12.34.56.78!", "(212) 555-0123", "+1-212-555-0123"),
        *("0033612345678", "+33 (0)6 12 34 56 78", "06/12/34/56/78", "01 23 45 67 89"),
        *("06\u00a012\u00a034\u00a056\u00a078", "06\u202f12\u202f34\u202f56\u202f78"),
    ],
    "links to profiles": [
        *("https://www.linkedin.com/in/ada", "linkedin.com/in/ada?x=1", "x.com/@ada"),
        *("https://t.me/ada", "https://www.facebook.com/ada.l", "see instagram.com/ada"),
    ],
}
NOTHING = [
    *("facebook", "linkedin", "x.com", "https://example.org/landing?utm=1", "2025-W01"),
    *("2026-01-31 12:00:00", "2026-01-31T12:00:00+02:00", "0000012345", "0123456789012"),
    *("1,234,567.89", "12345678901", "a@b", "@ada", "3.14159265358979", "10 % @ 5.50", "A-0042"),
    *("4f2a0612-3456-7890-abcd-0612345678ab", "192.168.0.1", "00012", "tv"),
    *("SEA 007 2024 12 31", "+2024 01 01 10 00", "group 300-250-1200", "0123456789"),
    *("x.com/home", "+100 000 000", "0012345678901"),
]
SQL = """
    create table weekly as
    select date '2024-12-30' as week_start, '2025-W01' as semaine, 1::bigint as leads,
        {held} as held
"""


def held(text, type_="varchar"):
    value = "'" + text.replace("'", "''") + "'"
    value = {"varchar[]": f"[null, {value}]", "blob": f"{value}::blob"}.get(type_, value)
    return SQL.replace("{held}", value)


@pytest.mark.parametrize("what", HELD)
def test_a_text_that_looks_like_personal_data_is_refused_and_not_repeated(publish, draft, what):
    for text in HELD[what]:
        first = text == HELD[what][0]
        for type_ in ("varchar", "varchar[]", "blob") if first else ("varchar",):
            mart = with_column(draft.marts[0], "held", type_)
            with pytest.raises(DraftRejected) as refusal:
                publish(sql=held(text, type_), marts=(mart,))
            told = str(refusal.value)
            assert told.startswith(f'Column "held" of mart "weekly" holds what looks like {what}, ')
            assert text not in told


def test_texts_that_are_none_are_published(publish, draft):
    texts = ", ".join(f"('{text}')" for text in NOTHING)
    sql = (
        "create table weekly as select date '2024-12-30' + row_number() over ()::int as week_start,"
        f" '2025-W01' as semaine, 1::bigint as leads, held from (values {texts}) t(held) order by 1"
    )
    assert publish(sql=sql, marts=(with_column(draft.marts[0], "held"),)).number == 1


def test_what_was_allowed_is_published_and_the_manifest_says_so(store, publish, draft):
    reason = "Testimonials, which their authors agreed to."
    mart = with_column(draft.marts[0], "held", personal_data_allowed=reason)
    manifest = publish(sql=held("ada@example.org"), marts=(mart,))
    assert [column.personal_data_allowed for column in manifest.marts[0].columns] == [
        *[None] * 3,
        reason,
    ]
    assert store.manifest(1) == manifest
    store.verify(1)


def test_a_large_mart_is_looked_at_all_over(publish, draft):
    """Every fiftieth row is one of somebody; the first 100,000 are not."""
    sql = """
        create table weekly as select date '2000-01-01' + n::int as week_start, 'x' as semaine,
            n as leads, case when n > 100000 and n % 50 = 7 then 'ada@example.org' end as held
        from range(200000) r(n)
    """
    with pytest.raises(DraftRejected, match="holds what looks like e-mail addresses"):
        publish(sql=sql, marts=(with_column(draft.marts[0], "held"),))

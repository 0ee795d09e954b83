"""No character forges a line of the log, and no secret stands in one."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import cleaning
from telemetry.cleaning import clean, hide, on_one_line, without_secrets

SEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode's categories of what is not to be seen, or ends a line."""


@given(st.text())
def test_a_line_stays_one_line_and_shows_all_that_it_has(text):
    cleaned = on_one_line(text)
    assert not {unicodedata.category(one) for one in cleaned} & SEEN
    assert len(cleaned.splitlines()) <= 1
    seen = "".join(one for one in text if unicodedata.category(one)[0] not in {"C", "Z"})
    rest = iter(cleaned)
    assert all(one in rest for one in seen)  # in this order


@pytest.mark.parametrize(
    "given",
    [
        "a\n2026-01-01 ERROR forged",
        "a\r\nb",
        "\x1b[2J\x1b[31mred",
        "\x9b31m",
        "a\u2028b",
        "a\u202eb",
        "a\x00b\x7f",
    ],
)
def test_what_forges_is_written_as_its_escape(given):
    assert on_one_line(given).isprintable()
    assert "\\" in on_one_line(given)


SECRETS = [
    ("Authorization: Bearer {}", "abcdefghijklmnop"),
    ("authorization=Basic%20{}", "bWFya2V0aW5nX29wOnN1cGVyc2VjcmV0"),
    ("{'Authorization': 'Bearer {}'}", "abc.def-ghi_jkl"),
    ("got {} from the client", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"),
    ("Notion refused {}", "ntn_0123456789abcdefghij"),
    ("Notion refused {}", "secret_0123456789abcdefghij"),
    ("?date=1&token={}&limit=2", "short"),
    ("?refresh_token={}", "x1y2z3"),
    ('{"password": "{}"}', "correct-horse-battery"),
    ("https://account.example/c?sv=1&sig={}&se=2", "aB%2Bc%3D"),
    ("DefaultEndpointsProtocol=https;AccountKey={};Suffix=x", "a1b2c3d4=="),
    ("X-Amz-Signature={}", "0123abcd"),
    ("cannot reach https://user:{}@store.example/b", "hunter22"),
    ("postgres://user:p@{}@store.example/b", "sword9"),
    ("aws_secret_access_key={}", "wJalrXUtnFEMI"),
    ("LEADMARTS_SIGNING_KEY={}", "a-key-that-nobody-knows"),
    ("AZURE_STORAGE_SAS_TOKEN='{}'", "se2026"),
    ("?api-key={}", "k1k2k3"),
    ("x-api-key: {}", "k1k2k3k4"),
    ("of-a-client-{}", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"),
    ("key -----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY----- x", "MIIEvQIBADANBg"),
]


@pytest.mark.parametrize(("line", "secret"), SECRETS)
def test_what_looks_like_a_secret_is_hidden(line, secret):
    cleaned = without_secrets(line.replace("{}", secret))
    assert secret not in cleaned
    assert cleaning.HIDDEN in cleaned


@pytest.mark.parametrize(
    "piece",
    [
        "eyJ-",
        "eyJ.",
        "-eyJ.a",
        "a-",
        "api_",
        "password ",
        "key = ",
        "bearer ",
        "://a:",
        "@",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----",
        "-----END ",
        " ",
        "secret_",
    ],
)
def test_no_text_takes_long(piece):
    """Anybody can have 128 KiB of it cleaned, while all others wait."""
    text = piece * (2**17 // len(piece))
    begun = time.process_time()
    without_secrets(f"://a:{text}")
    without_secrets(f"password{text}")
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "sentence",
    [
        "The token does not permit this: it lacks the scope marketing:read.",
        "The Authorization header has no bearer token; write `Bearer ...`.",
        "LEADMARTS_SIGNING_KEY is not set: tokens are signed with a key that ends here.",
        "There is no parameter 'key' here; the known ones are start, end.",
        "/api/v1/marts/lead_event_counts_weekly?select=semaine&limit=3",
    ],
)
def test_sentences_stay_as_they_are(sentence):
    assert clean(sentence) == sentence


def test_what_the_environment_holds_is_hidden(monkeypatch):
    held = {
        "NOTION_TOKEN": "a token of no known shape",
        "LEADMARTS_SIGNING_KEY": "0123456789abcdef0123456789abcdef",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
        "AZURE_STORAGE_ACCOUNT_KEY": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=abcdefgh",
        "DBT_ENV_SECRET_GCS": "a service account",
    }
    for name, value in held.items():
        monkeypatch.setenv(name, value)
    cleaning._known.cache_clear()
    cleaning._remembered.cache_clear()
    try:
        for value in held.values():
            assert value not in clean(f"It failed with {value}!")
            assert value not in clean(value)
    finally:
        cleaning._known.cache_clear()
        cleaning._remembered.cache_clear()


def test_what_was_told_is_hidden():
    assert clean("it is told-to-be-hidden") == "it is told-to-be-hidden"
    hide("told-to-be-hidden")
    assert clean("it is told-to-be-hidden") == "it is ***"

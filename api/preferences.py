"""What a client would prefer (RFC 7240), as far as PostgREST knows it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from api.dialect.question import Refused
from api.quoting import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

COUNTS = {"count=exact", "count=planned", "count=estimated"}
"""Here every count is exact."""

HANDLINGS = {"handling=strict", "handling=lenient"}

WITHOUT_EFFECT = {
    *("return=representation", "return=headers-only", "return=minimal"),
    *("resolution=merge-duplicates", "resolution=ignore-duplicates"),
    *("missing=default", "missing=null", "tx=commit", "tx=rollback", "timezone=UTC"),
}
"""What PostgREST knows too (its Preferences.hs), and what changes nothing where one only reads."""


class Preferences(msgspec.Struct, frozen=True):
    """What is preferred.

    Attributes:
        counted: Whether the rows are to be counted.
        applied: What ``Preference-Applied`` says; empty if there is nothing to say.
    """

    counted: bool
    applied: str


@lru_cache(256)  # most clients say what others say
def read_preferences(header: str) -> Preferences:
    """Read ``Prefer``. Of what is said twice the first counts, and what is unknown is ignored.

    Raises:
        Refused: It needs what is not supported, or something unknown and ``handling=strict``.
    """
    said = [one for part in header.split(",") if (one := part.partition(";")[0].strip())]
    for one in said:
        if one.startswith("timezone=") and one not in WITHOUT_EFFECT:
            raise Refused(
                f"Prefer: {shown(one)} is not supported; moments come in UTC.", "PGRST127"
            )
        if one.startswith("max-affected="):
            raise Refused(f"Prefer: {shown(one)} is for writing; marts are only read.", "PGRST127")
    handling = _first(said, HANDLINGS)
    unknown = [one for one in said if one not in COUNTS | HANDLINGS | WITHOUT_EFFECT]
    if handling == "handling=strict" and unknown:
        raise Refused(
            f"Prefer: handling=strict, and there is no preference {shown(unknown[0])}.",
            "PGRST122",
            f"Invalid preferences: {', '.join(map(shown, unknown))}",
        )
    counted = _first(said, COUNTS) is not None
    applied = ["count=exact"] * counted + [handling] * (handling is not None)
    return Preferences(counted, ", ".join(map(str, applied)))


def _first(said: Iterable[str], known: set[str]) -> str | None:
    return next((one for one in said if one in known), None)

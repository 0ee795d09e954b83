"""Which of the kinds that there are a client accepts most (RFC 9110 §12.5.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

ELEMENT = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')
PARAMETER = re.compile(r'(?:[^";]|"(?:[^"\\]|\\.)*"?)+')
WEIGHT = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)


class Range(msgspec.Struct, frozen=True):
    """One element of ``Accept``.

    Attributes:
        kind: A media type, or ``text/*`` or ``*/*``, in small letters.
        parameters: What else it says, in small letters and without blanks.
        weight: From 0 (not at all) to 1.
    """

    kind: str
    parameters: frozenset[str]
    weight: float

    @property
    def closeness(self) -> int:
        """How closely it says what it means."""
        return 2 - self.kind.count("*")

    def fits(self, kind: str) -> bool:
        """Tell whether it means a media type. One of a vendor has to be named."""
        if self.kind == kind:
            return True
        return "/vnd.pgrst." not in kind and self.kind in {"*/*", f"{kind.partition('/')[0]}/*"}


def read_accept(header: str) -> list[Range]:
    """Read ``Accept``; one that is empty is like none."""
    ranges = []
    for element in ELEMENT.findall(header):
        kind, *rest = (part.strip() for part in PARAMETER.findall(element) or [""])
        weights = [found for part in rest if (found := WEIGHT.fullmatch(part))]
        others = frozenset(part.lower() for part in rest if not part.lower().startswith("q="))
        if kind:
            ranges.append(Range(kind.lower(), others, float(weights[0][1]) if weights else 1.0))
    return ranges or [Range("*/*", frozenset(), 1.0)]


def choose(ranges: list[Range], provided: Iterable[str]) -> str | None:
    """Choose a media type.

    The element that means a type most closely says how much it is wanted. Among those wanted
    equally the most closely named is chosen, then the first that the client names.

    Args:
        ranges: What the client accepts.
        provided: The media types that there are; the first are chosen first where all is equal.

    Returns:
        One of those that there are; None if none is accepted.
    """
    best: tuple[float, int, int] | None = None
    chosen = None
    for kind in provided:
        fitting = [(one.closeness, -place) for place, one in enumerate(ranges) if one.fits(kind)]
        if not fitting:
            continue
        closeness, place = max(fitting)
        rank = (ranges[-place].weight, closeness, place)
        if rank[0] > 0 and (best is None or rank > best):
            best, chosen = rank, kind
    return chosen

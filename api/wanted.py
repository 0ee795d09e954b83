"""How an answer of rows is wanted: which rows, in which format, and whether they are counted."""

import re

import msgspec
from litestar.datastructures.headers import Accept
from litestar.exceptions import HTTPException

from api.asking import Window
from api.described import SINGULAR
from api.formats import ARROW, CSV, FORMATS, JSON, PARQUET, Format
from api.problems import AnyRequest, shown

PROVIDED = {
    JSON.media_type: JSON,
    "application/vnd.pgrst.array+json": JSON,
    SINGULAR: JSON,
    **{one.media_type: one for one in (CSV, ARROW, PARQUET)},
}
"""What may be accepted; the first fits whatever is left open."""

REFUSED = re.compile(r";\s*q=0(\.0*)?\s*(;|$)")
"""A kind that the client does not take (RFC 9110 §12.4.2)."""

COUNTS = re.compile(r"\bcount=(exact|planned|estimated)\b")
"""A preference (RFC 7240); here every count is exact."""


class Wanted(msgspec.Struct, frozen=True):
    """How an answer is wanted.

    Attributes:
        window: Which rows.
        format: In which format.
        single: Whether one row by itself is wanted.
        counted: Whether the rows are to be counted.
    """

    window: Window
    format: Format
    single: bool
    counted: bool

    @property
    def media_type(self) -> str:
        """What ``Content-Type`` says."""
        return SINGULAR if self.single else self.format.media_type


def read_wanted(request: AnyRequest, suffix: str | None, window: Window) -> Wanted:
    """Read how the answer is wanted: by the suffix of its name, or else by what is accepted.

    Raises:
        HTTPException: 406: it is not to be had so.
    """
    profile = request.headers.get("accept-profile", "public")
    if profile != "public":
        raise HTTPException(
            f"There is no schema {shown(profile)}; there is public.", status_code=406
        )
    window = window.of(request.headers.get("range"))
    counted = COUNTS.search(request.headers.get("prefer", "")) is not None
    if suffix is not None:
        return Wanted(window, FORMATS[suffix], single=False, counted=counted)
    header = ", ".join(request.headers.getall("accept", ["*/*"]))
    taken = [kind.strip() for kind in header.split(",") if not REFUSED.search(kind)]
    best = Accept(", ".join(taken)).best_match(list(PROVIDED)) if any(taken) else None
    if best is None or "nulls=stripped" in header:
        raise HTTPException(
            f"Accept: {shown(header)} is not to be had; there are {', '.join(PROVIDED)}.",
            status_code=406,
        )
    return Wanted(window, PROVIDED[best], single=best == SINGULAR, counted=counted)

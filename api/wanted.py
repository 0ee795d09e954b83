"""How an answer of rows is wanted: which rows, in which format, and whether they are counted."""

from functools import lru_cache

import msgspec
from litestar.exceptions import HTTPException

from api.accepted import Range, choose, read_accept
from api.asking import Window
from api.described import SINGULAR
from api.formats import ARROW, CSV, FORMATS, JSON, PARQUET, Format
from api.preferences import read_preferences
from api.quoting import shown
from api.requests import AnyRequest

PLAIN = {one.media_type: one for one in (JSON, CSV, ARROW, PARQUET)}

ARRAYS = ("application/vnd.pgrst.array+json", "application/vnd.pgrst.array")
OBJECTS = (SINGULAR, "application/vnd.pgrst.object")
"""PostgREST's own kinds, with their short names (``decodeMediaType`` of its MediaType.hs)."""

PROVIDED: dict[str, Format] = {**PLAIN, **dict.fromkeys((*ARRAYS, *OBJECTS), JSON)}
"""What may be accepted; the first fits whatever is left open."""

NOT_SUPPORTED = {
    "application/vnd.pgrst.plan": "the plan of a query",
    "nulls=stripped": "objects without their nulls",
}
"""What else PostgREST has, and what that is."""


class Wanted(msgspec.Struct, frozen=True):
    """How an answer is wanted.

    Attributes:
        window: Which rows.
        ranged: Whether ``Range`` asked for them.
        format: In which format.
        single: Whether one row by itself is wanted.
        counted: Whether the rows are to be counted.
        applied: What ``Preference-Applied`` says, if anything.
    """

    window: Window
    ranged: bool
    format: Format
    single: bool
    counted: bool
    applied: str

    @property
    def media_type(self) -> str:
        """What ``Content-Type`` says."""
        return SINGULAR if self.single else self.format.media_type


class NoSchema(HTTPException):
    """A schema was asked for that is not there."""

    status_code = 406
    code = "PGRST106"


def check_schema(request: AnyRequest) -> None:
    """Check that ``Accept-Profile``, where it is sent, names the schema ``public``.

    Raises:
        NoSchema: It names another.
    """
    profile = request.headers.get("accept-profile", "public")
    if profile != "public":
        raise NoSchema(f"There is no schema {shown(profile)}; there is public.")


def read_wanted(request: AnyRequest, suffix: str | None, window: Window) -> Wanted:
    """Read how the answer is wanted: by the suffix of its name, or else by what is accepted.

    Raises:
        HTTPException: 406: it is not to be had so.
        Refused: It needs what is not supported, or rows that there cannot be.
    """
    check_schema(request)
    headers = request.headers
    narrowed = window.of(headers.get("range"))
    preferences = read_preferences(", ".join(headers.getall("prefer", [])))
    if suffix is not None:
        kind, single = FORMATS[suffix], False
    else:
        best = _best(", ".join(headers.getall("accept", [])))
        kind, single = PROVIDED[best], best in OBJECTS
    return Wanted(
        window=narrowed,
        ranged=narrowed is not window,
        format=kind,
        single=single,
        counted=preferences.counted,
        applied=preferences.applied,
    )


@lru_cache(256)  # most clients say what others say
def _best(accept: str) -> str:
    """Choose among what there is; raises as :func:`read_wanted`."""
    ranges = read_accept(accept)
    best = choose([one for one in ranges if _refusal(one) is None], PROVIDED)
    if best is None:
        raise _unacceptable(accept, ranges)
    return best


def _refusal(accepted: Range) -> str | None:
    """What an element of ``Accept`` asks for that is not supported, if it is known."""
    said = (accepted.kind.partition("+")[0], *accepted.parameters)
    return next((NOT_SUPPORTED[one] for one in said if one in NOT_SUPPORTED), None)


def _unacceptable(header: str, ranges: list[Range]) -> HTTPException:
    asked = next((found for one in ranges if (found := _refusal(one))), None)
    said = f"Accept: {shown(header)} is not to be had"
    if asked:
        said = f"Accept: {shown(header)} asks for {asked}, which is not supported"
    return HTTPException(f"{said}; there are {', '.join(PLAIN)} and {SINGULAR}.", status_code=406)

"""The mart that a path names, and the format that may follow its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar.exceptions import HTTPException

from api.formats import FORMATS
from api.quoting import shown

if TYPE_CHECKING:
    from api.opened import OpenPublication
    from publication import Mart


def find_mart(publication: OpenPublication, name: str) -> tuple[Mart, str | None]:
    """Find a mart by its name, which a format may follow: `lead_event_counts_weekly.csv`.

    Returns:
        The mart, and the format's suffix if there is one.

    Raises:
        HTTPException: 404: there is no such mart, or no such format.
    """
    marts = publication.marts
    plain, _, suffix = name.partition(".")
    if plain not in marts:
        raise HTTPException(
            f"There is no mart {shown(plain)} in publication {publication.manifest.number}; "
            f"there are {', '.join(marts)}.",
            status_code=404,
        )
    if plain != name and suffix not in FORMATS:
        raise HTTPException(
            f"There is no format {shown(suffix)}; there are {', '.join(FORMATS)}.", status_code=404
        )
    return marts[plain], suffix or None

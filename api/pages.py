"""One page of a long list, and the links to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 8_000
"""How many characters what a link repeats has at most: clients and proxies bound what they take in
headers."""

USUAL = 10
"""How many elements a page has if nothing is said."""

LARGEST = 100
"""How many elements a page has at most."""


def link(relation: str, path: str, query: Iterable[tuple[str, str]]) -> str:
    """Write an element of the ``Link`` header (RFC 8288 §3), relative to the server.

    Args:
        relation: What is there, such as `next`.
        path: Its path, not quoted.
        query: Its query's names and values.
    """
    return f'<{quote(path)}?{urlencode([*query])}>; rel="{relation}"'


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list is asked for.

    Attributes:
        offset: How many elements come before it.
        page_size: How many elements it has at most.
    """

    offset: int = 0
    page_size: int = USUAL

    def others(self, total: int) -> dict[str, int]:
        """Where the related pages begin: `first`, `prev`, `next` and `last`, those there are.

        Following `next` from anywhere meets every later element once.

        Args:
            total: How many elements the list has.
        """
        # Pages need not begin at a multiple of their size; the last one is in step with this one.
        step = self.offset % self.page_size
        last = max(total - 1 - step, 0) // self.page_size * self.page_size
        last = last + step if total > step else 0
        offsets = {"first": 0, "last": last}
        if self.offset > 0:
            offsets["prev"] = min(max(self.offset - self.page_size, 0), last)
        if self.offset + self.page_size < total:
            offsets["next"] = self.offset + self.page_size
        return {
            name: offsets[name] for name in ("first", "prev", "next", "last") if name in offsets
        }

    def links(
        self, path: str, query: Iterable[tuple[str, str]], publication: int, total: int
    ) -> str:
        """Write the ``Link`` header's value.

        All links name the publication: a newer one in between moves nothing from page to page.

        Args:
            path: The list's, not quoted.
            query: What else the list was asked for with: names and values.
            publication: The number of the one that this page is from.
            total: How many elements the list has.
        """
        asked = [*query, ("page_size", str(self.page_size)), ("publication", str(publication))]
        return ", ".join(
            link(name, path, [*asked, ("offset", str(offset))])
            for name, offset in self.others(total).items()
        )

"""What a request says about how it wants its answer: in which coding, and only if it changed."""

from __future__ import annotations

import gzip
import re
import zlib
from typing import TYPE_CHECKING, Any, Literal

import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterable

Coding = Literal["zstd", "gzip", "identity"]

PREFERENCE: tuple[Coding, ...] = ("zstd", "gzip", "identity")
"""What to choose among codings that the client likes equally: the smallest first."""

WORTHWHILE = 1024
"""From how many bytes on a body is compressed: a smaller one fits in one packet anyway."""

LONGEST_FIELD = 8_192
"""Bytes of a header field that is read, all lines of it together: a long token, or a hundred entity
tags."""

WEIGHTED = re.compile(
    r"\s*(?P<coding>[!#$%&'*+.^_`|~\w-]+)\s*(?:;\s*q=(?P<q>0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?",
    re.ASCII | re.IGNORECASE,
)
"""One element of Accept-Encoding (RFC 9110 §12.5.3) with its weight (§12.4.2)."""

OPAQUE_TAG = re.compile(rb'"[\x21\x23-\x7e\x80-\xff]*"')
"""What an entity tag is compared by (RFC 9110 §8.8.3), without the mark of a weak one."""


def choose_coding(accept_encoding: str | None, size: int) -> Coding | None:
    """Choose the content coding of an answer.

    Without the header, and where nothing in it fits, the answer goes out as it is, unless the
    client refuses that (``identity;q=0`` or ``*;q=0``). Elements that are no element are passed
    over, and so are codings that this server does not have.

    Args:
        accept_encoding: The header's value, several lines joined with commas.
        size: The body's length in bytes, uncompressed.

    Returns:
        The coding, or None if the client takes none of those this server has.
    """
    if accept_encoding is None:
        return "identity"
    weights: dict[str, float] = {}
    for element in accept_encoding.split(","):
        if found := WEIGHTED.fullmatch(element):
            # "x-gzip" is an old name of gzip (§8.4.1.3).
            coding = found["coding"].lower().removeprefix("x-")
            weights[coding] = 1.0 if found["q"] is None else float(found["q"])
    others = weights.get("*")
    # What is not mentioned is refused, except identity: that is always left as the last resort.
    weight = {
        "zstd": weights.get("zstd", others or 0),
        "gzip": weights.get("gzip", others or 0),
        "identity": weights.get("identity", 1e-9 if others is None else others),
    }
    if size < WORTHWHILE and weight["identity"] > 0:
        return "identity"
    best = max(PREFERENCE, key=weight.__getitem__)
    return best if weight[best] > 0 else None


def compress(body: bytes, coding: Coding) -> bytes:
    """Encode a body. The same bytes give the same bytes: no time stamp, no file name."""
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=9).compress(body)
    if coding == "gzip":
        return gzip.compress(body, compresslevel=6, mtime=0)
    return body


class Compressor:
    """Encodes a body piece by piece."""

    def __init__(self, coding: Literal["zstd", "gzip"]) -> None:
        """Begin.

        Args:
            coding: The coding.
        """
        self._object: Any
        if coding == "zstd":
            self._object = zstandard.ZstdCompressor(level=3).compressobj()
        else:
            # 16 more than the largest window: with gzip's own frame, which then has no time stamp.
            self._object = zlib.compressobj(6, wbits=16 + zlib.MAX_WBITS)

    def compress(self, piece: bytes) -> bytes:
        """Encode a piece; what comes out may belong to earlier ones. Blocks."""
        return bytes(self._object.compress(piece))

    def flush(self) -> bytes:
        """What comes behind the last piece."""
        return bytes(self._object.flush())


def is_current(if_none_match: bytes, etag: bytes) -> bool:
    """Tell whether the client already has the representation (RFC 9110 §13.1.2).

    Args:
        if_none_match: The header's value: ``*``, or entity tags, which compare weakly.
        etag: The representation's entity tag, with its quotes.
    """
    if len(if_none_match) > LONGEST_FIELD:
        return False  # it is refused where nothing is kept
    return if_none_match.strip() == b"*" or etag in OPAQUE_TAG.findall(if_none_match)


def merge_repeated(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Put repeated header lines together, as RFC 9110 §5.3 allows for lists."""
    lists: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        lists.setdefault(name, []).append(value)
    return {name: b", ".join(values) for name, values in lists.items()}

"""What went wrong with an object store, in one sentence without secrets."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from lake.errors import StoreFailed, StoreUnreachable, causes, reason
from lake.stores import STORES, is_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lake.stores import Store


class Failure(NamedTuple):
    """What an error of delta-rs' means, known by its text: there are no classes for it."""

    pattern: str
    kind: type[StoreFailed]
    sentence: str


FAILURES = (
    Failure(
        r"NoSuchBucket|ContainerNotFound|(bucket|container) does not exist",
        StoreFailed,
        "There is no {store.container} {bucket} in {store.name}: make it, or name another place "
        "than {uri}.",
    ),
    Failure(
        r"status code: 40[13]",
        StoreFailed,
        "{store.name} refuses what it is asked about {uri}: see that the credentials "
        "({store.prefix}…) are right, and that they may list, read and write there.",
    ),
    Failure(
        r"URL scheme is not allowed",
        StoreFailed,
        "The endpoint for {uri} is http, where others can listen: name one with https, or set "
        "{store.prefix}ALLOW_HTTP=true.",
    ),
    Failure(
        r"HTTP error",
        StoreUnreachable,
        "{store.name} cannot be reached for {uri} ({cause}): see that it is up and that the "
        "endpoint ({store.prefix}…) is right, and try again.",
    ),
    Failure(
        r"(?<=status code: )5\d\d[^:<]*",
        StoreUnreachable,
        "{store.name} answers {answer} about {uri}: try again later.",
    ),
    Failure(
        r"(?<=status code: )\d{3}[^:<]*",
        StoreFailed,
        "{store.name} answers {answer} about {uri}: see that its settings ({store.prefix}…) are "
        "right.",
    ),
)
"""The first that fits is what went wrong."""


OF_A_STORE = re.compile(
    r"Generic (S3|GCS|MicrosoftAzure|Config) error|Error performing|Failed to parse config"
)
"""What is in the text of every error of a store's client."""


def _secrets(given: Mapping[str, str]) -> Iterator[str]:
    """Yield every value that must not be shown, the longest first."""
    prefixes = tuple(store.prefix for store in STORES.values())
    settings = {k: v for k, v in os.environ.items() if k.startswith(prefixes)} | dict(given)
    values = {value.strip(" \"'") for name, value in settings.items() if is_secret(name)}
    yield from sorted(filter(None, values), key=len, reverse=True)


def told(error: Exception, given: Mapping[str, str]) -> str:
    """Return what a store's error says as part of a sentence, without secrets.

    Args:
        error: What delta-rs or PyArrow raised.
        given: The options of the place, whose secrets are left out as the environment's are.
    """
    text = re.sub(r"\?\S*", "", reason(error))  # a query may be signed
    for secret in _secrets(given):
        text = text.replace(secret, "…")
    return text


def failed(
    store: Store, uri: str, error: Exception, given: Mapping[str, str]
) -> StoreFailed | None:
    """Say what is wrong with a store, or with our way to it.

    Args:
        store: The kind of object store.
        uri: Where the table is.
        error: What delta-rs or PyArrow raised.
        given: The options of the place.

    Returns:
        An error of one sentence, or ``None`` where it is not the store that fails.
    """
    text = causes(error)
    if isinstance(error, FileNotFoundError) or not OF_A_STORE.search(text):
        return None
    for failure in FAILURES:
        if found := re.search(failure.pattern, text):
            sentence = failure.sentence.format(
                store=store,
                uri=uri,
                bucket=urlsplit(uri).netloc,
                answer=" ".join(found[0].split()),
                cause=text.rpartition(": ")[2],
            )
            return failure.kind(sentence)
    sentence = f"The settings ({store.prefix}…) for {uri} cannot be used: {told(error, given)}."
    return StoreFailed(sentence)

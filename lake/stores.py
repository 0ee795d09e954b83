"""Object stores that a table can lie in, and what each needs.

delta-rs has the clients, and reads credentials and endpoints from the environment by itself:
https://docs.rs/object_store lists the variables (``AmazonS3ConfigKey``, ``GoogleConfigKey``,
``AzureConfigKey``). What stands here is what it leaves to others: to see in good time whether there
are any, and how long to wait.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lake.errors import PlaceInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Store:
    """A kind of object store.

    Attributes:
        name: What people call it.
        container: What it calls the outermost part of a place.
        prefix: What the names of its options and variables begin with.
        credentials: The sets of variables of which one must be set whole. A machine's own role is
            among them as the address that hands it out: without any, delta-rs would go and ask
            that address, and wait, on a machine that has none.
        options: What is always set.
    """

    name: str
    container: str
    prefix: str
    credentials: tuple[tuple[str, ...], ...]
    options: tuple[tuple[str, str], ...] = ()


STORES = {
    "gs": Store(
        name="Google Cloud Storage",
        container="bucket",
        prefix="GOOGLE_",
        credentials=(
            ("GOOGLE_SERVICE_ACCOUNT",),
            ("GOOGLE_SERVICE_ACCOUNT_PATH",),
            ("GOOGLE_SERVICE_ACCOUNT_KEY",),
            ("GOOGLE_APPLICATION_CREDENTIALS",),
            ("GOOGLE_SKIP_SIGNATURE",),
            ("GCE_METADATA_HOST",),
        ),
    ),
    "s3": Store(
        name="S3",
        container="bucket",
        prefix="AWS_",
        credentials=(
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE",),
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
            ("AWS_SKIP_SIGNATURE",),
            ("AWS_METADATA_ENDPOINT",),
        ),
        # A commit is put only where no other is: without that, the last of two writers would win.
        options=(("aws_conditional_put", "etag"),),
    ),
    "az": Store(
        name="Azure Blob Storage",
        container="container",
        prefix="AZURE_",
        credentials=(
            ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_SAS_KEY"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_SAS_TOKEN"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_TOKEN"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_FEDERATED_TOKEN_FILE"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_USE_AZURE_CLI"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_SKIP_SIGNATURE"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_MSI_ENDPOINT"),
        ),
    ),
}
"""Every kind of object store by the scheme of its URIs."""

WAITS = {
    "timeout": "20s",
    "connect_timeout": "3s",
    "max_retries": "2",
    "retry_timeout": "10s",
}
"""How long to wait for a store, and how often to ask again. ``timeout`` holds for one request
whole, so it must suffice for a data file. ``LEADMARTS_STORE_TIMEOUT`` and so on set another.
delta-rs' own waits add up to three minutes."""

FIRST_WAITS = {"timeout": "5s", "max_retries": "1", "retry_timeout": "5s"}
"""The same for the first question to a store, which is small: is it there, and will it have us?"""

SECRET = re.compile(r"secret|token|sas|password|key(?!_id|_file)", re.IGNORECASE)
NO_SECRET = re.compile(r"(_file|_path|_id|endpoint|skip_signature)$", re.IGNORECASE)


def options(store: Store, given: Mapping[str, str]) -> dict[str, str]:
    """Return the options that delta-rs needs beside what it reads from the environment.

    Args:
        store: The kind of object store.
        given: Options that go before the environment's, named as its variables, in either case.

    Raises:
        PlaceInvalid: There are no credentials, or an endpoint is no URL. Checked here because
            delta-rs would look for credentials elsewhere, and panic.
    """
    settings = {**os.environ, **{name.upper(): value for name, value in given.items()}}
    if not any(all(settings.get(name) for name in names) for names in store.credentials):
        raise PlaceInvalid(
            f"There are no credentials for {store.name}: set "
            f"{' and '.join(store.credentials[0])} (README.md names the others)."
        )
    for name, value in settings.items():
        if name.startswith(store.prefix) and "ENDPOINT" in name and not _is_url(value):
            raise PlaceInvalid(f"{name} is no URL: give one such as https://store.example.com.")
    waits = {
        name: os.environ.get(f"LEADMARTS_STORE_{name.upper()}") or value
        for name, value in WAITS.items()
    }
    return {**waits, **given, **dict(store.options)}


def _is_url(text: str) -> bool:
    """Tell whether a text is an HTTP URL of a host; an empty one counts as not set."""
    try:
        parts = urlsplit(text)
        return not text or (parts.scheme in {"http", "https"} and bool(parts.hostname))
    except ValueError:
        return False


def is_secret(name: str) -> bool:
    """Tell by an option's name whether its value must not be shown."""
    return bool(SECRET.search(name)) and not NO_SECRET.search(name)

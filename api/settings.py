"""What the environment tells the server, read once at start."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING

import msgspec

import telemetry
from api.auth.settings import AuthSettings
from api.capacity import Capacity
from api.errors import SettingsError
from api.hosts import HOST
from api.querying.pool import PROCESSES
from api.variables import read_all, share, whole_number
from publication import PublicationError, Store
from telemetry import Environment

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Settings", "SettingsError"]

ORIGIN = re.compile(r"https?://[^\s/?#@*]+", re.IGNORECASE)
"""Scheme, host and perhaps a port, as browsers send it (RFC 6454 §6.2)."""

YEAR = 366 * 24 * 3600
"""Seconds."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may ask for at most.

    Attributes:
        rows: ``LEADMARTS_JSON_ROWS``: how many rows a JSON answer has at most; it says where it was
            cut. The other formats have no such limit.
        seconds: ``LEADMARTS_QUERY_SECONDS``: how long DuckDB may work for it.
    """

    rows: int = 10_000
    seconds: int = 5

    @classmethod
    def from_environment(cls) -> Bounds:
        """Read them.

        Raises:
            SettingsError: One of them is no whole number.
        """
        return cls(
            rows=whole_number("LEADMARTS_JSON_ROWS", 10_000, 1_000_000),
            seconds=whole_number("LEADMARTS_QUERY_SECONDS", 5, 3600),
        )


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The server's settings.

    Attributes:
        environment: ``LEADMARTS_ENV``. In production logs are JSON lines and origins are named.
        cors_origins: ``LEADMARTS_CORS_ORIGINS``, separated by commas: the origins whose pages may
            read the API. ``*`` is any; that is the default in development only.
        hosts: ``LEADMARTS_HOSTS``, separated by commas: the names that the server answers to, a
            port with them or not. None means any; in development only.
        hsts_seconds: ``LEADMARTS_HSTS_SECONDS``: for how long browsers are to come back by TLS
            only; to be set where clients come by it.
        store: The publications, as ``LEADMARTS_PUBLICATIONS`` and its like say.
        auth: Users and tokens.
        bounds: What one request may ask for at most.
        capacity: How much the server takes on at once.
        processes: ``LEADMARTS_QUERY_PROCESSES``: how many processes of each worker ask DuckDB.
        telemetry: How logs are written, and whom traces are sent to.
        sample: ``LEADMARTS_REQUEST_SAMPLE``: which share of the requests is logged and traced.
    """

    environment: Environment
    cors_origins: tuple[str, ...]
    hosts: tuple[str, ...]
    hsts_seconds: int
    store: Store
    auth: AuthSettings
    bounds: Bounds
    capacity: Capacity
    processes: int
    telemetry: telemetry.Settings
    sample: float

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the settings. A variable that is empty counts as not set.

        Raises:
            SettingsError: Some of them are wrong, or unsafe in production: one line for each, so
                that they are put right in one go.
        """
        try:
            environment = telemetry.environment()
        except telemetry.TelemetryInvalid as error:
            raise SettingsError(str(error)) from error
        parts: dict[str, Callable[[], object]] = {
            "cors_origins": partial(_origins, environment),
            "hosts": partial(_hosts, environment),
            "hsts_seconds": partial(whole_number, "LEADMARTS_HSTS_SECONDS", 0, 10 * YEAR, least=0),
            "store": Store.from_environment,
            "auth": partial(AuthSettings.from_environment, environment),
            "bounds": Bounds.from_environment,
            "capacity": Capacity.from_environment,
            "processes": partial(whole_number, "LEADMARTS_QUERY_PROCESSES", PROCESSES, 64),
            "telemetry": telemetry.Settings.from_environment,
            "sample": partial(share, "LEADMARTS_REQUEST_SAMPLE", 0.01),
        }
        told = read_all(parts, PublicationError, telemetry.TelemetryInvalid)
        return cls(environment=environment, **told)


def _origins(environment: Environment) -> tuple[str, ...]:
    origins = _listed("LEADMARTS_CORS_ORIGINS") or ("*",)
    if environment == "production" and "*" in origins:
        raise SettingsError(
            "LEADMARTS_CORS_ORIGINS must name the origins that may read the API in production, "
            "separated by commas, such as https://dashboard.example.com; "
            "leaving it out and * are for development."
        )
    for origin in origins:
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise SettingsError(
                f'LEADMARTS_CORS_ORIGINS holds "{origin}", which is no origin; write scheme, host '
                "and perhaps a port and nothing more, such as https://dashboard.example.com."
            )
    return origins


def _hosts(environment: Environment) -> tuple[str, ...]:
    hosts = _listed("LEADMARTS_HOSTS")
    if environment == "production" and not hosts:
        raise SettingsError(
            "LEADMARTS_HOSTS must name the hosts that the server answers to in production, "
            "separated by commas, such as marts.example.com; leaving it out is for development."
        )
    for host in hosts:
        if not HOST.fullmatch(host):
            raise SettingsError(
                f'LEADMARTS_HOSTS holds "{host}", which is no host; write a name or an address '
                "and perhaps a port and nothing more, such as marts.example.com."
            )
    return hosts


def _listed(variable: str) -> tuple[str, ...]:
    parts = os.environ.get(variable, "").split(",")
    return tuple(part.strip().lower() for part in parts if part.strip())

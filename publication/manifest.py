"""What a publication says of itself, as it stands in the JSON file beside it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

TestStatus = Literal["passed", "warned", "not-run"]
"""What became of a dbt test. A failed one has no name here: its run publishes nothing."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a mart, as its dbt contract has it."""

    name: str
    type: str
    nullable: bool
    description: str


class Test(msgspec.Struct, frozen=True, kw_only=True):
    """One dbt test that watches over a mart, and how it ended in the run that published it."""

    name: str
    status: TestStatus


class Mart(msgspec.Struct, frozen=True, kw_only=True):
    """One mart: a table of the publication's ``main`` schema.

    Attributes:
        grain: The columns whose values name a row; also the default order.
        scope: Who may read its rows over HTTP: ``open``, a scope such as ``marketing:read``, or
            ``None`` for any valid token.
    """

    name: str
    description: str
    grain: tuple[str, ...]
    scope: str | None
    rows: int
    columns: tuple[Column, ...]
    tests: tuple[Test, ...]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The one version of a lake table that the run read. The URI carries no credentials."""

    name: str
    uri: str
    table_id: str
    version: int
    committed_at: datetime


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """The dbt run that made the content."""

    invocation_id: str
    command: str
    project_version: str
    git_commit: str | None
    tests: TestStatus


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it.

    Attributes:
        number: The publication's number; numbers only rise.
        file: The name of the DuckDB file beside this manifest.
        digest: ``sha256:`` and the hex digest of the content: equal content, equal digest,
            on any machine.
        sha256: The hex digest of the file's own bytes.
        built_at: When the content was published first, in UTC.
        rolled_back_to: The number whose content this publication repeats, if it does.
    """

    number: int
    file: str
    digest: str
    sha256: str
    built_at: datetime
    rolled_back_to: int | None
    build: Build
    sources: tuple[Source, ...]
    marts: tuple[Mart, ...]


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """``current.json``: which publication is current. The one mutable thing."""

    number: int
    file: str
    digest: str

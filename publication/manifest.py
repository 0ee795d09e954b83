"""What a publication says of itself, as it stands in the JSON file beside it."""

from __future__ import annotations

import re
from datetime import datetime  # noqa: TC003 msgspec reads the annotations
from typing import Literal

import msgspec

TestStatus = Literal["passed", "warned", "not-run"]
"""What became of a dbt test. A failed one has no name here: its run publishes nothing."""

SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")
"""One scope (RFC 6749 §3.3)."""

OPEN = "open"
"""The scope of a mart that anyone may read over HTTP, without a token."""


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One column of a mart, as its dbt contract has it.

    Attributes:
        type: In a draft as the contract spells it, in a manifest as DuckDB does
            (``text`` becomes ``VARCHAR``).
        personal_data_allowed: Why it may be published though its name or its values look like
            personal data, as ``config.meta.personal_data_allowed`` has it.
    """

    name: str
    type: str
    nullable: bool
    description: str
    personal_data_allowed: str | None = None


class Test(msgspec.Struct, frozen=True, kw_only=True):
    """One dbt test that watches over a mart, and how it ended in the run that published it."""

    name: str
    status: TestStatus


class MartDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What dbt knows of a mart before its rows are counted.

    Attributes:
        grain: The columns whose values name a row; also the default order.
        scope: Who may read its rows over HTTP: ``open``, a scope such as ``marketing:read``, or
            ``None`` for any valid token.
    """

    name: str
    description: str
    grain: tuple[str, ...]
    scope: str | None
    columns: tuple[Column, ...]
    tests: tuple[Test, ...]

    @property
    def is_open(self) -> bool:
        """Whether anyone may read it, without a token."""
        return self.scope == OPEN

    @property
    def needs(self) -> frozenset[str]:
        """The scopes that a token must have to read it; none where any token will do, or none."""
        return frozenset() if self.scope is None or self.is_open else frozenset({self.scope})


class Mart(MartDraft, frozen=True, kw_only=True):
    """One mart: a table of the publication's ``main`` schema.

    Attributes:
        sorted: Whether its rows lie in the file in the order of the grain, so that reading them
            in that order needs no sorting.
        digest: ``sha256:`` and the hex digest of its schema and rows (see
            :mod:`publication.digest`).
        fingerprint: Tells in one quick pass whether a table of the warehouse holds the same rows
            (see :mod:`publication.fingerprint`). Manifests of older versions have neither.
    """

    rows: int
    sorted: bool = False
    digest: str = ""
    fingerprint: str = ""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The one version of a lake table that the run read. The URI carries no credentials."""

    name: str
    uri: str
    table_id: str
    version: int
    committed_at: datetime


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """The dbt run that made the content.

    Attributes:
        command: ``dbt run`` or ``dbt build``. The command's options are left out: they may hold
            what is not for everyone's eyes.
        tests: ``passed``, ``warned`` if at least one warned, ``not-run`` if at least one that
            watches over a mart did not run.
    """

    invocation_id: str
    command: str
    project_version: str
    git_commit: str | None
    tests: TestStatus


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest before it is published: without number, file, digests and row counts."""

    build: Build
    sources: tuple[Source, ...]
    marts: tuple[MartDraft, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it.

    Attributes:
        number: The publication's number; numbers only rise.
        file: The name of the DuckDB file beside this manifest.
        digest: ``sha256:`` and the hex digest of the content: equal content, equal digest,
            on any machine (see :mod:`publication.digest`).
        sha256: The hex digest of the file's own bytes.
        built_at: When the content was made, in UTC.
        published_at: When it was published under this number, in UTC: later than ``built_at``
            where an older content was published again.
        rolled_back_to: The number whose content this publication repeats, if it does.
        marts: Sorted by name.
        traceparent: The trace in which it was published, as W3C writes it, so that whoever serves
            it can go on with that one. Manifests of older versions have none.
        rule: The version of the rule that made the digests.
    """

    number: int
    file: str
    digest: str
    sha256: str
    built_at: datetime
    published_at: datetime
    rolled_back_to: int | None
    build: Build
    sources: tuple[Source, ...]
    marts: tuple[Mart, ...]
    traceparent: str | None = None
    rule: int = 1


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """``current.json``: which publication is current. The one mutable thing."""

    number: int
    file: str
    digest: str

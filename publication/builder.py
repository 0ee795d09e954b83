"""From the marts in a warehouse to a publication: what dbt hands over when a run has ended."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import msgspec
import yaml

from publication.connection import attached, first_line
from publication.cut_texts import check_cut_texts
from publication.errors import DraftRejected, PublicationError
from publication.manifest import Build, Draft, Manifest, MartDraft, Source, TestStatus
from publication.personal_data import check_names
from publication.places import remedy, unusable
from publication.properties import check_properties
from publication.reuse import reuse
from publication.sql import listed
from publication.staging import make_empty
from telemetry import span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publication.manifest import Mart
    from publication.store import Store


META = {
    "grain": "a list of its columns, such as [week_start]",
    "scope": "a text, such as marketing:read",
}
"""What a mart's ``config.meta`` says, where dbt takes anything."""

MISSPELT = 0.8
"""How alike a key is that may be a misspelt one (``difflib``'s ratio): ``scpoe`` is."""

IN_COLUMN = re.compile(
    r"\$\.marts\[(?P<place>\d+)\]\.columns\[(?P<column>\d+)\]\.personal_data_allowed\b"
)
IN_META = re.compile(rf"\$\.marts\[(?P<place>\d+)\]\.(?P<key>{'|'.join(META)})\b")
"""The place of a mistake in ``config.meta`` of a column or a mart, as msgspec writes it."""


class BuiltMart(MartDraft, frozen=True, kw_only=True):
    """A mart and the table of the warehouse that holds it.

    Attributes:
        relation: Its quoted name, ``"warehouse"."marts"."channel_sales_weekly"``.
        keys: What its ``config`` and ``config.meta`` have, such as ``config.meta.grain``.
        model: Its name in YAML, which an alias may differ from.
        file: The file of YAML that describes it, as dbt names it: ``lead_marts://models/a.yml``.
        cut: The columns with keys in YAML that dbt does not know and that have no value.
    """

    relation: str
    keys: tuple[str, ...]
    model: str = ""
    file: str | None = None
    cut: tuple[tuple[str, str], ...] = ()


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What the macro ``publish`` says of a dbt run that may be published.

    Attributes:
        project_dir: The folder of ``dbt_project.yml``, which says the version.
        command: ``dbt run`` or ``dbt build``.
        full_refresh: Whether nothing of an earlier publication is to be reused.
        tests: See :class:`publication.manifest.Build`.
    """

    project_dir: str
    invocation_id: str
    command: str
    tests: TestStatus
    marts: tuple[BuiltMart, ...]
    full_refresh: bool = False

    def draft(self, sources: tuple[Source, ...]) -> Draft:
        """Complete it with what dbt's macros cannot know."""
        return Draft(
            build=Build(
                invocation_id=self.invocation_id,
                command=self.command,
                project_version=_project_version(Path(self.project_dir)),
                git_commit=_git_commit(Path(self.project_dir)),
                tests=self.tests,
            ),
            sources=sources,
            marts=self.marts,
        )


def decode(run: str, sources: str) -> tuple[Run, tuple[Source, ...]]:
    """Read what the macro ``publish`` hands over as two JSON texts.

    Raises:
        DraftRejected: Something in them is not what it should be, such as a grain that is no list.
    """
    try:
        return (
            msgspec.json.decode(run, type=Run),
            msgspec.json.decode(sources, type=tuple[Source, ...]),
        )
    except msgspec.MsgspecError as error:
        if found := IN_META.search(str(error)):
            name = json.loads(run)["marts"][int(found["place"])]["name"]
            raise DraftRejected(
                f'The {found["key"]} of mart "{name}" is not {META[found["key"]]}; mend '
                f"config.meta.{found['key']} in its YAML."
            ) from error
        if found := IN_COLUMN.search(str(error)):
            mart = json.loads(run)["marts"][int(found["place"])]
            column = mart["columns"][int(found["column"])]["name"]
            raise DraftRejected(
                f'Column "{column}" of mart "{mart["name"]}" has a config.meta.'
                "personal_data_allowed that is no text; write there why everyone who may read the "
                "mart may see the column."
            ) from error
        raise DraftRejected(
            f"What dbt says of the run is not as it should be ({error}); look at the marts' YAML "
            "and the table of sources."
        ) from error


def publish(
    store: Store, warehouse: duckdb.DuckDBPyConnection, run: Run, sources: tuple[Source, ...]
) -> Manifest:
    """Copy a run's marts out of the warehouse and publish them.

    Args:
        store: Where to.
        warehouse: A connection that sees the marts, with no transaction open. A file is attached
            to its instance for the time of the copy.
        run: What dbt knows of them.
        sources: The versions they were made from.

    Raises:
        DraftRejected: A source of the current publication is not among the sources any more, a
            mart or a column of one is not described, a scope is misspelt or misplaced, or the
            marts cannot be copied.
        PlaceUnusable: There is no room for them, or no right to write.
        PublicationError: See :meth:`publication.store.Store.publish`.
    """
    with span("publish") as published:
        for mart in run.marts:
            check_cut_texts(mart, Path(run.project_dir))
        check_properties(run.marts)
        for mart in run.marts:
            check_names(mart)
        _check_keys(run.marts)
        _check_sources(store, sources)
        staged = store.stage(run.invocation_id)
        try:
            reused = () if run.full_refresh else _reuse(store, warehouse, staged, run.marts)
            known = {mart.name for mart in reused}
            _copy(warehouse, staged, [mart for mart in run.marts if mart.name not in known])
        except BaseException as error:
            store.discard(staged)
            if not isinstance(error, (duckdb.Error, OSError)):
                raise
            if remedy(error):
                raise unusable(f"The publications in {store.folder}", error) from error
            raise DraftRejected(f"The marts cannot be copied: {first_line(error)}") from error
        draft = run.draft(sources)
        manifest = store.publish(staged, draft, reused=reused, instance=warehouse)
        published.attributes["publication"] = manifest.number
        return manifest


def _check_keys(marts: Iterable[BuiltMart]) -> None:
    """See that no scope is misspelt or misplaced: the mart would be for others than is meant.

    What else a model's ``config`` says is its own, such as who owns it.
    """
    for mart in marts:
        if "config.meta.scope" in mart.keys:
            continue
        for key in mart.keys:
            name = key.rpartition(".")[2].lower()
            if "scope" in name or get_close_matches(name, ["scope"], 1, MISSPELT):
                raise DraftRejected(
                    f'Mart "{mart.name}" has {key} and no config.meta.scope in its YAML; rename '
                    "it to that, or add scope: null there if any good token may read the mart."
                )


def _check_sources(store: Store, sources: tuple[Source, ...]) -> None:
    """See that no source was lost: its marts would be empty, and every number in them gone.

    A current publication that cannot be read does not keep the next one from replacing it.
    """
    try:
        pointer = store.pointer()
        before = store.manifest(pointer.number).sources if pointer else ()
    except PublicationError:
        return
    there = {source.name for source in sources}
    if lost := [source.name for source in before if source.name not in there]:
        raise DraftRejected(
            f"This run did not read {' and '.join(lost)}, which the current publication was made "
            "from; put the table back where it was, or an empty one if that is meant."
        )


def _reuse(
    store: Store, warehouse: duckdb.DuckDBPyConnection, staged: Path, marts: Iterable[BuiltMart]
) -> tuple[Mart, ...]:
    """Copy the marts that did not change from the current publication into the staged file.

    Returns:
        These marts; none after an error, and the staged file is then empty again.
    """
    with suppress(duckdb.Error, OSError):
        if reused := reuse(store, warehouse, staged, marts):
            return reused
    make_empty(staged)
    return ()


def _copy(warehouse: duckdb.DuckDBPyConnection, staged: Path, marts: Iterable[BuiltMart]) -> None:
    """Copy each mart in the order of its grain, so that a range of it lies close together."""
    with attached(warehouse, staged) as file:
        for mart in marts:
            file.connection.execute(
                f"create table {file.table(mart.name)} as "
                f"from {mart.relation} order by {listed(mart.grain)}"
            )


def _project_version(folder: Path) -> str:
    project = yaml.safe_load((folder / "dbt_project.yml").read_text(encoding="utf-8"))
    return str(project.get("version") or "")


def _git_commit(folder: Path) -> str | None:
    """The commit that is checked out in a folder, ``-dirty`` behind it where files differ from it.

    A file that git was not told of counts, as a new model is one; what it is to ignore does not.
    None where git or a repository is missing.
    """
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    )
    return answer.stdout.strip()

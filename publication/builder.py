"""From the marts in a warehouse to a publication: what dbt hands over when a run has ended."""

from __future__ import annotations

from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from publication.connection import attached, first_line
from publication.cut_texts import check_cut_texts
from publication.errors import DraftRejected, PublicationError
from publication.personal_data import check_names
from publication.places import remedy, unusable
from publication.properties import check_properties
from publication.reuse import reuse
from publication.sql import listed
from publication.staging import make_empty
from telemetry import span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publication.manifest import Manifest, Mart, Source
    from publication.run import BuiltMart, Run
    from publication.store import Store


MISSPELT = 0.8
"""How alike a key is that may be a misspelt one (``difflib``'s ratio): ``scpoe`` is."""


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

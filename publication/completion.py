"""From a file with the marts as tables to one that can be published: finished, and then checked."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import duckdb

from publication.connection import attached, first_line
from publication.dressing import dress
from publication.errors import DraftRejected
from publication.inspection import check_log, inspect
from publication.personal_data import check_values
from publication.places import remedy, unusable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from publication.manifest import Draft, Mart


def complete(
    staged: Path,
    draft: Draft,
    built_at: datetime,
    reused: Iterable[Mart],
    instance: duckdb.DuckDBPyConnection | None,
) -> tuple[Mart, ...]:
    """Finish a staged file, open it again read-only, check it, and complete its marts.

    Args:
        staged: The file with the marts as tables, which nobody has open.
        draft: What dbt knows of them.
        built_at: In UTC.
        reused: The marts that lie in the file as an earlier publication has them.
        instance: A connection to the instance of DuckDB that works on the file; one of our own if
            not given.

    Raises:
        DraftRejected: The file is not what a publication has to be.
        PlaceUnusable: There is no room for it.
    """
    known = {mart.name: mart for mart in reused}
    with ExitStack() as stack:
        connection = instance or stack.enter_context(duckdb.connect())
        try:
            with attached(connection, staged) as file:
                dress(file, draft, built_at, known)
            check_log(staged)
            with attached(connection, staged, read_only=True) as file:
                marts = inspect(file, draft.marts, known)
                for mart in marts:
                    check_values(file, mart)
                return marts
        except duckdb.Error as error:
            if remedy(error):
                raise unusable(str(staged), error) from error
            raise DraftRejected(
                f"The file of marts cannot be finished: {first_line(error)}"
            ) from error

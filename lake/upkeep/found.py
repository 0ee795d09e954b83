"""The tables of the lake that are there, each with the one that keeps its rejected rows."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake.exceptions import DeltaError

from lake import places, tables
from lake.contracts import NAMES
from lake.errors import TableBroken, TableMissing
from lake.failures import failed
from lake.scan import DATASET_FEATURES, features

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deltalake import DeltaTable

    from lake.places import Place


@dataclass(frozen=True)
class Found:
    """A table that is there.

    Attributes:
        name: What it is called on the command line, such as ``leads`` or ``leads_rejects``.
        place: Where it lies.
        table: Its newest version.
    """

    name: str
    place: Place
    table: DeltaTable


def place(name: str) -> Place:
    """Return where a table is, or would be.

    Args:
        name: What it is called on the command line.

    Raises:
        PlaceInvalid: The place is none.
    """
    return places.table_place(NAMES[name])


def find(name: str) -> Found | None:
    """Open a table; ``None`` where there is none.

    Raises:
        PlaceInvalid: The place is none.
        StoreFailed: The object store cannot tell.
        TableBroken: Its log cannot be read.
    """
    return _open(name, place(name))


def find_rejects(name: str) -> Found | None:
    """Open the table of the rows that could not be taken; ``None`` where there is none.

    Raises:
        PlaceInvalid: The place is none.
        StoreFailed: The object store cannot tell.
        TableBroken: Its log cannot be read.
    """
    return _open(f"{name}_rejects", places.rejects_place(place(name)))


def need(name: str) -> Found:
    """Open a table that has to be there.

    Raises:
        TableMissing: There is none.
        PlaceInvalid: The place is none.
        StoreFailed: The object store cannot tell.
        TableBroken: Its log cannot be read.
    """
    if (found := find(name)) is None:
        raise TableMissing(
            f"There is no Delta table {name} at {place(name)}: make one with `python -m lake load "
            f"{name}`, or look with `python -m lake status` where tables are."
        )
    return found


def asked_for(names: Sequence[str]) -> list[Found]:
    """Open the tables that are asked for; without names, all that are there.

    Raises:
        TableMissing: One that is asked for is not there, or there is none at all.
        PlaceInvalid: A place is none.
        StoreFailed: An object store cannot tell.
        TableBroken: A log cannot be read.
    """
    there = [need(name) for name in names] or [f for f in map(find, NAMES) if f]
    if not there:
        raise TableMissing(
            "There is no Delta table in the lake yet: make one with `python -m lake load`, or a "
            "demo with `python -m lake demo`."
        )
    return there


def to_tend(names: Sequence[str]) -> list[Found]:
    """Open the tables that are asked for and their rejects; without names, all that are there.

    Raises:
        TableMissing: One that is asked for is not there, or there is none at all.
        PlaceInvalid: A place is none.
        StoreFailed: An object store cannot tell.
        TableBroken: A log cannot be read.
    """
    there = asked_for(names)
    rejects = [find_rejects(found.name) for found in there]
    return [found for pair in zip(there, rejects, strict=True) for found in pair if found]


def refuse_foreign(found: Found, deed: str) -> None:
    """See that delta-rs knows all that keeps the table's rows.

    Its vacuum removes deletion vectors that are in use, and with them rows come back.

    Raises:
        TableBroken: It does not.
    """
    if unknown := features(found.table) - DATASET_FEATURES:
        raise TableBroken(
            f"The Delta table {found.name} at {found.place} uses {', '.join(sorted(unknown))}, and "
            f"cannot be {deed} from here without harm: have the engine that writes it do that."
        )


@contextmanager
def reading(found: Found, deed: str = "read") -> Iterator[None]:
    """Turn errors of a table's log and files into a sentence.

    Args:
        found: The table.
        deed: What is being done with it.

    Raises:
        StoreFailed: The object store has failed.
        TableBroken: That cannot be done.
    """
    try:
        yield
    except (DeltaError, OSError, ValueError, pa.ArrowException) as error:
        what = f"The Delta table {found.name} at {found.place}"
        raise failed(what, found.place, error, deed) from error


def _open(name: str, place: Place) -> Found | None:
    table = tables.open_table(place)
    return None if table is None else Found(name, place, table)

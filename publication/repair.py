"""What runs left that did not end, put right by the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publication import durable, shelf, staging

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from publication.manifest import Pointer


def repaired(folder: Path, staged: Path, link: Path | None, pointer: Pointer | None) -> list[str]:
    """Remove left-overs, and lead the analysts' link to the current publication.

    Args:
        folder: The publications' folder; the caller holds its lock.
        staged: Where builders have their folders.
        link: The stable path for analysts, if there is one.
        pointer: Which publication is current, if that is known.

    Returns:
        What was put right, and what cannot be from here, in a sentence each.
    """
    left = [*staging.sweep(staged), *shelf.remove_halves(folder, pointer)]
    sentences = []
    file = pointer and folder / pointer.file
    if file and file.exists():
        if link and durable.relink(link, file):
            sentences.append(f"{link} did not lead to the current publication; now it does.")
        if not (manifest := file.with_suffix(".json")).exists():
            sentences.append(
                f"The manifest of the current publication, {manifest}, is missing: restore it from "
                "a backup, or run `dbt build` or `python -m publication rollback N`."
            )
    if link:
        left += durable.remove_half_link(link)
    return [removed(left), *sentences] if left else sentences


def removed(names: Iterable[str]) -> str:
    """Say that left-overs were removed."""
    return f"Removed what a run that did not end has left: {', '.join(names)}."

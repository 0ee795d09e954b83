"""Names and texts as they stand in SQL."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(1024)  # there are few names, and every question has some
def identifier(*names: str) -> str:
    """Quote a name, or the parts of a dotted one: ``"main"."my table"``."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """Quote a text: ``'it''s'``."""
    return "'" + text.replace("'", "''") + "'"


def listed(names: tuple[str, ...]) -> str:
    """Quote names and join them with commas, for ``select``, ``group by`` or ``order by``."""
    return ", ".join(identifier(name) for name in names)

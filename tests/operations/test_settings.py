"""The operator's guide lists every setting that the code reads, and none that it does not."""

from __future__ import annotations

import re

import pytest

from tests.operations import guide, read_by_code

CODE = read_by_code.found()
TABLE = guide.settings()

CALLS = {"lake": {"dbt"}, "publication": {"dbt", "api"}}
"""Who else may read what a room's code reads, because it uses the room."""


def test_the_table_has_each_setting_of_the_code_and_no_other() -> None:
    missing = [
        f"{name} (read by {', '.join(sorted(CODE[name].readers))}, "
        f"default {' or '.join(sorted(CODE[name].defaults)) or 'none'})"
        for name in sorted(CODE.keys() - TABLE.keys())
    ]
    assert not missing, f"docs/operations.md lacks a row for {'; '.join(missing)}"
    gone = sorted(TABLE.keys() - CODE.keys())
    assert not gone, f"docs/operations.md has a row for what no code reads: {', '.join(gone)}"


@pytest.mark.parametrize("name", sorted(CODE.keys() & TABLE.keys()))
def test_a_row_says_who_reads_it_and_the_default(name: str) -> None:
    code, row = CODE[name], TABLE[name]
    may = code.readers.union(*(CALLS.get(reader, set()) for reader in code.readers))
    assert code.readers <= row.read_by <= may, f"{name} is read by {sorted(code.readers)}"
    if code.readers != {"tests"}:  # theirs are put together
        told = {text for text in re.findall(r"`([^`]+)`", row.default) if text[0] != "$"}
        assert told == code.defaults, f"{name} is by default {sorted(code.defaults)}"

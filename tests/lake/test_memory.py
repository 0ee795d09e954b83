"""Which amounts of memory a build takes: what passes, DuckDB understands."""

from __future__ import annotations

import duckdb
import pytest

from lake import memory
from lake.errors import SettingInvalid


@pytest.mark.parametrize(
    "amount", ["1MB", "512MB", "4GB", "4gb", "4G", "1.5 GiB", "0.5GB", "999999TiB"]
)
def test_an_amount_is_one_to_duckdb_too(amount):
    memory.check(amount)
    with duckdb.connect() as connection:
        connection.execute("set memory_limit = ?", [amount])


@pytest.mark.parametrize(
    "amount",
    ["lots", "4", "0", "0MB", "0.0GB", "-4GB", "1KB", "4GBx", "4Gi", "1e3MB", "٤GB", "4GB\n"],
)
def test_what_is_none_is_named(amount):
    with pytest.raises(SettingInvalid, match=r'^LEADMARTS_MEMORY .* is "') as refused:
        memory.check(amount)
    assert f'"{amount}"' in str(refused.value)

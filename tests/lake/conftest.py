"""What the lake's tests share: a lake of their own, and the command line as people run it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from lake.contracts import LEADS, MARKETING_CONVERSIONS
from lake.load import Loaded, load

ROOT = Path(__file__).parents[2]
CONTRACTS = {"leads": LEADS, "marketing_conversions": MARKETING_CONVERSIONS}


@dataclass(frozen=True)
class Lake:
    """A lake in a folder of its own."""

    data: Path

    def file(self, name: str, content: str | bytes) -> Path:
        """Write an input file, byte for byte."""
        path = self.data / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def load(self, name: str, content: str | bytes, table: str = "leads") -> Loaded:
        """Write an input file and load it."""
        return load(CONTRACTS[table], self.file(name, content))

    def counts(self, *args: Any, **kwargs: Any) -> tuple[int, int, int, int]:
        """Load a file and return inserted, updated, unchanged, rejected."""
        loaded = self.load(*args, **kwargs)
        done = loaded.upserted
        return done.inserted, done.updated, done.unchanged, loaded.rejected

    def folder(self, table: str) -> Path:
        return self.data / "lake" / table

    def table(self, table: str = "leads") -> DeltaTable:
        return DeltaTable(self.folder(table))

    def versions(self) -> dict[str, int]:
        """Every table's version."""
        return {
            folder.name: DeltaTable(folder).version() for folder in (self.data / "lake").iterdir()
        }

    def rows(self, table: str = "leads") -> list[dict[str, Any]]:
        """A table's rows by delta-rs' own engine, in the order of its key."""
        engine = QueryBuilder().register("t", self.table(table))
        rows = pa.table(engine.execute("select * from t")).to_pylist()
        key = CONTRACTS[table].key if table in CONTRACTS else ("digest", "line")
        return sorted(rows, key=lambda row: [row[name] for name in key])

    def by_id(self) -> dict[str, dict[str, Any]]:
        """The leads by their ids, each without its id and what is null."""
        return {
            row.pop("id"): {name: value for name, value in row.items() if value is not None}
            for row in self.rows()
        }

    def rejected(self, table: str = "leads") -> list[tuple[int, str]]:
        """Line and reason of every rejected row."""
        return [(row["line"], row["reason"]) for row in self.rows(f"{table}_rejects")]

    def changes(self, version: int, table: str = "leads") -> list[tuple[str, str]]:
        """The change feed from a version on: which id, and what became of it."""
        feed = pa.table(self.table(table).load_cdf(starting_version=version)).to_pylist()
        return sorted((row["id"], row["_change_type"]) for row in feed)

    def run(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``python -m lake`` in a process of its own."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("LEADMARTS")}
        return subprocess.run(
            [sys.executable, "-m", "lake", *map(str, arguments)],
            cwd=ROOT,
            env=inherited | {"LEADMARTS_DATA": str(self.data)} | environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """An empty lake, in the time zone that is the default."""
    for name in [name for name in os.environ if name.startswith("LEADMARTS")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LEADMARTS_DATA", str(tmp_path))
    return Lake(tmp_path)

"""What a Delta table takes of memory while it is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
from deltalake import WriterProperties, write_deltalake

ROOT = Path(__file__).parents[2]
ROWS = 6_000_000

GROUP = 250_000
"""Rows of a row group."""

WIDTH = 8
"""Bytes of a row."""

READ = """
import sys
from pathlib import Path
import time
import pyarrow as pa
from lake.pinned import pin

reader = pin("t", sys.argv[1]).scan.scanner().to_reader()
rows = len(reader.read_next_batch())
seen = [*range(10)]
while len(set(seen)) > 1:
    seen = [*seen[1:], pa.total_allocated_bytes()]
    time.sleep(0.05)
print(rows + sum(map(len, reader)), seen[0])
"""
"""Read all, but wait after the first batch until Arrow reads no further ahead; tell its bytes."""


def test_a_slow_reader_has_some_row_groups_in_memory_and_not_the_table(tmp_path: Path) -> None:
    rows = pa.table({"number": pa.array(range(ROWS), pa.int64())})
    groups = WriterProperties(max_row_group_size=GROUP)
    write_deltalake(tmp_path, rows, writer_properties=groups)
    command = [sys.executable, "-c", READ, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    read, held = map(int, done.stdout.split())
    assert read == ROWS
    assert held < ROWS * WIDTH / 2  # a million rows are read together

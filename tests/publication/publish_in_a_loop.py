"""Publish a few times in a folder that another process publishes in too.

python publish_in_a_loop.py FOLDER TIMES; the draft is FOLDER/draft.json, the SQL FOLDER/marts.sql.
"""

import sys
from pathlib import Path

import duckdb
import msgspec

from publication import Draft, Store

folder, times = Path(sys.argv[1]), int(sys.argv[2])
store = Store(folder / "publications", folder / "marts.duckdb", keep=100)
draft = msgspec.json.decode((folder / "draft.json").read_bytes(), type=Draft)
for _ in range(times):
    staged = store.stage("9d1f")
    with duckdb.connect(staged) as connection:
        connection.execute((folder / "marts.sql").read_text())
    sys.stdout.write(f"{store.publish(staged, draft).number}\n")

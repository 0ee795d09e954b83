"""An analyst who forgets ``read_only``: open a file, read it, close it, until standard input ends.

    python open_again_and_again.py FILE

Prints as JSON how often it could be opened, and what was said how often when it could not.
"""

import json
import sys
import threading
from collections import Counter
from pathlib import Path

import duckdb

path = Path(sys.argv[1])
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
said: Counter[str] = Counter()
while not ended.wait(0.002):
    try:
        with duckdb.connect(path) as connection:
            connection.execute("select count(*) from lead_event_counts_weekly").fetchall()
        said["opened"] += 1
    except duckdb.Error as error:
        said[f"{type(error).__name__}: {str(error).partition(chr(10))[0].rpartition(': ')[2]}"] += 1
json.dump(said, sys.stdout)

"""Run one dbt command after the other in one process, each as its own would be run.

Reads a JSON list of lists of words, and writes a JSON list of the exit code, the output and the
bytes of current.json after each. A process per command costs seconds of imports each.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import cli

outcomes = []
for words in json.load(sys.stdin):
    sys.argv = ["dbt", "--no-use-colors", *words]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        try:
            cli()
        except SystemExit as end:
            code = end.code or 0
    DuckDBConnectionManager.close_all_connections()
    outcomes.append((code, output.getvalue(), Path("data/publications/current.json").read_text()))
sys.stdout.write(json.dumps(outcomes))

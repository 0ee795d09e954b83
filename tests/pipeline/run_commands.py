"""Run commands of dbt and of our own one after the other in one process, each as by itself.

Reads a JSON list of commands, each a list of words and the environment variables that are its
own, and writes a JSON list of the exit code and the output of each. A process per command costs
seconds of imports each.
"""

import contextlib
import io
import json
import os
import sys

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import cli

from api.__main__ import main as api
from lake.__main__ import main as lake
from publication.__main__ import main as publication

PROGRAMS = {"api": api, "dbt": cli, "lake": lake, "publication": publication}

inherited = dict(os.environ)
outcomes = []
for words, variables in json.load(sys.stdin):
    os.environ.clear()
    os.environ.update(inherited | variables)
    sys.argv = words
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            PROGRAMS[words[0]]()
            code = 0
        except SystemExit as end:
            code = end.code or 0
    DuckDBConnectionManager.close_all_connections()
    outcomes.append((code, output.getvalue()))
sys.stdout.write(json.dumps(outcomes))

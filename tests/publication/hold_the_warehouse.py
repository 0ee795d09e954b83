"""Hold a warehouse until standard input ends.

python hold_the_warehouse.py FILE politely|rudely: as dbt does, or as any other program.
"""

import sys
from pathlib import Path

import duckdb

from publication.warehouse import Warehouse

path = Path(sys.argv[1])
if sys.argv[2] == "politely":
    warehouse = Warehouse(path, 0)
    warehouse.take({})
connection = duckdb.connect(path)
sys.stdout.write("held\n")
sys.stdout.flush()
sys.stdin.read()

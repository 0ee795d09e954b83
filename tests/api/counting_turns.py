"""The server, and a file that gets a byte for each turn that is given.

    python -m tests.api.counting_turns FILE OPTION...

The options are those of ``python -m api``.
"""

import os
import sys

from api.__main__ import main
from api.pace import Pace

given, turns = Pace.turn, os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT)


async def turn(self):
    """Take a turn, and say so."""
    await given(self)
    os.write(turns, b".")


Pace.turn = turn
main()

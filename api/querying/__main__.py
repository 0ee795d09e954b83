"""``python -m api.querying SOCKET``: a process that asks DuckDB, started by the server."""

import os
import signal
import socket
import sys
from contextlib import suppress

from api.garbage import look_seldom
from api.querying.process import serve

NICENESS = 5
"""How much less this process wants a core than the event loop does, which answers many in the time
of one question (nice(2): a third of the weight where both want the same core)."""

# Ctrl-C, and a stop by systemd, reach the whole group of processes; the server ends this one when
# what it has begun is answered: the socket is closed then.
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
look_seldom()
os.nice(NICENESS)
with suppress(OSError):  # the server is gone
    serve(socket.socket(fileno=int(sys.argv[1])))
os._exit(0)  # nothing is left to do, and DuckDB complains of what is kept for the next step

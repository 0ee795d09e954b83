"""Be ready to load a file, say so, and load it when a line comes: so that kills hit the loading."""

import sys

from lake import exchange
from lake.__main__ import main

exchange.LARGE = int(sys.argv.pop(1))

sys.stdout.write("ready\n")
sys.stdout.flush()
sys.stdin.readline()
main(["load", *sys.argv[1:]])

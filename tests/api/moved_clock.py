"""`python -m api` with a wall clock that moves: $CLOCK_MOVED names the file that says how far."""

import os
import time
from datetime import datetime
from pathlib import Path

import jwt.api_jwt

from api.__main__ import main

MOVED = Path(os.environ["CLOCK_MOVED"])

true = time.time


def moved() -> float:
    return true() + float(MOVED.read_text())


class Moved(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.fromtimestamp(moved(), tz)


time.time = moved
jwt.api_jwt.datetime = Moved

main()

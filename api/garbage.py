"""How often Python looks for garbage that only a cycle keeps."""

import gc

YOUNG = 2_000
"""How many more objects there are than were freed before it looks at the youngest: a millisecond's
work. An answered question leaves only what is kept of it, and no cycle."""

OLDER = 500
"""How many such looks come before one at the older ones."""

OLDEST = 50
"""How many of those come before one at all."""


def look_seldom() -> None:
    """Leave what there is now alone for good, and look at what comes seldom.

    For a process that is ready to serve: its modules and routes stay, and to go through them again
    and again is what its slowest answers would wait for.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDEST)

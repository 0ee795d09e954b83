"""What a connection refuses before the app hears of it, counted by status."""

from __future__ import annotations

REFUSED = dict.fromkeys((400, 408, 413, 414, 431, 503, 505), 0)
"""How many there were of each status in this process. uvicorn makes the connections, and nothing of
the app's reaches them, so both meet here. All statuses are there from the start: of a counter that
begins with its first refusal Prometheus does not see that one."""

"""What a person sees who opens what was just started over the demo lake."""

from __future__ import annotations

import httpx


def check_the_demo(url: str) -> None:
    """See that a server shows its page, and the weeks of the demo's leads."""
    with httpx.Client(base_url=url, timeout=10, follow_redirects=True) as client:
        assert client.get("/docs").status_code == 200
        weeks = client.get("/api/v1/transformation/count_date_by_week")
        assert weeks.status_code == 200
        assert len(weeks.json()) > 100  # two years of them

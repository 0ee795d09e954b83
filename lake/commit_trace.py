"""The trace that a commit was made in, as its own entry of the log tells it.

Whoever builds from a version can so go on with the trace of what wrote it. It stands in
``commitInfo``, where writers may add what they like
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md#commit-provenance-information).
"""

from __future__ import annotations

from deltalake import CommitProperties

from telemetry import traceparent

KEY = "traceparent"


def traced(commit: CommitProperties) -> CommitProperties:
    """Add the trace of the present work to what is committed, if it belongs to one."""
    if (trace := traceparent()) is None:
        return commit
    return CommitProperties(
        custom_metadata={**(commit.custom_metadata or {}), KEY: trace},
        max_commit_retries=commit.max_commit_retries,
        app_transactions=commit.app_transactions,
    )

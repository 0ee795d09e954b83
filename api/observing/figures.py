"""What one worker can say of itself in figures, at any moment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from api import __version__
from api.observing.connections import REFUSED
from api.observing.durations import Durations
from telemetry import Family, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from api.observing.traffic import Traffic
    from api.querying.pool import Processes
    from api.serving import Serving


class Figures:
    """Reads them where they are counted."""

    def __init__(self, traffic: Traffic, serving: Serving, processes: Processes) -> None:
        """Say where they are counted."""
        self._traffic = traffic
        self._serving = serving
        self._processes = processes

    def read(self) -> list[Family]:
        """Return all of them as they are now; any thread may."""
        return [*self._requests(), *self._publication(), *self._queries()]

    def _requests(self) -> Iterable[Family]:
        traffic = self._traffic
        # Another thread may count meanwhile. What is ready to go out has a tally too.
        tallies = [one for one in list(traffic.tallies.items()) if one[1].requests]
        routes: dict[str, Durations] = {}
        for (route, _, _), tally in tallies:
            routes.setdefault(route, Durations()).include(tally)
        yield Family(
            "leadmarts_requests",
            "counter",
            "Requests that were answered, by method, route and status.",
            ("method", "route", "status"),
            [
                Sample({"method": method, "route": route, "status": str(status)}, tally.requests)
                for (route, method, status), tally in tallies
            ],
        )
        yield Family(
            "leadmarts_request_seconds",
            "histogram",
            "From a request's headers to the last byte of its answer given to the server, unless "
            "it was refused for want of room or for its host.",
            ("route",),
            [durations.sample({"route": route}) for route, durations in routes.items()],
        )
        yield _plain(
            "leadmarts_cache_hits",
            "Requests answered from what was answered before.",
            traffic.hits,
            counted=True,
        )
        yield _plain(
            "leadmarts_cache_misses",
            "Requests by GET or HEAD that the framework was asked for.",
            traffic.misses,
            counted=True,
        )
        yield _plain(
            "leadmarts_requests_refused",
            "Requests that were answered with 503 at once, because there was no room for them.",
            traffic.refused,
            counted=True,
        )
        yield Family(
            "leadmarts_connections_refused",
            "counter",
            "Connections that were closed before the app had a whole request, by the status that "
            "says why; 503 where there were too many of them.",
            ("status",),
            [Sample({"status": str(status)}, number) for status, number in REFUSED.items()],
        )
        yield _plain(
            "leadmarts_answers_broken",
            "Answers that broke off after they had begun: their status was none of failure.",
            traffic.broken,
            counted=True,
        )

    def _publication(self) -> Iterable[Family]:
        serving = self._serving
        manifest = serving.publication.manifest if serving.publication else None
        sources = manifest.sources if manifest else ()
        yield Family(
            "leadmarts_info",
            "gauge",
            "Always 1; which version of the application runs.",
            ("version",),
            [Sample({"version": __version__}, 1)],
        )
        yield _plain(
            "leadmarts_publication_number",
            "The number of the publication that is served; 0 while there is none.",
            manifest.number if manifest else 0,
        )
        for name, about, moment in (
            ("built", "content was made", manifest and manifest.built_at),
            ("published", "number was given", manifest and manifest.published_at),
        ):
            yield _plain(
                f"leadmarts_publication_{name}_timestamp_seconds",
                f"When its {about}: time() less this is its age.",
                moment.timestamp() if moment else None,
            )
        yield Family(
            "leadmarts_source_committed_timestamp_seconds",
            "gauge",
            "When the version of a source table that it was built from was committed.",
            ("source",),
            [
                Sample({"source": source.name}, source.committed_at.timestamp())
                for source in sources
            ],
        )
        yield _plain(
            "leadmarts_swaps",
            "Publications that were swapped in since the start.",
            serving.swaps,
            counted=True,
        )
        yield _plain(
            "leadmarts_swap_failures",
            "Publications, or reasons of one, that were refused since the start.",
            serving.failures,
            counted=True,
        )
        yield _plain(
            "leadmarts_publication_refused",
            "1 while what the pointer names is not served, else 0.",
            int(serving.refusal is not None),
        )

    def _queries(self) -> Iterable[Family]:
        turns = self._processes.turns
        yield _plain(
            "leadmarts_queries_running", "Steps of queries that DuckDB has.", turns.running
        )
        yield _plain(
            "leadmarts_queries_waiting", "Steps of queries that wait for DuckDB.", turns.waiting
        )
        yield Family(
            "leadmarts_query_seconds",
            "histogram",
            "How long DuckDB's processes took for a step of a query, without the wait for one.",
            (),
            [turns.durations.sample({})],
        )
        yield _plain(
            "leadmarts_query_process_replacements",
            "Processes that ask DuckDB that have ended and were replaced.",
            self._processes.replaced,
            counted=True,
        )
        yield Family(
            "leadmarts_resident_memory_bytes",
            "gauge",
            "Memory of the server and of its processes that ask DuckDB, where the system tells.",
            ("part",),
            [
                Sample({"part": part}, memory)
                for part, memory in (
                    ("server", _resident([os.getpid()])),
                    ("duckdb", _resident(self._processes.pids)),
                )
                if memory is not None
            ],
        )


def _plain(name: str, about: str, value: float | None, *, counted: bool = False) -> Family:
    """A family of one figure, or of none that is not known."""
    samples = [] if value is None else [Sample({}, value)]
    return Family(name, "counter" if counted else "gauge", about, (), samples)


def _resident(pids: Iterable[int]) -> int | None:
    """How many bytes of memory some processes take; None where there is no ``/proc``."""
    try:
        pages = [int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) for pid in pids]
    except (OSError, IndexError):
        return None
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def labelled(families: Mapping[str, list[Family]]) -> list[Family]:
    """Put the figures of several workers together, each with the worker's number.

    Args:
        families: The figures of each worker; all workers have the same families.
    """
    together: dict[str, Family] = {}
    for worker, own in families.items():
        for family in own:
            found = together.setdefault(
                family.name,
                family._replace(labels=("worker", *family.labels), samples=[]),
            )
            found.samples.extend(
                sample._replace(labels={"worker": worker, **sample.labels})
                for sample in family.samples
            )
    return list(together.values())

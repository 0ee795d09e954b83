"""What /metrics shows, against what was asked; of several workers too."""

import asyncio
import re
import socket
import time
from datetime import datetime

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.observing.workers import FRESH, Workers
from telemetry import Family, Sample

COUNTS = "/api/v1/transformation/count_date_by_week"
MART = "/api/v1/marts/lead_event_counts_weekly"


def read(client):
    """All figures, by name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert re.fullmatch(
        r"text/plain; version=[\d.]+; charset=utf-8", answer.headers["content-type"]
    )
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def of(figures, name, **labels):
    """The sum of a name's figures that have some labels."""
    return sum(
        value
        for (found, has), value in figures.items()
        if found == name and labels.items() <= dict(has).items()
    )


@pytest.fixture
def server(run_server, make_publication, make_events, tmp_path):
    make_publication(tmp_path / "publications", make_events(1))
    with run_server() as server:
        yield server


def test_requests_are_counted_by_route_method_and_status(server):
    # Not held against the document: reading that would be counted too.
    with httpx.Client(base_url=server.url, timeout=60) as client:
        before = read(client)
        asked = [client.get(COUNTS) for _ in range(3)]
        etag = asked[0].headers["etag"]
        assert client.get(COUNTS, headers={"If-None-Match": etag}).status_code == 304
        client.head(COUNTS)
        client.get(f"{MART}?limit=1")
        for number in range(3):
            client.get(f"/nowhere/{number}")
        httpx.request("PATCH", f"{server.url}{COUNTS}")
        client.get(f"{COUNTS}?start=x")
        after = read(client)

    def more(name, **labels):
        return of(after, name, **labels) - of(before, name, **labels)

    name = "leadmarts_requests_total"
    assert more(name, route=COUNTS, method="GET", status="200") == 3
    assert more(name, route=COUNTS, method="GET", status="304") == 1
    assert more(name, route=COUNTS, method="HEAD", status="200") == 1
    assert more(name, route=COUNTS, method="GET", status="400") == 1
    assert more(name, route="/api/v1/marts/{mart}", status="200") == 1
    assert more(name, route="none", status="404") == 3
    assert more(name, method="other", status="405") == 1
    assert more("leadmarts_cache_hits_total") == 4
    assert more("leadmarts_request_seconds_count", route=COUNTS) == 6 + more(
        name, route=COUNTS, method="other"
    )
    assert more("leadmarts_query_seconds_count") >= 2
    # Nothing that a client chose is a label.
    labels = {value for _, has in after for _, value in has}
    assert not any("nowhere" in value for value in labels)


def test_histograms_add_up(server):
    with server.client() as client:
        for _ in range(5):
            client.get(COUNTS)
        figures = read(client)
    buckets = sorted(
        (float(dict(has)["le"]), value)
        for (name, has), value in figures.items()
        if name == "leadmarts_request_seconds_bucket" and dict(has)["route"] == COUNTS
    )
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)
    assert buckets[-1] == (
        float("inf"),
        of(figures, "leadmarts_request_seconds_count", route=COUNTS),
    )
    assert 0 < of(figures, "leadmarts_request_seconds_sum", route=COUNTS) < 60


def test_publication_sources_swaps_and_failures(
    server, make_publication, make_events, tmp_path, wait_until
):
    folder = tmp_path / "publications"
    second = make_publication(folder, make_events(2))
    with server.client() as client:
        wait_until(lambda: of(read(client), "leadmarts_publication_number") == 2)
        figures = read(client)
        assert of(figures, "leadmarts_swaps_total") == 2
        assert of(figures, "leadmarts_swap_failures_total") == 0
        built = of(figures, "leadmarts_publication_built_timestamp_seconds")
        assert built == pytest.approx(second.built_at.timestamp())
        assert 0 <= time.time() - built < 600
        committed = {
            source.name: datetime.fromisoformat(str(source.committed_at)).timestamp()
            for source in second.sources
        }
        assert committed
        for source, moment in committed.items():
            name = "leadmarts_source_committed_timestamp_seconds"
            assert of(figures, name, source=source) == pytest.approx(moment)
        for part in ("server", "duckdb"):
            assert of(figures, "leadmarts_resident_memory_bytes", part=part) > 10_000_000
        (folder / "current.json").write_text("{")
        wait_until(lambda: of(read(client), "leadmarts_publication_refused") == 1)
        figures = read(client)
        assert of(figures, "leadmarts_swap_failures_total") == 1
        assert of(figures, "leadmarts_publication_number") == 2


def test_before_the_first_publication_there_are_figures_too(run_server):
    with run_server() as server, server.client() as client:
        assert of(read(client), "leadmarts_publication_number") == 0


def test_openmetrics_is_given_to_who_asks_for_it(client):
    asked = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = httpx.get(f"{client.base_url}/metrics", headers=asked)
    assert answer.headers.get_list("content-type") == [
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
    ]
    assert answer.text.endswith("# EOF\n")
    assert answer.headers["cache-control"] == "no-store"


def test_who_asks_often_does_not_make_all_workers_work(tmp_path):
    """The others are asked once for all who ask at a time; what is their own is always new."""
    read = {"0": 0, "1": 0}

    def worker(number):
        def count():
            read[number] += 1
            return [Family("asked", "counter", "", (), [Sample({}, read[number])])]

        return Workers(count, tmp_path)

    async def go():
        one, other = worker("0"), worker("1")
        async with one.lifespan(None), other.lifespan(None):
            seen = await asyncio.gather(*(one.figures() for _ in range(5)))
            seen.append(await one.figures())
            assert read == {"0": 6, "1": 1}
            assert [list(figures) for figures in seen] == [["0", "1"]] * 6
            one._round_begun -= FRESH
            await one.figures()
            assert read["1"] == 2

    asyncio.run(go())


def test_whoever_of_the_workers_answers_tells_of_all(
    run_server, make_publication, make_events, tmp_path, wait_until
):
    make_publication(tmp_path / "publications", make_events(1))
    command = ["-m", "api", "--port", "0", "--workers", "2"]
    with run_server(command) as server:
        wait_until(lambda: server.log().count("Publication 1 is served now.") == 2)
        asked = 0
        answered = dict.fromkeys(("0", "1"), 0.0)
        while min(answered.values()) == 0:
            asked += 1
            assert asked < 1000
            with server.client() as client:  # a connection of its own, which goes to either worker
                client.get(COUNTS)
                figures = read(client)
            for one in answered:
                answered[one] = of(figures, "leadmarts_requests_total", route=COUNTS, worker=one)
        host, _, port = server.url.removeprefix("http://").rpartition(":")
        for _ in range(12):
            with socket.create_connection((host, int(port)), timeout=30) as connection:
                connection.sendall(b"this is no HTTP\r\n\r\n")
                assert connection.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 400"

        def told():
            with server.client() as client:
                figures = read(client)
            return (
                of(figures, "leadmarts_requests_total", route=COUNTS),
                of(figures, "leadmarts_connections_refused_total", status="400"),
                {dict(has)["worker"] for _, has in figures},
            )

        for _ in range(6):  # what is another's may be some moments old
            wait_until(lambda: told() == (asked, 12, {"0", "1"}), what="all figures")

"""Publications that come and go under a running server."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import psutil
import pytest

from publication import Pointer, Store

WEEK = "/api/v1/transformation/count_date_by_week"
MONTH = "/api/v1/transformation/count_date_by_month"
LIST = "/api/v1/publications"
MARTS = "/api/v1/marts"
ANSWERS = [(WEEK, "week"), (MONTH, "month")]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "publications"


def number_served(client):
    return client.get("/health/ready").json().get("publication")


def test_none_then_the_first(run_server, folder, make_publication, make_events, model, wait_until):
    with run_server() as server, server.client() as client:
        assert client.get("/health/live").status_code == 200
        assert client.get("/").status_code == 200
        assert client.get("/docs").status_code == 200
        assert client.get("/openapi.json").status_code == 200
        assert client.get("/api/v1/publications").json() == []
        for path in ("/health/ready", WEEK, MONTH, "/api/v1/publications/current"):
            answer = client.get(path)
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) > 0
            detail = answer.json()["detail"]
            assert detail.startswith("There is no publication yet. `dbt build` makes")
            assert "make run" in detail
            assert client.head(path).status_code == 503
        assert "`dbt build` makes one" in server.log()

        events = make_events(3)
        make_publication(folder, events)
        wait_until(lambda: number_served(client) == 1)
        for path, grain in ANSWERS:
            assert client.get(path).json() == model(events, grain)


def test_publications_come_while_clients_ask(
    run_server, folder, make_publication, make_events, model, wait_until
):
    """No request fails, and every answer is whole and of the publication that it names."""
    contents = {number: make_events(number) for number in range(1, 6)}
    expected = {
        (path, number): model(events, grain)
        for number, events in contents.items()
        for path, grain in ANSWERS
    }
    over = threading.Event()
    latest = [0] * 4
    make_publication(folder, contents[1], keep=1)

    # Room for all four, so that none is refused while the machine is busy with other things.
    with run_server(LEADMARTS_QUEUE="8") as server:

        def ask(client_number):
            """Ask until it is over; return how many answers came and how many were 304."""
            path = ANSWERS[client_number % 2][0]
            # Some ask what is always kept, some what is never: both ways through the server.
            unique = client_number < 2
            asked = unchanged = 0
            tags = {}
            with server.client() as client:
                while not over.is_set():
                    query = f"?start=0001-01-{1 + asked % 28:02}" if unique else ""
                    known = {"If-None-Match": tags[query]} if query in tags else {}
                    answer = client.get(path + query, headers=known)
                    asked += 1
                    number = int(answer.headers["publication"])
                    assert number >= latest[client_number]
                    latest[client_number] = number
                    if answer.status_code == 304:
                        unchanged += 1
                        assert answer.headers["etag"] == tags[query]
                    else:
                        assert answer.status_code == 200
                        assert answer.json() == expected[path, number]
                        tags[query] = answer.headers["etag"]
                    time.sleep(0.003)  # leave a little time for the publisher in this process
            return asked, unchanged

        with ThreadPoolExecutor(4) as pool, server.client() as client:
            clients = [pool.submit(ask, number) for number in range(4)]
            try:
                for number in range(2, max(contents) + 1):
                    # Only the newest is kept: files vanish while requests still read them.
                    make_publication(folder, contents[number], keep=1)
                    wait_until(lambda number=number: number_served(client) == number)
                wait_until(lambda: set(latest) == {max(contents)} or any(c.done() for c in clients))
            finally:
                over.set()
            asked, unchanged = map(sum, zip(*(one.result() for one in clients), strict=True))
        assert set(latest) == {max(contents)}
        assert asked > 100
        assert 0 < unchanged < asked

        # What is not served any more is closed: nothing holds the disk space of removed files.
        wait_until(lambda: {Path(path).name[:6] for path in server.open_databases()} == {"000005"})
        assert "Publication refused" not in server.log()


def test_the_folder_may_vanish(
    run_server, folder, make_publication, make_events, model, wait_until
):
    events = make_events(1)
    make_publication(folder, events)
    with run_server() as server, server.client() as client:
        assert client.get(WEEK).status_code == 200
        shutil.rmtree(folder)
        ready = wait_until(lambda: client.get("/health/ready").json()["refused"])
        assert "gone" in ready
        # Also what was not asked before.
        answer = client.get(MONTH, params={"start": "2000-01-01"})
        assert answer.json() == model(events, "month")
        assert client.get("/api/v1/publications/current").json()["number"] == 1
        # Long enough for more looks: it is said once, not each time.
        time.sleep(1.5)
        assert server.log().count("current.json is gone") == 1
        again = make_events(2)
        make_publication(folder, again)
        wait_until(lambda: client.get(WEEK).json() == model(again, "week"))


def test_gone_and_not_yet(run_server, folder, make_publication, make_events, wait_until):
    for number in (1, 2, 3):
        make_publication(folder, make_events(number), keep=2)
    with run_server() as server, server.client() as client:
        statuses = [client.get(f"/api/v1/publications/{number}").status_code for number in range(6)]
        assert statuses == [404, 410, 200, 200, 404, 404]
        assert "gone" in client.get("/api/v1/publications/1").json()["detail"]


def test_a_rollback_is_seen_as_a_higher_number(
    run_server, folder, make_publication, make_events, model, wait_until
):
    first = make_events(1)
    make_publication(folder, first)
    with run_server() as server, server.client() as client:
        tag = client.get(WEEK).headers["etag"]
        make_publication(folder, make_events(2))
        wait_until(lambda: number_served(client) == 2)
        assert client.get(WEEK, headers={"If-None-Match": tag}).status_code == 200
        Store(folder).rollback(1)
        wait_until(lambda: number_served(client) == 3)
        assert client.get(WEEK).json() == model(first, "week")
        # The content is the first one's again, and so is its tag.
        same = client.get(WEEK, headers={"If-None-Match": tag})
        assert same.status_code == 304
        assert same.headers["publication"] == "3"


def multiply(folder, manifest, many):
    """Have as many publications as that, with the content of the first; the last is current."""
    text = (folder / manifest.file).with_suffix(".json").read_text()
    pointer = folder / "current.json"
    for number in range(2, many + 1):
        file = folder / f"{number:06d}{manifest.file[6:]}"
        its = text.replace(manifest.file, file.name).replace('"number": 1', f'"number": {number}')
        file.with_suffix(".json").write_text(its)
    file.hardlink_to(folder / manifest.file)
    current = Pointer(number=many, file=file.name, digest=manifest.digest)
    pointer.write_bytes(msgspec.json.encode(current))


def test_of_thousands_of_publications_a_page_is_read(run_server, folder, make_publication):
    many = 3000
    multiply(folder, make_publication(folder, []), many)
    with run_server() as server, server.client() as client:
        reading = psutil.Process(server.process.pid)
        before = reading.io_counters().read_chars
        answer = client.get("/api/v1/publications")
        read = reading.io_counters().read_chars - before
        assert [one["number"] for one in answer.json()] == list(range(many, many - 10, -1))
        assert answer.headers["x-total-count"] == str(many)
        assert len(answer.content) < 10_000
        assert read < 100 * len(answer.content)  # all manifests have 15 MB

        assert answer.links.keys() == {"first", "next", "last"}

        found, following = [], f"{LIST}?page_size=100&offset={many - 350}"
        while following:
            answer = client.get(following)
            found += [one["number"] for one in answer.json()]
            links = answer.links
            assert "prev" in links
            following = links.get("next", {}).get("url")
        assert found == list(range(350, 0, -1))
        assert client.get(links["first"]["url"]).json()[0]["number"] == many
        assert client.get(links["last"]["url"]).json() == answer.json()
        beyond = client.get(LIST, params={"offset": many + 5})
        assert beyond.json() == []
        assert beyond.headers["x-total-count"] == str(many)

        middle = next(folder.glob("002995-*.json"))
        middle.unlink()
        middle.write_bytes(b"{")
        told = client.get(LIST, params={"offset": 3, "page_size": 4}).json()
        assert [one["number"] for one in told] == [2997, 2996, 2994]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("page_size=0", "page_size=0 is not a whole number from 1 to 100."),
        ("page_size=101", "page_size=101 is not a whole number from 1 to 100."),
        ("offset=-1", "offset=-1 is not a whole number, 0 or more."),
        ("offset=null", "offset=null is not a whole number, 0 or more."),
        ("offset=1&offset=2", "The parameter offset was given 2 times; give one."),
        (
            "limit=5",
            "There is no parameter 'limit' here; the known ones are offset, page_size.",
        ),
    ],
)
def test_a_page_of_publications_that_cannot_be(client, query, told):
    answer = client.get(f"{LIST}?{query}")
    assert answer.status_code == 400
    assert answer.json()["detail"] == told


def test_nobody_is_told_what_is_not_for_everybody(
    run_server, folder, make_publication, make_events, tmp_path
):
    """Neither where things lie, nor how many rows a mart has that not everybody may read."""
    guarded = {"many": "select range as n from range(76543)"}
    manifests = [
        make_publication(folder, make_events(1), more=guarded, scopes={"many": scope})
        for scope in ("open", None, "sales:read")
    ]
    for manifest in manifests:
        file = (folder / manifest.file).with_suffix(".json")
        text = file.read_text().replace("data/lake/leads", "s3://a-secret-bucket/a/folder/leads")
        file.unlink()
        file.write_text(text)
    with run_server() as server, server.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
        asked = [
            *(path for path in paths if "{" not in path),
            *(f"{LIST}/{number}" for number in range(5)),
            *(f"{MARTS}/lead_event_counts_weekly.{kind}" for kind in ("csv", "arrow", "parquet")),
            *(f"{MARTS}/lead_event_counts_weekly/changes?since={number}" for number in (1, 9)),
            *(f"{MARTS}/many{rest}" for rest in ("", ".csv", "?publication=1", "/changes?since=1")),
            "/nowhere",
        ]
        for path in asked:
            answer = client.get(path)
            said = f"{answer.headers} {answer.content!r}"
            for private in ("a-secret-bucket", "76543", str(tmp_path)):
                assert private not in said, path
        # What the mart was once is no way around what it is now.
        for number in (1, 2, 3):
            marts = client.get(f"{LIST}/{number}").json()["marts"]
            rows = {mart["name"]: mart["rows"] for mart in marts}
            assert rows["many"] is None
            assert rows["lead_event_counts_weekly"] > 0
        assert client.get(f"{LIST}/3").json()["sources"][0].keys() == {
            *("name", "table_id", "version", "committed_at")
        }
        listed = {mart["name"]: mart["rows"] for mart in client.get(MARTS).json()}
        assert listed == rows

"""Publications one after the other, under clients that never stop asking."""

import json
import threading
import time
from collections import Counter

import pytest

PATHS = [
    "/api/v1/marts/long",
    "/api/v1/marts/long?select=version,n&n=lt.50&order=n.desc",
    "/api/v1/marts/long.csv?n=lt.20",
    "/api/v1/marts/long?select=version,total:n.count()",
]
CLIENTS = 8


class Client(threading.Thread):
    """Asks one thing again and again, and remembers what was wrong."""

    def __init__(self, server, path, stop):
        super().__init__(daemon=True)
        self._server = server
        self._path = path
        self._stopped = stop
        self.wrong = []
        self.answers = Counter()

    def run(self):
        last, etag = 0, None
        with self._server.client() as client:
            while not self._stopped.wait(0.003):  # leave the publisher a little of this process
                headers = {"If-None-Match": etag} if etag and self.answers.total() % 3 == 0 else {}
                answer = client.get(self._path, headers=headers)
                number = int(answer.headers.get("publication", "0"))
                self.answers[number] += 1
                if answer.status_code not in {200, 304}:
                    self.wrong.append(f"{answer.status_code} from {number}")
                elif number < last:
                    self.wrong.append(f"{number} after {last}")
                elif answer.status_code == 200 and versions(answer) != {number}:
                    self.wrong.append(f"{versions(answer)} in {number}")
                last, etag = number, answer.headers.get("etag")


def versions(answer):
    """The versions that the rows of an answer say they are of."""
    if answer.headers["content-type"].startswith("text/csv"):
        lines = answer.text.splitlines()
        place = lines[0].replace('"', "").split(",").index("version")
        return {int(line.split(",")[place]) for line in lines[1:]}
    return {row["version"] for row in json.loads(answer.content)}


def wait_until_served(server, number):
    deadline = time.monotonic() + 60
    with server.client() as client:
        while client.get("/health/ready").json()["publication"] != number:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def in_succession(server, publish, publications, start, requests=0):
    """Publish again and again under clients; returns what they saw and the server's resources.

    If it is to go on until so many requests were answered, then each publication is also served
    before the next one comes.
    """
    stop = threading.Event()
    clients = [Client(server, PATHS[n % len(PATHS)], stop) for n in range(CLIENTS)]
    resources = []
    for client in clients:
        client.start()
    try:
        for number in range(start, start + publications):
            publish(number)
            if requests:
                wait_until_served(server, number)
            resources.append((server.memory(), server.descriptors()))
        while sum(client.answers.total() for client in clients) < requests:
            assert [client.wrong for client in clients] == [[]] * CLIENTS
            time.sleep(1)
            resources.append((server.memory(), server.descriptors()))
        wait_until_served(server, start + publications - 1)
    finally:
        stop.set()
        for client in clients:
            client.join(60)
    return clients, resources


@pytest.mark.parametrize(
    "publications", [12, pytest.param(200, marks=pytest.mark.soak)], ids=["few", "200"]
)
def test_no_answer_is_wrong_while_publications_follow(
    run_server, make_publication, tmp_path, publications
):
    def publish(number):
        made = f"select n, {number} as version, 'text ' || n as t from range(3000) r(n)"
        make_publication(tmp_path / "publications", [], more={"long": made})

    publish(1)
    with run_server(LEADMARTS_QUEUE=str(CLIENTS)) as server:  # none is refused
        requests = 100_000 if publications == 200 else 0
        clients, resources = in_succession(server, publish, publications, 2, requests)
    assert [client.wrong for client in clients] == [[]] * CLIENTS
    seen = set().union(*(client.answers for client in clients))
    # Publications that follow faster than a second are passed over; the last never is.
    assert publications + 1 in seen
    assert len(seen) > publications / 10
    if publications == 200:
        assert sum(client.answers.total() for client in clients) > 100_000
        settled, last = resources[len(resources) // 3 :], resources[-1]
        files = [fds for _, fds in settled]
        assert max(files) - min(files) <= CLIENTS + 6
        assert last[0] - settled[0][0] < 32 << 20

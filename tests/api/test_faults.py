"""A server that starts over damage, or whose folder is lost under it, serves what is whole."""

import shutil

import psutil
import pytest

from publication import Store

WEEK = "/api/v1/transformation/count_date_by_week"
ROWS = "/api/v1/marts/lead_event_counts_weekly"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "publications"


def replace(path, content):
    path.unlink()
    path.write_bytes(content)


def halve(folder, current):
    path = folder / current.file
    replace(path, path.read_bytes()[: path.stat().st_size // 2])


def lose_all_of_it(folder, current):
    (folder / current.file).unlink()
    (folder / current.file).with_suffix(".json").unlink()


def halve_pointer(folder, current):
    path = folder / "current.json"
    path.write_bytes(path.read_bytes()[:20])


def lose_pointer(folder, current):
    (folder / "current.json").unlink()


DAMAGE = {
    halve: (1, "is damaged: its SHA-256"),
    lose_all_of_it: (1, "Publication 2 is gone"),
    # With the pointer alone nothing is lost that was published.
    halve_pointer: (2, "current.json cannot be read"),
    lose_pointer: (2, "current.json is gone"),
}


@pytest.mark.parametrize("damage", DAMAGE, ids=[damage.__name__ for damage in DAMAGE])
def test_it_starts_with_the_newest_that_is_whole(
    run_server, folder, make_publication, make_events, model, wait_until, damage
):
    contents = {number: make_events(number) for number in (1, 2, 3)}
    make_publication(folder, contents[1])
    damage(folder, make_publication(folder, contents[2]))
    number, sentence = DAMAGE[damage]
    with run_server() as server, server.client() as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        ready = client.get("/health/ready").json()
        assert ready["publication"] == number
        assert sentence in ready["refused"]
        assert "`dbt build`" in ready["refused"] or "python -m publication list" in ready["refused"]
        answer = client.get(WEEK)
        assert answer.headers["publication"] == str(number)
        assert answer.json() == model(contents[number], "week")
        assert client.get(ROWS, params={"publication": 1}).status_code == 200
        assert client.get("/api/v1/publications").json()[0]["number"] == number
        assert server.log().count(f"Publication {number} is the newest that is whole") == 1
        assert server.log().count("Publication refused") == 1

        following = make_publication(folder, contents[3])
        assert following.number == 3
        wait_until(lambda: client.get("/health/ready").json()["refused"] is None)
        assert client.get(WEEK).json() == model(contents[3], "week")


def test_the_damaged_one_is_served_as_soon_as_it_is_whole(
    run_server, folder, make_publication, make_events, wait_until
):
    make_publication(folder, make_events(1))
    path = folder / make_publication(folder, make_events(2)).file
    whole = path.read_bytes()
    replace(path, b"")
    with run_server() as server, server.client() as client:
        assert client.get("/health/ready").json()["publication"] == 1
        replace(path, whole)
        wait_until(lambda: client.get("/health/ready").json()["publication"] == 2)
        assert client.get("/health/ready").json()["refused"] is None


def test_a_folder_that_is_deleted_under_it(
    run_server, folder, tmp_path, make_publication, make_events, model, wait_until
):
    """What is served is served on, and asked anew; what was kept besides is gone."""
    make_publication(folder, make_events(1))
    make_publication(folder, make_events(2))
    with run_server() as server, server.client() as client:
        folder.rename(tmp_path / "away")
        shutil.rmtree(tmp_path / "away")
        wait_until(lambda: client.get("/health/ready").json()["refused"])
        assert client.get(WEEK).json() == model(make_events(2), "week")
        asked = client.get(ROWS, params={"limit": 1})
        assert (asked.status_code, asked.headers["publication"]) == (200, "2")
        for path in (f"{ROWS}?publication=1", f"{ROWS}/changes?since=1", "/api/v1/publications/1"):
            assert client.get(path).status_code == 410, path
        assert client.get(f"{ROWS}?publication=3").status_code == 404

        following = make_publication(folder, make_events(3))
        wait_until(lambda: client.get("/health/ready").json()["refused"] is None)
        assert client.get("/health/ready").json()["publication"] == following.number
        assert client.get(WEEK).json() == model(make_events(3), "week")


def test_a_process_that_dies_when_the_file_is_gone(
    run_server, folder, make_publication, make_events, model, wait_until
):
    """Nobody can open it again: what was answered is answered still, the rest says why not."""
    make_publication(folder, make_events(1))
    with run_server() as server, server.client() as client:
        kept = client.get(WEEK)
        (asks,) = [
            process
            for process in psutil.Process(server.process.pid).children(recursive=True)
            if "api.querying" in process.cmdline()
        ]
        away = folder.with_name("away")
        folder.rename(away)
        asks.kill()
        wait_until(lambda: "a new one takes its place" in server.log())

        def said():
            answer = client.get(ROWS, params={"limit": 1})
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            return "cannot be opened" in answer.json()["detail"] and answer

        wait_until(said)
        assert client.get(WEEK).content == kept.content
        away.rename(folder)
        wait_until(lambda: client.get(ROWS, params={"limit": 1}).status_code == 200)
        assert client.get(f"{WEEK}?dense=true").json() == model(make_events(1), "week", dense=True)
        assert Store(folder).current().number == 1

"""What waits for a turn of the event loop gets one a round, and lets others through."""

import asyncio
from collections import Counter

import httpx
from hypothesis import given
from hypothesis import strategies as st

from api.pace import Pace


class Rounds:
    """Counts the rounds of the loop."""

    def __init__(self):
        self.number = 0
        asyncio.get_running_loop().call_soon(self._count)

    def _count(self):
        self.number += 1
        asyncio.get_running_loop().call_soon(self._count)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20), st.data())
def test_one_a_round_in_order_and_nobody_is_forgotten(pieces, data):
    """Each task has some pieces of work; some tasks are given up while they wait."""
    leaving = data.draw(st.sets(st.integers(0, len(pieces) - 1)))
    rounds_before_leaving = data.draw(st.integers(0, 10))

    async def work(pace, rounds, name, count, done):
        for _ in range(count):
            await pace.turn()
            done.append((rounds.number, name))

    async def go():
        pace, rounds, done = Pace(), Rounds(), []
        tasks = [
            asyncio.create_task(work(pace, rounds, name, count, done))
            for name, count in enumerate(pieces)
        ]
        for _ in range(rounds_before_leaving):
            await asyncio.sleep(0)
        for name in leaving:
            tasks[name].cancel()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks, return_exceptions=True)
            await pace.turn()  # and the next one finds it as it was
        return done, rounds.number

    done, rounds = asyncio.run(go())
    assert max(Counter(number for number, _ in done).values(), default=0) <= 1
    counted = Counter(name for _, name in done)
    for name, count in enumerate(pieces):
        assert counted[name] == count or (name in leaving and counted[name] < count)
    firsts = list(dict.fromkeys(name for _, name in done if name not in leaving))
    assert firsts == sorted(firsts)
    assert rounds <= 2 * sum(pieces) + rounds_before_leaving + 10  # no round is waited for in vain


def test_what_needs_no_turn_goes_between():
    async def go():
        pace, done = Pace(), []

        async def question(name):
            await pace.turn()
            done.append(name)

        async def probe():
            await asyncio.sleep(0)  # as a server reads first
            done.append("probe")

        asking = [asyncio.create_task(question(name)) for name in range(20)]
        await asyncio.gather(asyncio.create_task(probe()), *asking)
        return done

    assert asyncio.run(go()).index("probe") <= 3


TURNS = {
    "/api/v1/marts/lead_event_counts_weekly": 3,  # to come in, for the handler, after its step
    "/api/v1/marts/lead_event_counts_weekly.csv": 4,  # after each of two steps
    "/api/v1/marts": 2,
    "/api/v1/marts/none": 2,
    "/health/live": 0,
    "/health/ready": 0,
}


def test_each_piece_of_a_question_takes_its_turn(
    run_server, tmp_path, make_publication, make_events
):
    make_publication(tmp_path / "publications", make_events(1))
    file = tmp_path / "turns"
    counting = ["-m", "tests.api.counting_turns", str(file), "--port", "0"]
    # Its client has no document to hold answers against: to get that takes turns as well.
    with run_server(counting) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        for path, turns in TURNS.items():
            before = file.stat().st_size
            client.get(path)
            assert file.stat().st_size - before == turns, path

"""The shelf of kept answers is bounded, whatever is put on it."""

import asyncio
from itertools import pairwise
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import shelf
from api.answers import Answer
from api.observing.traffic import Tallies
from api.shelf import AT_ONCE, Key, Shelf

HEADERS = [(b"content-type", b"application/json"), (b"etag", b'"x"')]

keys = st.integers(0, 30).map(lambda number: Key(f"/{number}", b"", (None, b"o" * number)))


def answer(length):
    return Answer(200, HEADERS, b"x" * length, "identity", Tallies(), "/")


def get(answers, key):
    """Look an answer up as a request does."""
    found = answers.get(key)
    if found is not None:
        found.used = perf_counter()
    return found


@given(st.lists(st.tuples(st.booleans(), keys, st.integers(0, 3000)), max_size=60))
def test_it_is_bounded_and_the_latest_stay(steps):
    entries, size = 50, 16_000  # the size is reached first, after some ten answers
    answers = Shelf(entries, size, 2000)
    kept: dict[object, Answer] = {}  # least recently used first
    for keep, key, length in steps:
        if keep:
            new = answer(length)
            answers.keep(key, new)
            there = get(answers, key)
            if length < 500:
                assert there is new
            if there is not None:  # perhaps the one before, if the new one is too large
                kept.pop(key, None)
                kept[key] = there
        elif (found := get(answers, key)) is not None:
            assert found is kept.pop(key)
            kept[key] = found
        else:
            kept.pop(key, None)
        recent = answers.recent(100)
        assert recent == list(reversed(kept))[: len(recent)]
        assert len(recent) <= entries
        assert sum(len(key.path) + len(key.values[1]) for key in recent) < size
        assert sum(kept[key].size for key in recent) <= size


@pytest.mark.parametrize(("bounds", "most"), [({"entries": 16}, 16), ({"size": 31_000}, 16)])
def test_it_is_bounded_by_number_and_by_size(bounds, most):
    answers = Shelf(**bounds)
    for number in range(60):
        answers.keep(Key(f"/{number}", b"", ()), answer(800))
        left = len(answers)
        assert left == min(number + 1, most)  # no more go than there must
        assert [key.path for key in answers.recent(60)] == [f"/{number - n}" for n in range(left)]


def test_a_huge_answer_pushes_nothing_out():
    answers = Shelf(entries=10, size=16_000, largest=2000)
    small, huge = Key("/small", b"", ()), Key("/huge", b"", ())
    answers.keep(small, answer(100))
    answers.keep(huge, answer(15_000))
    assert answers.recent(10) == [small]


def test_it_is_emptied_in_parts_and_can_be_filled_again():
    answers = Shelf(entries=300)
    for number in range(300):
        answers.keep(Key(f"/{number}", b"", ()), answer(10))
    left = []

    async def go():
        emptying = asyncio.create_task(answers.empty())
        while not emptying.done():
            await asyncio.sleep(0)
            left.append(len(answers))

    asyncio.run(go())
    assert not answers
    assert len(left) > 3
    assert max(before - after for before, after in pairwise([300, *left])) <= AT_ONCE
    for number in range(400):
        answers.keep(Key(f"/{number}", b"", ()), answer(10))
    assert len(answers) == 300


def test_replacing_an_answer_frees_its_room():
    answers = Shelf(entries=10, size=32_000)
    key, other = Key("/", b"", ()), Key("/other", b"", ())
    answers.keep(other, answer(10))
    for _ in range(100):
        answers.keep(key, answer(2500))
    assert answers.get(other) is not None


def test_few_are_looked_at_when_one_must_go(monkeypatch):
    """All were used since one went, and who asks next must not wait until they are in order."""
    answers, looks = Shelf(entries=500), []
    put_back = shelf.heapreplace

    def look(heap, entry):
        looks.append(entry)
        return put_back(heap, entry)

    monkeypatch.setattr(shelf, "heapreplace", look)
    for number in range(500):
        answers.keep(Key(f"/{number}", b"", ()), answer(10))
    for key in list(answers):
        get(answers, key)
    for number in range(10):
        looks.clear()
        answers.keep(Key(f"/new/{number}", b"", ()), answer(10))
        assert len(looks) <= AT_ONCE
        assert len(answers) == 500
    assert {f"/new/{number}" for number in range(10)} <= {key.path for key in answers}

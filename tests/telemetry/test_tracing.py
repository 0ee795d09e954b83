"""Traces go on from one room to the next, by W3C's traceparent."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import Trace, current, span, tracing

DIGITS = st.text("0123456789abcdef", min_size=1)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.fixture
def ended(monkeypatch):
    spans = []
    monkeypatch.setattr(tracing, "receive", spans.append)
    return spans


def test_it_is_read_and_written_as_w3c_says():
    trace = Trace.parse(f"00-{TRACE}-{SPAN}-01")
    assert trace == Trace(TRACE, SPAN)
    assert str(trace) == f"00-{TRACE}-{SPAN}-01"
    assert Trace.parse(f"cc-{TRACE}-{SPAN}-09-what-comes-later") == trace


@given(
    st.text()
    | st.builds("-".join, st.lists(DIGITS, max_size=5))
    | st.sampled_from(
        [
            f"ff-{TRACE}-{SPAN}-01",
            f"00-{'0' * 32}-{SPAN}-01",
            f"00-{TRACE}-{'0' * 16}-01",
            f"00-{TRACE.upper()}-{SPAN}-01",
            f"00-{TRACE}-{SPAN}-01\n",
            f"00-{TRACE}-{SPAN}",
        ]
    )
)
def test_what_is_none_is_taken_for_none(text):
    if not re.fullmatch(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.*", text):
        assert Trace.parse(text) is None
    assert Trace.parse(f"ff-{TRACE}-{SPAN}-01") is None
    assert Trace.parse(f"00-{'0' * 32}-{SPAN}-01") is None
    assert Trace.parse(None) is None


def test_spans_lie_in_one_another(ended):
    with span("outer") as outer:
        assert current() == outer.trace
        with span("inner", {"rows": 3}) as inner:
            assert inner.trace.trace_id == outer.trace.trace_id
    assert current() is None
    assert [one.name for one in ended] == ["inner", "outer"]
    assert ended[0].parent == outer.trace
    assert ended[1].parent is None
    assert outer.begun <= inner.begun <= inner.ended <= outer.ended


def test_what_fails_says_why_and_what_is_not_recorded_is_not_handed_over(ended):
    def fail():
        raise ValueError("no good")

    with pytest.raises(ValueError, match="no good"), span("fails"):
        fail()
    assert ended[0].error == "no good"
    assert ended[0].attributes["exception.type"] == "ValueError"
    with span("unseen", parent=Trace(TRACE, SPAN, recorded=False)), span("below"):
        pass
    assert len(ended) == 1

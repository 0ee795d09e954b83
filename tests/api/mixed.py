"""Mixed requests of several users, origins, formats and codings, and what each must be answered.

What an answer must be follows from the request and from what was published, by rules that are
written down here once more. A cache in between may change neither.
"""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyarrow import ipc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

APP = "http://app.example"
OTHER = "http://other.example"

ROWS = 80
GUARDED = {"guarded": "marketing:read", "long": "marketing:read"}
SCOPES = (GUARDED, {**GUARDED, "closing": "marketing:read"})
"""Of the marts in publication 1 and 2; others are open."""

MARTS = ("shown", "guarded", "closing")
LONG = "long"
"""A mart that is so long that its CSV is sent while it is made."""

ARROW = "application/vnd.apache.arrow.stream"
OBJECT = "application/vnd.pgrst.object+json"
KINDS = {"json": "application/json", "csv": "text/csv; charset=utf-8", "arrow": ARROW}
ACCEPTED = {
    **dict.fromkeys((None, "*/*", "application/json"), "json"),
    "text/csv": "csv",
    ARROW: "arrow",
}
"""Formats by what is accepted; others are 406, one row by itself too, as there are more."""

CODINGS = (None, "gzip", "zstd", "gzip, zstd;q=0.5", "identity")


def rows(mart: str, number: int) -> list[dict[str, Any]]:
    """The rows of a mart in a publication."""
    more = "x" * 20_000 if mart == LONG else ""
    return [{"n": n, "t": f"{mart} in {number}: {n}{more}"} for n in range(ROWS)]


def contents(number: int) -> dict[str, Any]:
    """What ``make_publication`` publishes under a number."""
    more = {
        mart: f"select n, '{mart} in {number}: ' || n as t from range({ROWS}) r(n)"
        for mart in MARTS
    }
    more[LONG] = (
        f"select n, '{LONG} in {number}: ' || n || repeat('x', 20000) as t from range({ROWS}) r(n)"
    )
    return {"more": more, "scopes": SCOPES[number - 1]}


@dataclass(frozen=True)
class Request:
    """A request to a mart.

    Attributes:
        user: Who asks: `operator` may read all, `nobody` only what is open; None has no token.
        pinned: Whether it asks for publication 1 by its number.
    """

    mart: str
    suffix: str | None = None
    pinned: bool = False
    user: str | None = None
    origin: str | None = None
    accept: str | None = None
    coding: str | None = None
    counted: bool = False
    ranged: bool = False
    method: str = "GET"

    @property
    def path(self) -> str:
        suffix = f".{self.suffix}" if self.suffix else ""
        return f"/api/v1/marts/{self.mart}{suffix}{'?publication=1' * self.pinned}"

    def headers(self, tokens: Mapping[str, str]) -> dict[str, str]:
        """What it sends."""
        said = {
            "Authorization": f"Bearer {tokens[self.user]}" if self.user else None,
            "Origin": self.origin,
            "Accept": self.accept,
            "Accept-Encoding": self.coding,
            "Prefer": "count=exact" if self.counted else None,
            "Range": "0-4" if self.ranged else None,
        }
        return {name: value for name, value in said.items() if value is not None}

    def refused(self, current: int) -> int | None:
        """The status that it is refused with, if it is."""
        scopes = [SCOPES[n - 1] for n in {current, 1 if self.pinned else current}]
        if any(self.mart in one for one in scopes) and self.user != "operator":
            return 401 if self.user is None else 403
        if self.suffix is None and self.accept not in ACCEPTED:
            return 406
        return None

    @property
    def kind(self) -> str:
        """The format that it gets."""
        return self.suffix or ACCEPTED[self.accept]


@dataclass(frozen=True)
class Answer:
    """What came back; headers by their names in lower case, the body without its coding."""

    status: int
    headers: Mapping[str, str]
    body: bytes


IN_TURN = [
    *(
        Request(mart, suffix="csv", pinned=pinned, user=user, origin=APP)
        for mart in ("guarded", LONG)
        for pinned in (False, True)
        for user in ("operator", None, "operator", "nobody")
    ),
    *(
        Request("shown", pinned=pinned, origin=APP, accept=accept)
        for pinned in (False, True)
        for accept in ("application/json", "text/csv", ARROW, OBJECT)
    ),
]
"""The next user of a cache, and the next format."""


def requests(seed: int, count: int, **only: Any) -> Iterator[Request]:
    """Make requests, few enough questions that caches have answers to most.

    Args:
        seed: For the same ones again.
        count: How many are made by chance, after those in turn.
        only: What all of these say.
    """
    yield from IN_TURN
    chance = random.Random(seed)  # noqa: S311 -- the same requests each time, nothing secret
    for _ in range(count):
        made = {
            "mart": chance.choice(MARTS),
            "suffix": chance.choice((None, None, "csv")),
            "pinned": chance.random() < 0.5,
            "user": chance.choice((None, "operator", "nobody")),
            "origin": chance.choice((None, APP, OTHER)),
            "accept": chance.choice((*ACCEPTED, OBJECT)),
            "coding": chance.choice(CODINGS),
            "counted": chance.random() < 0.2,
            "ranged": chance.random() < 0.2,
            "method": chance.choice(("GET", "GET", "GET", "HEAD")),
        }
        yield Request(**{**made, **only})


def wrong(request: Request, answer: Answer, current: int) -> str | None:
    """Say what is wrong with an answer, if something is.

    Args:
        request: What was asked.
        answer: What was answered.
        current: The number of the publication that is served.
    """
    said = answer.headers
    allowed = request.origin if request.origin == APP else None
    if said.get("access-control-allow-origin") != allowed:
        return f"{said.get('access-control-allow-origin')} may read what {request.origin} asked"
    if status := request.refused(current):
        told = (answer.status, said.get("content-type"))
        return None if told == (status, "application/problem+json") else f"{told}, not {status}"
    number = 1 if request.pinned else current
    expected = rows(request.mart, number)
    ranged = request.ranged and request.method == "GET"
    shown = expected[:5] if ranged else expected
    total = str(ROWS) if request.counted else "*"
    status = 206 if ranged and request.counted else 200
    asked = f"0-{len(shown) - 1}/{total}" if ranged or request.counted else None
    for name, value, right in (
        ("status", answer.status, status),
        ("format", said.get("content-type"), KINDS[request.kind]),
        ("publication", said.get("publication"), str(number)),
        ("range", said.get("content-range"), asked),
    ):
        if value != right:
            return f"{name} is {value}, not {right}"
    coding = said.get("content-encoding", "identity")
    if coding != "identity" and coding not in (request.coding or ""):
        return f"the coding is {coding}, not {request.coding}"
    read = _read(request.kind, answer.body) if request.method == "GET" else shown
    return None if read == shown else f"rows are {str(read[:2])[:200]}, not {str(shown[:2])[:200]}"


def _read(kind: str, body: bytes) -> list[dict[str, Any]]:
    if kind == "json":
        return json.loads(body)
    if kind == "arrow":
        return ipc.open_stream(body).read_all().to_pylist()
    return [{**row, "n": int(row["n"])} for row in csv.DictReader(io.StringIO(body.decode()))]

"""What every route must answer from a publication, read from its file with DuckDB alone."""

from __future__ import annotations

import json
import re
import shutil
import threading
from datetime import date
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

Rows = list[dict[str, Any]]

EVENTS = (
    "date_prise_contact",
    "date_reponse_prospect",
    "date_appel_booke",
    "date_appel_propose",
    "date_relance",
)
SHARES = """
    select channel, 100 * sum(conversions) / sum(sum(conversions)) over () as percentage
    from marketing_conversions group by channel
"""


class Publications:
    """Copies of all publications that there were, which nobody removes."""

    def __init__(self, folder: Path, copies: Path) -> None:
        self._folder = folder
        self._copies = copies
        self._lock = threading.Lock()
        copies.mkdir()
        self.rows = cache(self._rows)

    def keep(self) -> int:
        """Copy those that are new; return the highest number."""
        with self._lock:
            for path in sorted(self._folder.glob("0*.json")):
                copy = self._copies / path.name
                if not copy.exists():
                    try:
                        shutil.copyfile(path.with_suffix(".duckdb"), copy.with_suffix(".duckdb"))
                        shutil.copyfile(path, copy)
                    except FileNotFoundError:
                        copy.with_suffix(".duckdb").unlink(missing_ok=True)  # never was current
            return max((int(path.name[:6]) for path in self._copies.glob("*.json")), default=0)

    def manifest(self, number: int) -> dict[str, Any]:
        """What a publication says of itself."""
        (path,) = self._copies.glob(f"{number:06}-*.json")
        return json.loads(path.read_bytes())

    def _rows(self, number: int, query: str) -> Rows:
        (path,) = self._copies.glob(f"{number:06}-*.duckdb")
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.sql(query).to_arrow_table().to_pylist()

    def mart(self, number: int, name: str) -> Rows:
        """The rows of a mart in the order of its grain."""
        (mart,) = [one for one in self.manifest(number)["marts"] if one["name"] == name]
        return self.rows(number, f"from {name} order by {', '.join(mart['grain'])}")


def plain(value: Any) -> Any:
    """Write a value as JSON has it."""
    return value.isoformat() if isinstance(value, date) else value


def in_json(rows: Rows) -> Rows:
    return [{name: plain(value) for name, value in row.items()} for row in rows]


def read(answer: httpx.Response) -> Rows:
    """Read the rows of an answer in any format."""
    match answer.headers["content-type"].partition(";")[0]:
        case "text/csv":
            return pyarrow.csv.read_csv(BytesIO(answer.content)).to_pylist()
        case "application/vnd.apache.arrow.stream":
            return pa.ipc.open_stream(answer.content).read_all().to_pylist()
        case "application/vnd.apache.parquet":
            return pyarrow.parquet.read_table(BytesIO(answer.content)).to_pylist()
    return answer.json()


def transformed(kept: Publications, number: int, grain: str, label: str) -> Rows:
    rows = kept.mart(number, f"lead_event_counts_{grain}")
    return [
        {label: row[label], **{event: row[event] for event in EVENTS}}
        for row in rows
        if any(row[event] for event in EVENTS)
    ]


def is_right(kept: Publications, path: str, answer: httpx.Response, number: int) -> bool:
    """Tell whether a 200 is what the publication that it names holds.

    Raises:
        KeyError: Nothing is known about the path: it is new, and needs a line here.
    """
    route = path.partition("?")[0]
    if route.startswith("/api/v1/marts/"):
        name = route.removeprefix("/api/v1/marts/")
        if name.endswith("/changes"):
            return has_changes(kept, name.removesuffix("/changes"), answer.json(), number)
        mart, _, suffix = name.partition(".")
        rows = kept.mart(number, mart)
        return read(answer) == (rows if suffix else in_json(rows))
    return KNOWN[route](kept, answer, number)


def has_changes(kept: Publications, mart: str, said: dict[str, Any], number: int) -> bool:
    """Compare the rows that changed with those that two files do not share."""
    keys = said["grain"]

    def by_key(rows: Rows) -> dict[tuple[Any, ...], dict[str, Any]]:
        return {tuple(row[key] for key in keys): row for row in in_json(rows)}

    now, before = by_key(kept.mart(number, mart)), by_key(kept.mart(said["since"], mart))
    differ = {key for key in now.keys() | before.keys() if now.get(key) != before.get(key)}
    told = {tuple(one["key"][key] for key in keys) for one in said["changes"]}
    return told == differ and said["publication"] == number


def measured(kept: Publications, answer: httpx.Response, number: int) -> bool:
    rows = in_json(kept.mart(number, "marketing_conversions"))
    for row in rows:
        del row["week_start"]
    told = answer.json()["data"]
    return len(told) == 100 and all(row in rows for row in told) and counts(answer, rows)


def sold(kept: Publications, answer: httpx.Response, number: int) -> bool:
    rows = sorted(
        kept.mart(number, "channel_sales_weekly"),
        key=lambda row: (row["year"], row["week"], row["channel"]),
    )
    names = ("channel", "year", "week", "sales")
    told = answer.json()["data"]
    return told == [{name: row[name] for name in names} for row in rows][:100] and counts(
        answer, rows
    )


def counts(answer: httpx.Response, rows: Rows) -> bool:
    return answer.headers["x-total-count"] == str(len(rows))


def shared(kept: Publications, answer: httpx.Response, number: int) -> bool:
    shares = {row["channel"]: float(row["percentage"]) for row in kept.rows(number, SHARES)}
    told = {row["channel"]: float(row["percentage"]) for row in answer.json()["data"]}
    return told.keys() == shares.keys() and all(
        abs(told[channel] - shares[channel]) < 0.0051 for channel in shares
    )


def catalogued(kept: Publications, answer: httpx.Response, number: int) -> bool:
    marts = {one["name"]: one["rows"] for one in public(kept.manifest(number))["marts"]}
    return {one["name"]: one["rows"] for one in answer.json()} == marts


def public(manifest: dict[str, Any]) -> dict[str, Any]:
    """What everybody may know of a publication."""
    del manifest["traceparent"]
    for source in manifest["sources"]:
        del source["uri"]
    for mart in manifest["marts"]:
        del mart["sorted"]
        if mart["scope"] != "open":
            mart["rows"] = None
    return manifest


def listed(kept: Publications, answer: httpx.Response, number: int) -> bool:
    whole = {one["number"]: public(kept.manifest(one["number"])) for one in answer.json()}
    return all(
        one.pop("tests") == whole[one["number"]]["build"]["tests"]
        and one.items() <= whole[one["number"]].items()
        for one in answer.json()
    )


def documented(kept: Publications, answer: httpx.Response, number: int) -> bool:
    marts = {f"/api/v1/marts/{one['name']}" for one in kept.manifest(number)["marts"]}
    return all(mart in answer.text for mart in marts)


def said(**expected: str) -> Callable[[Publications, httpx.Response, int], bool]:
    """Make a check of members that no publication decides."""
    return lambda kept, answer, number: expected.items() <= answer.json().items()


def figured(kept: Publications, answer: httpx.Response, number: int) -> bool:
    """It serves what it served last, or by now a newer one."""
    pattern = r"^leadmarts_publication_number(?:\{.*\})? (\S+)$"
    served = [int(float(one)) for one in re.findall(pattern, answer.text, re.MULTILINE)]
    return len(served) == 1 and number <= served[0] <= kept.keep()


def signed(kept: Publications, answer: httpx.Response, number: int) -> bool:
    return len((answer.json().get("data") or {}).get("token", "")) > 40


KNOWN: dict[str, Callable[[Publications, httpx.Response, int], bool]] = {
    "/": said(message="Lead Analytics API"),
    "/health/live": said(status="live"),
    "/health/ready": said(status="ready"),
    "/metrics": figured,
    "/openapi.json": documented,
    "/openapi.yaml": documented,
    "/api/auth/token": signed,
    "/api/token": signed,
    "/api/marketing/measurements": measured,
    "/api/marketing/stats/channel-weekly-sales": sold,
    "/api/marketing/stats/channel-sales-percentages": shared,
    "/api/marketing/stats/channels-sales-percentages": shared,
    "/api/v1/marts": catalogued,
    "/api/v1/publications": listed,
    "/api/v1/publications/current": lambda kept, answer, number: (
        answer.json() == public(kept.manifest(number))
    ),
    "/api/v1/publications/{number}": lambda kept, answer, number: (
        answer.json() == public(kept.manifest(answer.json()["number"]))
    ),
    "/api/v1/transformation/count_date_by_week": lambda kept, answer, number: (
        answer.json() == transformed(kept, number, "weekly", "semaine")
    ),
    "/api/v1/transformation/count_date_by_month": lambda kept, answer, number: (
        answer.json() == transformed(kept, number, "monthly", "mois")
    ),
}

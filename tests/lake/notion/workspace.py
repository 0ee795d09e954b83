"""A Notion workspace as plain data, and a server on loopback that speaks Notion's API for it.

It is as strict as the documentation lets it be: times are whole minutes, trashed pages are in no
query, an answer has at most ``page_size`` pages and a query ``query_limit``, a cursor is a position
(so that pages which leave the list move the others up) that belongs to one query and can expire,
and what a request may not have is a validation error.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = "ntn_8f3aSecretOfTheIntegration"
DATABASE = "248104cd-477e-80fd-b757-e945d38000bd"
LEADS = "11111111-2222-4333-8444-555555555555"

PROPERTIES = {
    "Nom": "title",
    "Date de prise de contact": "date",
    "Date de réponse du prospect": "date",
    "Date d'appel proposé": "date",
    "Date d'appel booké": "date",
    "Date de relance": "date",
    "Statut": "status",
    "Canal": "select",
    "Score": "number",
}

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Page:
    """A page: its values by the names of its properties, as Notion has them."""

    id: str
    values: dict[str, Any]
    created: datetime
    edited: datetime
    trashed: bool = False
    parent: str = LEADS
    raw: Any = None
    """What is sent instead of the page, if it is malformed."""


@dataclass
class Workspace:
    """What a server shows. The clock stands still unless :meth:`tick` moves it."""

    sources: list[tuple[str, str]] = field(default_factory=lambda: [(LEADS, "Leads")])
    properties: dict[str, str] = field(default_factory=lambda: dict(PROPERTIES))
    pages: dict[str, Page] = field(default_factory=dict)
    clock: datetime = datetime(2026, 3, 2, 9, 30, 20, tzinfo=UTC)
    page_size: int = 100
    query_limit: int = 10_000
    shared: bool = True
    trashed: bool = False
    may_read: bool = True
    faults: list[Reply | str] = field(default_factory=list)
    """What the next requests are answered with: a reply, or "close" or "expire"."""
    meanwhile: dict[int, Callable[[], None]] = field(default_factory=dict)
    """What happens after the nth request from now, 1 being the next."""
    requests: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    busy_until: float = 0.0
    cursors: dict[str, tuple[str, int]] = field(default_factory=dict)

    def tick(self, seconds: float) -> None:
        self.clock += timedelta(seconds=seconds)

    def create(self, values: dict[str, Any] | None = None, page_id: str | None = None) -> Page:
        page = Page(page_id or str(uuid.uuid4()), values or {}, self.clock, self.clock)
        self.pages[page.id] = page
        return page

    def edit(self, page: Page, **values: Any) -> None:
        page.values |= {name.replace("_", " "): value for name, value in values.items()}
        page.edited = self.clock

    def property_id(self, name: str) -> str:
        """An id that stays: that of the property's place, not of its name."""
        place = [*self.properties].index(name)
        return "title" if self.properties[name] == "title" else f"p%3A{place}"

    def live(self) -> list[Page]:
        pages = [p for p in self.pages.values() if not p.trashed and p.parent == LEADS]
        return sorted(pages, key=lambda page: (minute(page.created), page.id))

    def shown(self, page: Page, only: list[str]) -> Any:
        if page.raw is not None:
            return page.raw
        return {
            "object": "page",
            "id": page.id,
            "created_time": minute(page.created),
            "last_edited_time": minute(page.edited),
            "in_trash": page.trashed,
            "archived": page.trashed,
            "parent": {
                "type": "data_source_id",
                "data_source_id": page.parent,
                "database_id": DATABASE,
            },
            "url": f"https://www.notion.so/{page.id.replace('-', '')}",
            "properties": {
                name: {
                    "id": self.property_id(name),
                    "type": kind,
                    kind: cut(page.values.get(name, EMPTY.get(kind))),
                }
                for name, kind in self.properties.items()
                if not only or self.property_id(name) in only
            },
        }


EMPTY: dict[str, Any] = {
    "title": [],
    "rich_text": [],
    "people": [],
    "multi_select": [],
    "checkbox": False,
    "relation": [],
    "files": [],
}
"""What an empty property is, where it is not null."""


def cut(value: Any) -> Any:
    """A page shows no more than 25 of anything."""
    return value[:25] if isinstance(value, list) else value


def minute(moment: datetime) -> str:
    """Notion's times: the minute that had begun."""
    return moment.replace(second=0, microsecond=0).strftime("%Y-%m-%dT%H:%M:00.000Z")


def text(*pieces: str) -> list[dict[str, Any]]:
    """Rich text of several pieces, the second of which is a mention."""
    kinds = ("text", "mention", "text", "equation")
    return [
        {"type": kind, kind: {}, "plain_text": piece, "annotations": {}, "href": None}
        for kind, piece in zip(kinds, pieces, strict=False)
    ]


def error(status: int, code: str, message: str, **headers: str) -> Reply:
    body = {"object": "error", "status": status, "code": code, "message": message}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, names, json.dumps(body).encode()


def invalid(message: str) -> Reply:
    return error(400, "validation_error", message)


class Handler(BaseHTTPRequestHandler):
    """Answers one request after the other on a connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: Server

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(self.server.workspace.clock, usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self._answer("GET", {})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self._answer("POST", json.loads(self.rfile.read(length) or b"{}"))

    def _answer(self, method: str, body: dict[str, Any]) -> None:
        with self.server.lock:
            reply = self._reply(method, body)
            later = {n - 1: action for n, action in self.server.workspace.meanwhile.items()}
            self.server.workspace.meanwhile = {n: a for n, a in later.items() if n > 0}
            if 0 in later:
                later[0]()
        if reply is None:
            self.close_connection = True
            return
        status, headers, content = reply
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _reply(self, method: str, body: dict[str, Any]) -> Reply | None:
        there = self.server.workspace
        there.requests.append((method, self.path, body))
        if time.monotonic() < there.busy_until:
            return error(429, "rate_limited", "You are still too fast.", Retry_After="9")
        if there.faults:
            fault = there.faults.pop(0)
            if fault == "close":
                return None
            if fault == "expire":
                there.cursors.clear()
            elif isinstance(fault, tuple):
                if fault[0] == 429:
                    there.busy_until = time.monotonic() + float(fault[1]["Retry-After"])
                return fault
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return error(401, "unauthorized", "API token is invalid.")
        if self.headers.get("Notion-Version") != "2025-09-03":
            return error(400, "missing_version", "Notion-Version header failed validation.")
        if not there.may_read:
            return error(403, "restricted_resource", "Insufficient permissions for this endpoint.")
        answer = self._found(there, method, body)
        return answer if isinstance(answer, tuple) else (200, {}, json.dumps(answer).encode())

    def _found(self, there: Workspace, method: str, body: dict[str, Any]) -> Any:
        parts = urlsplit(self.path)
        nothing = error(404, "object_not_found", "Could not find it. Is it shared?")
        match [method, *parts.path.strip("/").split("/")]:
            case ["GET", "v1", "databases", key] if key == DATABASE and there.shared:
                listed = [{"id": key, "name": name} for key, name in there.sources]
                return {
                    "object": "database",
                    "id": key,
                    "in_trash": there.trashed,
                    "data_sources": listed,
                }
            case ["GET", "v1", "data_sources", key] if key in dict(there.sources):
                described = {
                    name: {"id": there.property_id(name), "name": name, "type": kind, kind: {}}
                    for name, kind in there.properties.items()
                }
                return {"object": "data_source", "id": key, "properties": described}
            case ["POST", "v1", "data_sources", key, "query"] if key in dict(there.sources):
                only = parse_qs(parts.query).get("filter_properties", [])
                return self._query(there, key, only, body)
            case ["GET", "v1", "pages", key] if key in there.pages and there.shared:
                return there.shown(there.pages[key], [])
            case ["GET", "v1", "pages", key, "properties", name] if key in there.pages:
                names = {there.property_id(name): name for name in there.properties}
                value = there.pages[key].values.get(names[name], [])
                kind = there.properties[names[name]]
                start = int(parse_qs(parts.query).get("start_cursor", ["0"])[0])
                stop = min(start + there.page_size, len(value))
                return {
                    "object": "list",
                    "type": "property_item",
                    "results": [
                        {"object": "property_item", "type": kind, kind: piece}
                        for piece in value[start:stop]
                    ],
                    "has_more": stop < len(value),
                    "next_cursor": str(stop) if stop < len(value) else None,
                }
        return nothing

    def _query(self, there: Workspace, key: str, only: list[str], body: dict[str, Any]) -> Any:
        if unknown := body.keys() - {"filter", "sorts", "start_cursor", "page_size"}:
            return invalid(f"body.{unknown} should be not present")
        if body.get("sorts") != [{"timestamp": "created_time", "direction": "ascending"}]:
            return invalid("this server knows one order")
        if not 1 <= body.get("page_size", 100) <= 100:
            return invalid("body.page_size should be ≤ 100")
        pages = there.live() if key == LEADS else []
        for condition in body.get("filter", {}).get("and", ()):
            name = condition["timestamp"]
            start = datetime.fromisoformat(condition[name]["on_or_after"])
            moment = {"created_time": "created", "last_edited_time": "edited"}[name]
            pages = [
                page
                for page in pages
                if getattr(page, moment).replace(second=0, microsecond=0) >= start
            ]
        query = json.dumps([key, only, body.get("filter")])
        start = 0
        if (cursor := body.get("start_cursor")) is not None:
            belongs, start = there.cursors.get(cursor, (None, 0))
            if belongs != query:
                return invalid(f"The start_cursor provided is invalid: {cursor}")
        stop = min(start + min(body.get("page_size", 100), there.page_size), there.query_limit)
        answer: dict[str, Any] = {
            "object": "list",
            "results": [there.shown(page, only) for page in pages[start:stop]],
            "has_more": stop < min(len(pages), there.query_limit),
            "next_cursor": None,
        }
        if answer["has_more"]:
            answer["next_cursor"] = str(uuid.uuid4())
            there.cursors[answer["next_cursor"]] = (query, stop)
        elif stop < len(pages):
            answer["request_status"] = {
                "type": "incomplete",
                "incomplete_reason": "query_result_limit_reached",
            }
        return answer


class Server(ThreadingHTTPServer):
    """Serves the workspace that is set, which may be another one for each test."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.workspace = Workspace()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is none of our business."""


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server in a thread of this process."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

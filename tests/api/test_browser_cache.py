"""The cache of a real browser that several people use, one after another."""

from __future__ import annotations

import threading
from base64 import b64decode
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests.api import mixed

CHROMIUM = Path("/usr/bin/chromium")

# One site, so that its pages share what the browser keeps; all of it is on this machine.
RESOLVED = "MAP *.app.example 127.0.0.1 , MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"

FETCH = """
async ([url, method, headers]) => {
    try {
        const answer = await fetch(url, {method, headers});
        const bytes = new Uint8Array(await answer.arrayBuffer());
        const body = btoa(Array.from(bytes, one => String.fromCharCode(one)).join(''));
        return [answer.status, Object.fromEntries(answer.headers), body];
    } catch (error) {
        return null;
    }
}
"""


class Blank(BaseHTTPRequestHandler):
    """Answers everything with an empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *said: Any) -> None:
        """Say nothing."""


@pytest.fixture
def pages():
    """The port of a server of empty pages."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Blank)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser: there is no {CHROMIUM}")
@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.soak)])
def test_nobody_gets_what_is_for_others(
    count, pages, tmp_path, run_server, make_publication, add_user, users
):
    """Of a page whose origin is named, of one whose is not, and of the server's own page."""
    folder = tmp_path / "publications"
    for number in (1, 2):
        make_publication(folder, [], **mixed.contents(number))
    add_user(tmp_path / "users.json", *users["operator"])
    add_user(tmp_path / "users.json", *users["nobody"], "--no-scope")
    named, other = (f"http://{name}.app.example:{pages}" for name in ("one", "two"))
    wrong = []
    with run_server(LEADMARTS_CORS_ORIGINS=named) as server, sync_playwright() as playwright:
        tokens = {user: server.token(*users[user]) for user in ("operator", "nobody")}
        api = server.url.replace("127.0.0.1", "api.app.example")
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", f"--host-resolver-rules={RESOLVED}"],
        )
        context = browser.new_context()
        opened = {mixed.APP: named, mixed.OTHER: other, None: f"{api}/docs"}
        for origin, url in opened.items():
            opened[origin] = context.new_page()
            opened[origin].goto(url)
        for made in mixed.requests(3, count):
            request = replace(made, coding=None)
            headers = request.headers(tokens)
            headers.pop("Origin", None)  # the browser says it
            asked = [api + request.path, request.method, headers]
            answer = opened[request.origin].evaluate(FETCH, asked)
            if request.origin == mixed.OTHER or answer is None:
                if (request.origin == mixed.OTHER) != (answer is None):
                    wrong.append(f"{answer} {request}")
                continue
            status, said, body = answer
            # The browser has seen to it; after a 304 its own page may see another page's.
            said.pop("access-control-allow-origin", None)
            if request.origin:
                said["access-control-allow-origin"] = request.origin
            got = mixed.Answer(status, said, b64decode(body))
            # Which codings it takes the browser says as well.
            if found := mixed.wrong(replace(request, coding="gzip, zstd"), got, 2):
                wrong.append(f"{found} {request}")
        browser.close()
    assert wrong == []

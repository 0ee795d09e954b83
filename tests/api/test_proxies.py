"""Real HTTP caches in front of a real server: nginx and Varnish, as they come and as documented."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from postgrest import SyncPostgrestClient

from api.pages import LONGEST
from tests.api import mixed

if TYPE_CHECKING:
    from collections.abc import Callable

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
VARNISH = shutil.which("varnishd", path="/usr/sbin:/usr/bin:/usr/local/sbin")
DEPLOY = Path("deploy")

PLAIN_NGINX = """\
proxy_cache_path /var/cache/nginx/lead-marts keys_zone=lead_marts:10m;
server {
    listen 80;
    location / {
        proxy_pass http://127.0.0.1:8000;
        proxy_cache lead_marts;
        add_header X-Cache $upstream_cache_status always;
    }
}
"""
PLAIN_VARNISH = """\
vcl 4.1;
backend default { .host = "127.0.0.1"; .port = "8000"; }
sub vcl_deliver {
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    } else {
        set resp.http.X-Cache = "MISS";
    }
}
"""
"""What somebody writes who has read nothing."""

AROUND_NGINX = """\
daemon off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {conf}
}}
"""

KEPT_FOR = 2.1
"""Seconds after which nothing is used any more that the documented caches keep for one: nginx
counts whole seconds."""

needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx was not tested: it is not installed")
needs_varnish = pytest.mark.skipif(
    VARNISH is None, reason="Varnish was not tested: varnishd is not installed"
)


@dataclass
class Proxy:
    """A cache that runs in front of a server.

    Attributes:
        purge: Makes it forget all that it keeps, as docs/operations.md says.
    """

    url: str
    purge: Callable[[], object]

    def client(self) -> httpx.Client:
        client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        for name in ("accept", "accept-encoding"):
            del client.headers[name]
        return client


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@contextmanager
def running(command: list[str], log: Path, url: str):
    """Run a program that listens, until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text()
            try:
                httpx.get(f"{url}/health/live", trust_env=False)
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def nginx(folder: Path, server, conf: str):
    port, cache = free_port(), folder / "cache"
    for written, here in (
        ("/var/cache/nginx/lead-marts", str(cache)),
        ("127.0.0.1:8000", server.url.removeprefix("http://")),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
    ):
        assert written in conf
        conf = conf.replace(written, here)
    file = folder / "nginx.conf"
    file.write_text(AROUND_NGINX.format(folder=folder, conf=conf))
    command = [NGINX, "-p", str(folder), "-c", str(file), "-g", "user root;"]
    url = f"http://127.0.0.1:{port}"

    def purge() -> None:
        for entry in [*cache.rglob("*")]:
            if entry.is_file():
                entry.unlink()

    with running(command, folder / "log", url):
        yield Proxy(url, purge)


@contextmanager
def varnish(folder: Path, server, vcl: str, *options: str):
    port, file, home = free_port(), folder / "default.vcl", folder / "home"
    host, backend = server.url.removeprefix("http://").split(":")
    assert '"8000"' in vcl
    file.write_text(vcl.replace("127.0.0.1", host).replace('"8000"', f'"{backend}"'))
    command = [VARNISH, "-j", "none", "-F", "-n", str(home), "-f", str(file)]
    command += ["-a", f"127.0.0.1:{port}", "-s", "malloc,50m", *options]
    url = f"http://127.0.0.1:{port}"

    def purge() -> None:
        ban = ["varnishadm", "-n", str(home), "ban", "req.url ~ ."]
        subprocess.run(ban, check=True, capture_output=True, timeout=60)

    with running(command, folder / "log", url):
        yield Proxy(url, purge)


def documented(name: str) -> str:
    return (DEPLOY / name).read_text()


PROXIES = {
    "nginx": lambda folder, server: nginx(folder, server, documented("nginx/lead-marts.conf")),
    "varnish": lambda folder, server: varnish(
        folder,
        server,
        documented("varnish/lead-marts.vcl"),
        *("-p", "http_range_support=off"),
    ),
    "plain-nginx": lambda folder, server: nginx(folder, server, PLAIN_NGINX),
    "plain-varnish": lambda folder, server: varnish(folder, server, PLAIN_VARNISH),
}


def param(name: str):
    return pytest.param(name, marks=needs_nginx if "nginx" in name else needs_varnish)


@pytest.fixture
def behind(tmp_path, run_server, make_publication, add_user, users):
    """Runs a server with a named origin behind a cache; yields both, and the users' tokens."""
    folder = tmp_path / "publications"
    make_publication(folder, [], **mixed.contents(1))
    add_user(tmp_path / "users.json", *users["operator"])
    add_user(tmp_path / "users.json", *users["nobody"], "--no-scope")
    place = tmp_path / "proxy"
    place.mkdir()

    @contextmanager
    def run(name: str):
        with (
            run_server(LEADMARTS_CORS_ORIGINS=mixed.APP) as server,
            PROXIES[name](place, server) as proxy,
        ):
            tokens = {user: server.token(*users[user]) for user in ("operator", "nobody")}
            yield server, proxy, tokens

    return run


def ask(client: httpx.Client, request: mixed.Request, tokens) -> mixed.Answer:
    headers = request.headers(tokens)
    answer = client.request(request.method, request.path, headers=headers)
    return mixed.Answer(answer.status_code, answer.headers, answer.content)


def ask_all(proxy: Proxy, tokens, current: int, asked: list[mixed.Request]) -> list[str]:
    """Ask, and return what was wrong."""
    found = []
    with proxy.client() as client:
        for request in asked:
            answer = ask(client, request, tokens)
            if said := mixed.wrong(request, answer, current):
                found.append(f"{said}: {request} {answer.headers.get('x-cache')}")
    return found


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", [param(name) for name in PROXIES])
def test_nobody_gets_what_is_for_others(
    behind, name, count, tmp_path, make_publication, wait_until
):
    """By mixed requests, and then again when a mart that was open is closed."""
    # What proxies do with ranges of rows if nobody tells them otherwise is documented.
    only = {"ranged": False, "counted": False} if name.startswith("plain") else {}
    with behind(name) as (server, proxy, tokens), proxy.client() as client:
        assert ask_all(proxy, tokens, 1, list(mixed.requests(1, count, **only))) == []
        stranger = mixed.Request("closing", pinned=True)
        for _ in range(3):
            kept = ask(client, stranger, tokens)
        assert mixed.wrong(stranger, kept, 1) is None
        assert kept.headers["x-cache"] == "HIT"  # or else nothing was tested
        make_publication(tmp_path / "publications", [], **mixed.contents(2))
        with server.client() as direct:
            wait_until(lambda: direct.get("/health/ready").json()["publication"] == 2)
        if name.startswith("plain"):
            assert ask(client, stranger, tokens).status == 200  # for an hour, unless it is purged
            proxy.purge()
        else:
            closed = time.monotonic()
            wait_until(lambda: time.monotonic() - closed > KEPT_FOR)
        assert ask_all(proxy, tokens, 2, list(mixed.requests(2, count, **only))) == []


@needs_varnish
def test_varnish_answers_marts_to_official_clients(behind):
    """Rows as they come, counted, and the part of a range; a count without what the docs say."""
    with behind("varnish") as (_, proxy, tokens), proxy.client() as client:
        headers = {"Authorization": f"Bearer {tokens['operator']}"}
        for mart in mixed.MARTS:
            with SyncPostgrestClient(f"{proxy.url}/api/v1/marts", headers=headers) as official:
                got = official.from_(mart).select("*", count="exact").range(5, 9).execute()
            assert got.data == mixed.rows(mart, 1)[5:10]
            assert got.count == mixed.ROWS
        ranged = client.get("/api/v1/marts/shown", headers={"Range": "5-9"})
        assert ranged.json() == mixed.rows("shown", 1)[5:10]
        assert ranged.headers["content-range"] == "5-9/*"


@pytest.mark.parametrize("name", [param("nginx"), param("varnish")])
def test_cut_answers_pass(name, tmp_path, run_server, make_publication):
    """Also where the link to the next rows is as long as one may be."""
    make_publication(tmp_path / "publications", [], **mixed.contents(1))
    place = tmp_path / "proxy"
    place.mkdir()
    with (
        run_server(LEADMARTS_JSON_ROWS="50") as server,
        PROXIES[name](place, server) as proxy,
        proxy.client() as client,
    ):
        for length in (0, 7_800):
            query = {"t": f"neq.{'x' * length}"}
            cut = client.get("/api/v1/marts/shown", params=query)
            assert (cut.status_code, cut.headers["content-range"]) == (206, "0-49/*")
            assert length < len(cut.headers["link"]) <= LONGEST
            following = re.search("<(.*)>", cut.headers["link"])[1]
            assert cut.json() + client.get(following).json() == mixed.rows("shown", 1)


@pytest.mark.parametrize("name", [param("nginx"), param("varnish")])
def test_http_1_0_passes_without_a_host(behind, name):
    with behind(name) as (_, proxy, _tokens):
        host, _, port = proxy.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
            assert connection.recv(12, socket.MSG_WAITALL).endswith(b" 200")

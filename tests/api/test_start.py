"""How the server starts, and how it says that it cannot."""

import base64
import hmac
import os
import re
import signal
import socket
import subprocess
import sys
from datetime import datetime

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.auth import keys
from api.auth.writers import writable_by_others
from api.errors import SettingsError

WEEK = "/api/v1/transformation/count_date_by_week"

KEY = {"LEADMARTS_SIGNING_KEY": "0123456789abcdef-a-key-of-tests-only"}
PRODUCTION = {
    "LEADMARTS_ENV": "production",
    "LEADMARTS_CORS_ORIGINS": "https://a.example",
    "LEADMARTS_HOSTS": "127.0.0.1",
}
COMMANDS = [
    ["api", "--port", "0"],
    ["uvicorn", "--factory", "api.app:create_app", "--port=0"],
]


def start(tmp_path, *arguments, **variables):
    """Run a server that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        check=False,
        env={"LEADMARTS_DATA": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_says_where_it_listens_and_what_to_open(served):
    assert re.search(rf"listens on {served.url}; open {served.url}/docs\.", served.log())
    assert "Publication 2 is served now." in served.log()


def test_requests_are_not_logged_unless_some_are_to_be(
    run_server, make_publication, make_events, tmp_path
):
    make_publication(tmp_path / "publications", make_events(2))
    for share, count in (("0", 0), ("1", 3)):
        with run_server(LEADMARTS_REQUEST_SAMPLE=share) as server, server.client() as client:
            for _ in range(3):
                client.get(WEEK)
        # Not sooner: a request is logged when its answer has been sent, and may be read by then.
        lines = [line for line in server.log().splitlines() if WEEK in line]
        assert len(lines) == count
        assert all(" Answered. " in line for line in lines)


def test_a_port_in_use_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = start(tmp_path, "api", "--port", str(port))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert f"Port {port} of 127.0.0.1 is in use" in ended.stderr
    assert "--port" in ended.stderr


def test_no_host_is_one_line(tmp_path):
    ended = start(tmp_path, "api", "--host", "", "--port", "0")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "--host is empty" in ended.stderr


def test_a_server_that_ends_under_readers_who_do_not_read_says_one_line(run_server):
    with run_server() as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        readers = [socket.socket() for _ in range(3)]
        for reader in readers:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(address)
            reader.sendall(b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 9)
            assert reader.recv(1, socket.MSG_PEEK)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)
        for reader in readers:
            reader.close()
    ended = server.log().partition("Lead Marts listens")[2]
    assert ended.count("Lead Marts stops.") == 1
    assert "Traceback" not in ended
    assert "Exception" not in ended


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (
            {**PRODUCTION, **KEY, "LEADMARTS_CORS_ORIGINS": ""},
            "LEADMARTS_CORS_ORIGINS must name the origins",
        ),
        (
            {**PRODUCTION, **KEY, "LEADMARTS_CORS_ORIGINS": "https://a.example,*"},
            "LEADMARTS_CORS_ORIGINS must name the origins",
        ),
        (
            {**PRODUCTION, **KEY, "LEADMARTS_HOSTS": ""},
            "LEADMARTS_HOSTS must name the hosts that the server answers to in production",
        ),
        (
            {"LEADMARTS_HOSTS": "https://marts.example.com"},
            'LEADMARTS_HOSTS holds "https://marts.example.com", which is no host',
        ),
        (
            {**PRODUCTION, **KEY, "LEADMARTS_HOSTS": "*"},
            'LEADMARTS_HOSTS holds "*", which is no host',
        ),
        (
            {"LEADMARTS_QUERY_MEMORY": "a lot"},
            'LEADMARTS_QUERY_MEMORY is "a lot"; set it to an amount of memory, such as 512MB',
        ),
        ({"LEADMARTS_ENV": "staging"}, 'LEADMARTS_ENV is "staging"; set it to development or'),
        (
            {"LEADMARTS_CORS_ORIGINS": "https://a.example/"},
            'LEADMARTS_CORS_ORIGINS holds "https://a.example/", which is no origin',
        ),
        ({"LEADMARTS_KEEP_PUBLICATIONS": "none"}, "LEADMARTS_KEEP_PUBLICATIONS"),
        (PRODUCTION, "LEADMARTS_SIGNING_KEY or LEADMARTS_SIGNING_KEY_FILE must be set"),
        (
            {**PRODUCTION, "LEADMARTS_SIGNING_KEY": "short"},
            "The key of LEADMARTS_SIGNING_KEY is weak: it has 5 bytes and needs 32.",
        ),
        (
            {"LEADMARTS_SIGNING_KEY": "ab" * 30},
            "The key of LEADMARTS_SIGNING_KEY is weak: it has only 2 different bytes.",
        ),
        (
            {"LEADMARTS_SIGNING_KEY": "0123456789" * 4},
            "The key of LEADMARTS_SIGNING_KEY is weak: it repeats itself.",
        ),
        (
            {"LEADMARTS_SIGNING_KEY": "Change_Me-" * 3 + "12345"},
            "The key of LEADMARTS_SIGNING_KEY is weak: it is a placeholder, which others know.",
        ),
        (
            {**KEY, "LEADMARTS_SIGNING_KEY_FILE": "key"},
            "LEADMARTS_SIGNING_KEY and LEADMARTS_SIGNING_KEY_FILE are both set; set one of them.",
        ),
        (
            {"LEADMARTS_SIGNING_KEY_FILE": "/nowhere/key"},
            "LEADMARTS_SIGNING_KEY_FILE names /nowhere/key, which cannot be read: No such file",
        ),
        (
            {**PRODUCTION, **KEY, "LEADMARTS_USERS": "/nowhere/users.json"},
            "LEADMARTS_USERS names /nowhere/users.json, which is not there; `python -m api users",
        ),
        (
            {"LEADMARTS_TOKEN_SECONDS": "1e9"},
            'LEADMARTS_TOKEN_SECONDS is "1e9"; set it to a whole number from 1 to 86,400.',
        ),
        ({"LEADMARTS_TOKEN_RATE_USER": "0"}, 'LEADMARTS_TOKEN_RATE_USER is "0"; set it to'),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_setting_is_one_sentence(tmp_path, command, variables, told):
    ended = start(tmp_path, *command, **variables)
    assert ended.returncode == 1
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.strip().count("\n") == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_all_wrong_settings_are_told_at_once(tmp_path, command):
    variables = {"LEADMARTS_ENV": "production", "LEADMARTS_JSON_ROWS": "many"}
    ended = start(tmp_path, *command, **variables, LEADMARTS_KEEP_PUBLICATIONS="none")
    assert ended.returncode == 1
    lines = ended.stderr.removeprefix("Error: ").splitlines()
    assert [line.split()[0] for line in lines] == [
        *("LEADMARTS_CORS_ORIGINS", "LEADMARTS_HOSTS", "LEADMARTS_KEEP_PUBLICATIONS"),
        *("LEADMARTS_SIGNING_KEY", "LEADMARTS_JSON_ROWS"),
    ]


@pytest.mark.parametrize(
    "key",
    [
        *("changeme" * 4 + "-0123", "CHANGEME-changeme_ChangeMe.1234567890"),
        *("marketing_op:marketing_op_supersecret", "my-password-is-very-long-and-secure"),
        *("https://dashboard.example.com/and/so/on", "localhost,127.0.0.1,marts.example.com"),
        'python -c "import secrets; print(secrets.token_hex(32))"',
    ],
)
def test_a_key_that_stands_somewhere_is_weak(monkeypatch, key):
    monkeypatch.setenv("LEADMARTS_SIGNING_KEY", key)
    with pytest.raises(SettingsError, match="it is a placeholder, which others know"):
        keys.configured()


@given(st.binary(min_size=32, max_size=32))
def test_a_random_key_is_taken(content):
    for key in (content.hex(), base64.b64encode(content).decode()):
        if len(set(key)) >= 8:
            with pytest.MonkeyPatch.context() as patched:
                patched.setenv("LEADMARTS_SIGNING_KEY", key)
                assert keys.configured() == key.encode()


def test_production_refuses_files_that_others_can_change(tmp_path, users):
    users("add", "ada", "--password-stdin", password="a good password")
    (tmp_path / "secrets").mkdir()
    key = tmp_path / "secrets" / "key"
    key.write_text(KEY["LEADMARTS_SIGNING_KEY"])
    key.chmod(0o600)
    variables = {**PRODUCTION, "LEADMARTS_SIGNING_KEY_FILE": str(key)}
    (tmp_path / "users.json").chmod(0o620)
    key.parent.chmod(0o777)
    ended = start(tmp_path, "api", "--port", "0", **variables, LEADMARTS_TOKEN_SECONDS="0")
    assert ended.returncode == 1
    assert ended.stderr.removeprefix("Error: ").splitlines() == [
        (
            f"LEADMARTS_SIGNING_KEY_FILE names {key}, which other users of this machine could "
            f"change, because {key.parent} has mode 0777; run `chmod go-w {key.parent}`, or move "
            "the file where only its owner can write."
        ),
        (
            f"{tmp_path}/users.json, which says who may sign in, other users of this machine could "
            f"change, because {tmp_path}/users.json has mode 0620; run `chmod go-w "
            f"{tmp_path}/users.json`, or move the file where only its owner can write."
        ),
        'LEADMARTS_TOKEN_SECONDS is "0"; set it to a whole number from 1 to 86,400.',
    ]
    variables |= {"LEADMARTS_ENV": "development"}  # there it may be as it is
    assert start(tmp_path, "api", "--port", "0", "--check", **variables).returncode == 0


@pytest.mark.parametrize(
    ("modes", "cause"),
    [
        ({}, None),
        ({"up/in/file": 0o660}, "up/in/file"),
        ({"up/in/file": 0o602}, "up/in/file"),
        ({"up/in/file": 0o444, "up/in": 0o555}, None),
        ({"up/in": 0o775}, "up/in"),
        ({"up": 0o757}, "up"),
        ({"up/in": 0o1777}, None),  # like /tmp, where nobody replaces what is ours
        ({"links": 0o777}, "links"),
    ],
)
def test_who_could_change_a_file(tmp_path, modes, cause):
    file = tmp_path / "up" / "in" / "file"
    file.parent.mkdir(parents=True)
    file.touch(0o600)
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "file"
    link.symlink_to(file)
    for place, mode in modes.items():
        (tmp_path / place).chmod(mode)
    expected = tmp_path / cause if cause else None
    if cause != "links":
        assert writable_by_others(file) == expected
    assert writable_by_others(link) == (link if cause == "up/in/file" else expected)


@pytest.mark.parametrize("mode", [0o1777, 0o770])
def test_a_file_that_is_not_there_may_be_made_by_others(tmp_path, mode):
    assert writable_by_others(tmp_path / "up" / "in" / "file") is None
    tmp_path.chmod(mode)
    for file in (tmp_path / "file", tmp_path / "up" / "in" / "file"):
        assert writable_by_others(file) == tmp_path
    ended = start(tmp_path, "api", **PRODUCTION, **KEY)
    assert ended.stderr.strip().removeprefix("Error: ") == (
        f"{tmp_path}/users.json, which says who may sign in, is not there yet, and other users of "
        f"this machine could make it, because {tmp_path} has mode {mode:04o}; run `chmod go-w "
        f"{tmp_path}`, or move the file where only its owner can write."
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_in_a_folder_for_all_others_own_what_is_theirs(tmp_path):
    tmp_path.chmod(0o1777)
    file = tmp_path / "file"
    other = tmp_path / "other"
    file.touch(0o600)
    other.symlink_to("elsewhere")
    os.chown(other, 12345, 12345, follow_symlinks=False)
    assert writable_by_others(file) is None
    assert writable_by_others(other) == tmp_path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
@pytest.mark.parametrize("place", ["up/in/file", "up/in", "up", "link"])
def test_who_owns_a_file_could_change_it(tmp_path, place):
    file = tmp_path / "up" / "in" / "file"
    file.parent.mkdir(parents=True)
    file.write_text(KEY["LEADMARTS_SIGNING_KEY"])
    file.chmod(0o444)
    file.parent.chmod(0o555)
    link = tmp_path / "link"
    link.symlink_to(file)
    assert writable_by_others(link) is None
    cause = tmp_path / place
    os.chown(cause, 12345, 12345, follow_symlinks=False)
    ended = start(tmp_path, "api", **PRODUCTION, LEADMARTS_SIGNING_KEY_FILE=str(link))
    shown = link if place == "up/in/file" else cause
    assert ended.stderr.strip().removeprefix("Error: ") == (
        f"LEADMARTS_SIGNING_KEY_FILE names {link}, which other users of this machine could change, "
        f"because {shown} belongs to the user with the number 12345; have root run `chown -h 0 "
        f"{shown}`, or move the file where only its owner can write."
    )


def test_more_connections_than_files_may_be_open(tmp_path):
    ended = subprocess.run(
        ["sh", "-c", f'ulimit -n 300 && exec "{sys.executable}" -m api --port 0'],
        check=False,
        env={"LEADMARTS_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "LEADMARTS_CONNECTIONS is 512, but a process may have only 300 files" in ended.stderr


@pytest.fixture
def users(tmp_path):
    """Runs `python -m api users` over the users of a test."""

    def run(*arguments, password=""):
        return subprocess.run(
            [sys.executable, "-m", "api", "users", *arguments],
            check=True,
            env={"LEADMARTS_DATA": str(tmp_path)},
            input=password,
            text=True,
        )

    return run


def test_production_refuses_the_demo_user(tmp_path, users):
    users("add", "marketing_op", "--password-stdin", password="marketing_op_supersecret\n")
    ended = start(tmp_path, "api", "--port", "0", **PRODUCTION, **KEY)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "users.json has the demo user" in ended.stderr
    assert "`python -m api users remove marketing_op`" in ended.stderr


def test_production_takes_another_password_of_the_demo_users_name(run_server, users):
    users("add", "marketing_op", "--password-stdin", password="not the one of the demo")
    with run_server(**PRODUCTION, **KEY) as server:
        assert server.token("marketing_op", "not the one of the demo")
        assert "may sign in" not in server.log()


def test_production_without_users_lets_nobody_in(run_server):
    with run_server(**PRODUCTION, **KEY) as server, server.client() as client:
        demo = ("marketing_op", "marketing_op_supersecret")
        assert client.get("/api/auth/token", auth=demo).status_code == 401
    assert "Nobody can sign in, because there are no users" in server.log()


def test_where_the_last_user_was_removed_nobody_may_sign_in(run_server, users):
    users("add", "ada", "--password-stdin", password="a good password")
    users("remove", "ada")
    with run_server() as server, server.client() as client:  # not even the demo user
        demo = ("marketing_op", "marketing_op_supersecret")
        assert client.get("/api/auth/token", auth=demo).status_code == 401
    assert "Nobody can sign in, because there are no users" in server.log()


def test_a_key_from_a_file(run_server, tmp_path):
    (tmp_path / "key").write_text(KEY["LEADMARTS_SIGNING_KEY"] + "\n")
    with run_server(LEADMARTS_SIGNING_KEY_FILE=str(tmp_path / "key")) as server:
        assert "a key that ends with this server" not in server.log()
        assert "The demo user marketing_op" in server.log()
        token = server.token()
    signed = hmac.digest(
        KEY["LEADMARTS_SIGNING_KEY"].encode(), b"lead-marts: sign tokens", "sha256"
    )
    assert jwt.decode(token, signed, ["HS256"], audience="lead-marts-api")["sub"] == "marketing_op"


def test_workers_take_each_others_tokens(run_server, make_publication, tmp_path, wait_until):
    """In development too, where the key is made at start."""
    make_publication(tmp_path / "publications", [])
    command = ["-m", "api", "--port", "0", "--workers", "2"]
    with run_server(command) as server:
        wait_until(lambda: server.log().count("Publication 1 is served now.") == 2)
        assert server.log().count("a key that ends with this server") == 1
        token = server.token()
        for _ in range(12):  # connections of their own, which go to either worker
            with server.client(headers={"Authorization": f"Bearer {token}"}) as client:
                assert client.get("/api/marketing/measurements").status_code == 200


def test_several_workers_swap_only_when_all_had_time_to_look(
    run_server, make_publication, make_events, model, wait_until, tmp_path
):
    """That they mean the same moment is seen in tests/api/test_watching.py."""
    folder = tmp_path / "publications"
    make_publication(folder, make_events(1))

    def served(number):
        """The moments at which each process began to serve a publication."""
        told = (msgspec.json.decode(line) for line in server.log().splitlines())
        return {
            line["process"]: datetime.fromisoformat(line["time"]).timestamp()
            for line in told
            if line["message"] == f"Publication {number} is served now."
        }

    command = ["-m", "api", "--port", "0", "--workers", "2"]
    with run_server(command, **PRODUCTION, **KEY) as server:
        wait_until(lambda: len(served(1)) == 2)
        for number in (2, 3):
            make_publication(folder, make_events(number))
            published = (folder / "current.json").stat().st_ctime
            os.utime(folder / "current.json", (0, 0))  # like a copy that keeps its times
            moments = wait_until(lambda n=number: len(served(n)) == 2 and served(n))
            assert moments.keys() == served(1).keys()
            assert min(moments.values()) - published > 0.9
        with server.client() as client:
            assert client.get(WEEK).json() == model(make_events(3), "week")


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "granian", "--factory", "--interface", "asgi", "--host", "127.0.0.1"],
        ["-m", "uvicorn", "--factory", "--host", "127.0.0.1"],
    ],
    ids=["granian", "uvicorn"],
)
def test_any_server_takes_the_factory(
    run_server, command, make_publication, make_events, model, tmp_path
):
    events = make_events(1)
    make_publication(tmp_path / "publications", events)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [*command, "--port", str(port), "api.app:create_app"]
    with run_server(command, port) as server, server.client() as client:
        assert client.get(WEEK).json() == model(events, "week")
        assert client.head(WEEK, headers={"If-None-Match": "*"}).status_code == 304
        assert client.get("/no%2Fwhere").json()["instance"] == "/no%2Fwhere"
        assert WEEK not in server.log()
        assert server.log().count("Publication 1 is served now.") == 1

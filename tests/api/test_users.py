"""`python -m api users`: who may sign in."""

import json
import os
import stat
import subprocess
import sys

import pytest

from api.auth.passwords import fits


@pytest.fixture
def command(tmp_path):
    def run(*arguments, password="a good password", **variables):  # noqa: S107
        return subprocess.run(
            [sys.executable, "-m", "api", "users", *arguments],
            check=False,
            env={"LEADMARTS_DATA": str(tmp_path), **variables},
            input=password + "\n",
            capture_output=True,
            text=True,
        )

    return run


def kept(tmp_path):
    users = json.loads((tmp_path / "users.json").read_text())["users"]
    return {user["name"]: user for user in users}


def test_adding_changing_listing_and_removing(command, tmp_path):
    added = command("add", "ada", "--password-stdin")
    assert added.returncode == 0, added.stderr
    assert added.stdout == f"Added ada in {tmp_path}/users.json, who may: marketing:read.\n"
    assert command("add", "zoë", "--password-stdin", "--no-scope").returncode == 0
    twice = ("--scope", "b:read", "--scope", "a:read", "--scope", "b:read")
    assert command("add", "bob", "--password-stdin", *twice).returncode == 0
    listed = command("list").stdout
    assert listed == "ada\tmarketing:read\nbob\ta:read b:read\nzoë\t\n"
    assert stat.S_IMODE((tmp_path / "users.json").stat().st_mode) == 0o600

    before = kept(tmp_path)["ada"]["password_hash"]
    changed = command("add", "ada", "--password-stdin", password="a better password")
    assert changed.stdout.startswith("Changed ada in ")
    after = kept(tmp_path)["ada"]["password_hash"]
    assert fits("a good password", before)
    assert fits("a better password", after)
    assert not fits("a good password", after)
    assert after.startswith("$argon2id$")
    assert "password" not in (tmp_path / "users.json").read_text().replace("password_hash", "")

    assert command("remove", "bob").stdout == f"Removed bob from {tmp_path}/users.json.\n"
    assert set(kept(tmp_path)) == {"ada", "zoë"}
    assert command("remove", "zoë").returncode == 0
    last = command("remove", "ada").stdout
    assert last == f"Removed ada from {tmp_path}/users.json. Nobody may sign in now.\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("add", "a:b", "--password-stdin"), "A user's name has 1 to 200 characters, no colon"),
        (("add", "", "--password-stdin"), "A user's name has 1 to 200 characters"),
        (("add", "a\nb", "--password-stdin"), "no control characters"),
        (("add", "x" * 201, "--password-stdin"), "1 to 200 characters"),
        (("add", "a", "--scope", "a b", "--password-stdin"), "'a b' is no scope; write it"),
        (("remove", "ada"), "There is no user ada in"),
    ],
)
def test_what_cannot_be_is_one_sentence(command, tmp_path, arguments, told):
    ended = command(*arguments)
    assert ended.returncode == 1
    assert told in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "users.json").exists()


def test_short_passwords(command):
    ended = command("add", "ada", "--password-stdin", password="short")
    assert ended.returncode == 1
    assert "The password needs 8 characters or more." in ended.stderr


def test_nobody(command, tmp_path):
    listed = command("list")
    assert (listed.returncode, listed.stdout) == (0, "")
    assert f"There are no users in {tmp_path}/users.json." in listed.stderr


@pytest.mark.parametrize("content", ["{", '{"users": [{"name": "a"}]}', "[]", '{"users": 1}'])
def test_a_damaged_file_is_left_alone(command, tmp_path, content):
    (tmp_path / "users.json").write_text(content)
    for arguments in (("list",), ("add", "ada", "--password-stdin"), ("remove", "ada")):
        ended = command(*arguments)
        assert ended.returncode == 1
        assert f"The users in {tmp_path}/users.json cannot be read" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert (tmp_path / "users.json").read_text() == content


def test_a_place_that_cannot_be_written(command, tmp_path):
    (tmp_path / "file").touch()
    ended = command(
        "add", "a", "--password-stdin", LEADMARTS_USERS=str(tmp_path / "file" / "users")
    )
    assert ended.returncode == 1
    assert "set LEADMARTS_USERS to another place" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_many_at_once_lose_nobody(tmp_path):
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "api", "users", "add", f"user-{n}", "--password-stdin"],
            env={**os.environ, "LEADMARTS_USERS": str(tmp_path / "users.json")},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        for n in range(6)
    ]
    for process in started:
        process.communicate(b"a good password\n")
    assert [process.returncode for process in started] == [0] * 6
    assert set(kept(tmp_path)) == {f"user-{n}" for n in range(6)}

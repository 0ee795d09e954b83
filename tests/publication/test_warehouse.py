"""One builder at a time: the next waits a little, then says one sentence."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from publication import PlaceUnusable, WarehouseBusy
from publication.warehouse import Warehouse

SCRIPT = Path(__file__).with_name("hold_the_warehouse.py")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "warehouse.duckdb"


@pytest.fixture
def hold(path):
    """Start a process that holds the warehouse; closing its standard input ends it."""
    started = []

    def hold(manner):
        path.parent.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, SCRIPT, path, manner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_nobody_else(path):
    warehouse = Warehouse(path, 0)
    for _ in range(3):  # dbt opens and closes it more than once
        warehouse.take({"threads": 2})
        with duckdb.connect(path, config={"threads": 2}) as connection:
            connection.execute("create or replace table t as select 1")


def test_it_is_the_processs_until_nothing_there_needs_it(path):
    first, second = Warehouse(path, 0), Warehouse(path, 0)
    first.take({})
    second.take({})
    del first
    assert try_to_hold(path) != 0
    del second
    assert try_to_hold(path) == 0


def try_to_hold(path):
    answer = subprocess.run(
        [sys.executable, SCRIPT, path, "politely"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    return answer.returncode


def test_another_dbt_command_in_it(path, hold):
    process = hold("politely")
    with pytest.raises(WarehouseBusy) as busy:
        Warehouse(path, 0.3).take({})
    assert str(busy.value) == (
        f"{path} is being built in by another dbt command (process {process.pid}); "
        "run this one again when that one has ended."
    )


def test_another_program_in_it(path, hold):
    process = hold("rudely")
    with pytest.raises(WarehouseBusy) as busy:
        Warehouse(path, 0.3).take({})
    program = Path(sys.executable).resolve().name
    assert str(busy.value) == (
        f"{path} is open in {program} (process {process.pid}); close it there and run this again."
    )


@pytest.mark.parametrize("manner", ["politely", "rudely"])
def test_waiting_in_vain_is_enough_once(path, hold, manner, monkeypatch):
    """Dbt asks again for each schema: a message after four times as long comes too late."""
    hold(manner)
    warehouse = Warehouse(path, 0.3)
    with pytest.raises(WarehouseBusy):
        warehouse.take({})
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it waits again"))
    with pytest.raises(WarehouseBusy):
        warehouse.take({})


@pytest.mark.parametrize("manner", ["politely", "rudely"])
def test_waiting_is_worth_it(path, hold, manner):
    process = hold(manner)
    waited = threading.Timer(0.5, process.stdin.close)
    waited.start()
    Warehouse(path, 30).take({})
    assert waited.finished.is_set()
    with duckdb.connect(path) as connection:
        connection.execute("create table t as select 1")


def test_a_killed_holder_holds_nothing(path, hold):
    process = hold("politely")
    process.kill()
    process.wait()
    Warehouse(path, 0).take({})


def test_what_else_is_wrong_with_the_file_is_left_to_duckdb(path):
    path.parent.mkdir()
    path.write_text("nonsense" * 1000)
    Warehouse(path, 0).take({})


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PlaceUnusable, match=r"warehouse\.duckdb cannot be written"):
        Warehouse(tmp_path / "file" / "warehouse.duckdb", 0).take({})


def test_who_waits_says_for_whom_and_nobody_else_can_hold_the_lock(path, hold):
    process = hold("politely")
    lock = path.with_name(f"{path.name}.lock")
    assert lock.stat().st_mode & 0o777 == 0o600
    lock.chmod(0o666)  # as an older version made it
    said = []

    def let_go(text):
        said.append(text)
        process.stdin.close()

    Warehouse(path, 60, let_go).take({})
    assert said == [
        f"Waiting for process {process.pid}, which builds in {path}, for at most 60 seconds."
    ]
    assert lock.stat().st_mode & 0o777 == 0o600

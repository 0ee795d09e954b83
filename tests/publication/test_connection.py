"""Whoever opens a publication can read it, and do nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import duckdb
import pyarrow as pa
import pytest

from publication import PublicationBroken, connect
from publication.connection import attached


@pytest.fixture
def connection(store, publish):
    with connect(store.path(publish()), threads=1) as connection:
        yield connection


@pytest.mark.parametrize(
    "statement",
    [
        "insert into weekly values ('2030-01-07', '2030-W02', 0)",
        "create table more (a int)",
        "from read_text('/etc/hostname')",
        "copy weekly to '/tmp/never.csv'",
        "attach '/tmp/never.duckdb'",
        "install httpfs",
        "load httpfs",
        "set timezone = 'Europe/Paris'",
        "set threads = 2",
        "set enable_external_access = true",
        "set lock_configuration = false",
    ],
)
def test_it_is_locked_down(connection, statement):
    for handle in (connection, connection.cursor()):
        with pytest.raises(duckdb.Error):
            handle.execute(statement)


def test_it_sees_no_python_object(connection):
    secret = pa.table({"a": [1]})
    with pytest.raises(duckdb.CatalogException):
        connection.execute("from secret")
    assert secret.num_rows == 1


def test_settings_are_shared_by_cursors_and_later_connections(store, connection):
    query = "select current_setting('TimeZone'), current_setting('threads')"
    assert connection.cursor().execute(query).fetchall() == [("UTC", 1)]
    with connect(store.path(store.current()), threads=1) as again:
        assert again.execute(query).fetchall() == [("UTC", 1)]


def test_an_instance_orders_rows_as_before_once_a_file_is_detached(tmp_path):
    with duckdb.connect() as instance:
        instance.execute("set preserve_insertion_order = false")
        order = "select current_setting('preserve_insertion_order')"
        with attached(instance, tmp_path / "marts.duckdb") as file:
            assert file.connection.execute(order).fetchall() == [(True,)]
        assert instance.execute(order).fetchall() == [(False,)]
        with pytest.raises(duckdb.Error), attached(instance, tmp_path / "no" / "folder"):
            pass
        assert instance.execute(order).fetchall() == [(False,)]


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(PublicationBroken, match=r"nothing\.duckdb cannot be opened: .*not exist"):
        connect(tmp_path / "nothing.duckdb")
    assert not (tmp_path / "nothing.duckdb").exists()


def test_many_threads_open_one_file_at_once(store, publish):
    path = store.path(publish())
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            opened = list(pool.map(lambda _: connect(path, threads=1), range(8)))
            for connection in opened:
                assert connection.execute("select count(*) from weekly").fetchall()[0][0] > 0
                connection.close()

"""Tables in object stores: as in a folder, and one sentence for whatever may be wrong there."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner
from deltalake import DeltaTable, QueryBuilder, write_deltalake
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileSelector

from lake import exchange, places, tables
from lake.__main__ import main
from lake.changes import Mode, Seen, changes_of
from lake.contracts import LEADS
from lake.delta_source import Plugin
from lake.errors import (
    PlaceInvalid,
    StoreFailed,
    StoreUnreachable,
    TableBroken,
    TableBusy,
    TableMissing,
)
from lake.load import load
from lake.pinned import pin
from lake.store_failures import told
from lake.upkeep.found import need
from lake.upkeep.vacuuming import vacuum
from tests.object_stores import servers

if TYPE_CHECKING:
    from tests.lake.conftest import Lake


FOREIGN = Path(
    os.environ.get("LEADMARTS_FOREIGN_TABLES", Path(__file__).parents[3] / "shared/delta_tables")
)


@dataclass(frozen=True)
class There:
    """A folder of its own in an object store, and a local one for files to load."""

    lake: Lake
    store: servers.ObjectStore
    name: str
    monkeypatch: pytest.MonkeyPatch

    @property
    def uri(self) -> str:
        return self.store.uri(f"{self.name}/leads")

    def reach(self, store: servers.ObjectStore, uri: str | None = None) -> None:
        """Set the environment to a store, and the leads' place there."""
        for variable, value in store.environment.items():
            self.monkeypatch.setenv(variable, value)
        self.monkeypatch.setenv("LEADMARTS_LEADS_URI", uri or self.uri)

    def table(self, suffix: str = "") -> DeltaTable:
        return DeltaTable(self.uri + suffix, storage_options={**self.store.environment})

    def rows(self, suffix: str = "") -> list[dict[str, object]]:
        engine = QueryBuilder().register("t", self.table(suffix))
        return pa.table(engine.execute("select * from t")).to_pylist()


@pytest.fixture
def there(lake, object_store, request, monkeypatch):
    # Two stores of moto's have one bucket; no two tests share a folder.
    name = f"{object_store.scheme}-{abs(hash(request.node.nodeid)):x}"
    found = There(lake, object_store, name, monkeypatch)
    found.reach(object_store)
    return found


def is_a_sentence(error: Exception, store: servers.ObjectStore) -> bool:
    text = str(error)
    kept = not any(trace.decode() in text for trace in store.traces())
    return kept and text.isprintable() and text.endswith(".")


def test_load_load_again_update(there):
    content = "id,date_relance,owner\na,2024-01-01,x\nb,,y\nc,no,\n"
    assert there.lake.counts("1.csv", content) == (2, 0, 0, 1)
    assert there.lake.counts("1.csv", content) == (0, 0, 2, 1)
    assert there.table().version() == there.table("_rejects").version() == 0
    assert there.lake.counts("2.csv", "id,owner,new\na,x,\nb,z,\nd,,1\n") == (1, 1, 1, 0)
    owners = sorted((row["id"], row["owner"], row["new"]) for row in there.rows())
    assert owners == [("a", "x", None), ("b", "z", None), ("d", None, "1")]
    assert [(row["line"], row["row"]) for row in there.rows("_rejects")] == [
        (4, '{"id":"c","date_relance":"no","owner":null}')
    ]
    assert not (there.lake.data / "lake").exists()

    pinned = pin("leads", there.uri, "0")
    assert (pinned.uri, pinned.version) == (there.uri, 0)
    assert pa.table(pinned.scan.to_table()).num_rows == 2
    # The commit's own time, by the oracle that holds for the newest version.
    newest = pin("leads", there.uri)
    (commit,) = there.table().history(1)
    assert newest.committed_at.timestamp() * 1000 == commit["timestamp"]


def said(*arguments):
    ended = CliRunner().invoke(main, arguments)
    assert (ended.exit_code, ended.stderr) == (0, "")
    return ended.stdout


def test_it_is_looked_after_as_in_a_folder(there):
    for name in "ab":
        there.lake.load(f"{name}.csv", f"id,date_relance\n{name},\nx,no\n")
    status = said("status", "leads")
    assert f"place             {there.uri}\n" in status
    assert "rows              2 in 2 files (" in status
    assert status.endswith(f"rejects           2 rows in {there.uri}_rejects\n")

    _, newest, oldest = said("history", "leads").splitlines()
    assert newest.startswith("1 ")
    assert oldest.startswith("0 ")
    moment = next(cell for cell in oldest.split("  ") if "UTC" in cell).strip()
    assert pin("leads", there.uri, moment.removesuffix(" UTC") + "Z").version == 0
    with pytest.raises(TableMissing, match=f"leads at {there.uri} that its log still has"):
        pin("leads", there.uri, "2001-01-01")

    assert said("compact") == (
        "leads: 2 files before, 1 after; version 2\n"
        "leads_rejects: 2 files before, 1 after; version 2\n"
    )
    force = ("vacuum", "leads", "--older-than", "0h", "--force")
    assert said(*force, "--dry-run").startswith("leads: would remove 2 files (")
    assert said(*force).startswith("leads: removed 2 files (")
    assert sorted(row["id"] for row in there.rows()) == ["a", "b"]
    with pytest.raises(TableBroken, match=r"Version 1 .* lacks 2 of its data files"):
        pin("leads", there.uri, "1")


def changed(there):
    """Load a lead, and it again with another date; return what changed."""
    there.lake.load("1.csv", "id,date_relance\na,2024-01-01\nb,\n")
    before = pin("leads", there.uri)
    counted = changes_of(before, None).commit
    there.lake.load("2.csv", "id,date_relance\na,2024-02-02\n")
    seen = Seen(1, before.table_id, before.version, counted, "", tested=True)
    return changes_of(pin("leads", there.uri), seen)


def test_what_changed_is_told_there_too(there):
    changes = changed(there)
    assert changes.mode is Mode.CHANGES, changes.reason
    with duckdb.connect() as connection:
        connection.register("changes", changes.scan)
        rows = connection.sql("select _change_type, id, month(date_relance) from changes")
        assert sorted(rows.fetchall()) == [
            ("update_postimage", "a", 2),
            ("update_preimage", "a", 1),
        ]


def test_a_store_that_dies_while_what_changed_is_read_is_a_sentence(there_alone):
    changes = changed(there_alone)
    there_alone.store.meet("GET ", "death")
    with duckdb.connect() as connection:
        connection.register("changes", changes.scan)
        with pytest.raises(duckdb.Error) as raised:
            connection.sql("from changes").fetchall()
    assert f"S3 cannot be reached for {there_alone.uri} " in str(raised.value)
    assert str(raised.value).isprintable()


def test_two_writers_at_once_lose_nothing(there):
    """Whoever comes second to a version is told so by the store itself."""
    there.lake.load("0.csv", "id\n0\n")
    files = [there.lake.file(f"{n}.csv", f"id\n{n}a\n{n}b\n") for n in range(1, 4)]
    start, errors = threading.Barrier(len(files)), []

    def load_one(path):
        start.wait()
        try:
            load(LEADS, path)
        except TableBusy as error:
            errors.append((path, error))

    threads = [threading.Thread(target=load_one, args=(path,)) for path in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lost = {path.stem for path, _ in errors}
    expected = {"0"} | {f"{n}{x}" for n in range(1, 4) for x in "ab" if str(n) not in lost}
    assert {row["id"] for row in there.rows()} == expected
    assert there.table().version() == len(files) - len(errors)


@pytest.mark.parametrize("write", ["create", "append", "merge", "exchange"])
def test_what_was_compared_is_what_is_replaced(there, write):
    there.monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")  # nobody can turn that off
    place = places.at(there.uri)
    opened = None
    if write != "create":
        there.lake.load("1.csv", "id,owner\na,x\n")
        opened = tables.open_table(place)
    there.lake.load("2.csv", "id,owner\nb,y\n")
    rows = pa.table({"id": ["b"], "owner": ["z"]})
    with pytest.raises(TableBusy) as raised:
        {
            "create": lambda: tables.create(place, rows.to_reader()),
            "append": lambda: tables.append(place, opened, rows.to_reader()),
            "merge": lambda: tables.merge(place, opened, rows.to_reader(), ["id"]),
            "exchange": lambda: exchange.exchange(place, opened, rows, "id"),
        }[write]()
    assert is_a_sentence(raised.value, there.store)
    assert ("b", "y") in [(row["id"], row["owner"]) for row in there.rows()]


@pytest.fixture
def connection():
    """A connection that is closed in the end.

    Python's garbage collector does not see what DuckDB's binding refers to: an open connection with
    an object of ours registered may be there until the interpreter ends, and read ahead even then.
    """
    with duckdb.connect() as connection:
        yield connection


def read(there, uri=None):
    pin("leads", uri or there.uri)


def write(there, uri=None):
    there.lake.load("1.csv", "id\na\n")


both = pytest.mark.parametrize("do", [read, write])


@both
def test_a_wrong_key_is_a_sentence(there, do):
    wrong = there.store.with_a_wrong_key()
    there.reach(wrong)
    with pytest.raises(StoreFailed, match=f"refuses what it is asked about {there.uri}") as raised:
        do(there)
    assert is_a_sentence(raised.value, wrong)
    there.reach(there.store)
    assert tables.open_table(places.at(there.uri)) is None


@both
def test_a_missing_bucket_is_a_sentence(there, do):
    uri = there.store.uri("x/leads", "nobody-made-this")
    there.reach(there.store, uri)
    with pytest.raises(StoreFailed, match=r"no (bucket|container) nobody-made-this in") as raised:
        do(there, uri)
    assert is_a_sentence(raised.value, there.store)


def test_a_missing_table_is_not_a_missing_store(there):
    with pytest.raises(TableMissing, match=f"no Delta table leads at {there.uri}: make"):
        pin("leads", there.uri)
    there.lake.load("1.csv", "id\na\n")
    with pytest.raises(TableMissing, match="has no version 1"):
        pin("leads", there.uri, "1")


@contextmanager
def listening(backlog=9):
    """An address where connections are taken and nothing is ever said."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(backlog)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@both
def test_a_store_that_is_not_there_is_a_sentence(there, do):
    with listening() as url:
        pass  # and is gone again
    there.reach(there.store.at(url))
    begun = time.monotonic()
    with pytest.raises(StoreUnreachable, match=f"reached for {there.uri} .*refused") as raised:
        do(there)
    assert is_a_sentence(raised.value, there.store)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "object_store",
    ["s3", pytest.param("gs", marks=pytest.mark.soak), pytest.param("az", marks=pytest.mark.soak)],
    indirect=True,
)
def test_a_silent_store_is_a_sentence_within_ten_seconds(there, connection):
    with listening() as url:
        there.reach(there.store.at(url))
        tables = {"leads": {"uri": there.uri}, "marketing_conversions": {"uri": there.uri}}
        plugin = Plugin("lake", {"tables": tables}, credentials=None)
        begun = time.monotonic()
        with pytest.raises(StoreUnreachable, match="timed out") as raised:
            write(there)
        loaded = time.monotonic()
        plugin.configure_cursor(connection)
        assert max(loaded - begun, time.monotonic() - loaded) < 10
    assert is_a_sentence(raised.value, there.store)
    (sentence,) = plugin._unreadable
    assert sentence == str(raised.value)


def test_a_store_in_trouble_is_a_sentence(there_alone):
    there_alone.store.meet("GET ", "503")
    with pytest.raises(StoreUnreachable, match=r"answers 503 Service Unavailable about") as raised:
        read(there_alone)
    assert is_a_sentence(raised.value, there_alone.store)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (r"GET .*\.parquet", "cannot be reached"),  # while comparing
        pytest.param(
            r"PUT .*\.parquet",
            "cannot be reached .* written is not known",
            marks=pytest.mark.soak,
        ),
        (r"PUT .*0001\.json", "cannot be reached .* written is not known"),
    ],
)
def test_a_store_that_dies_in_the_middle_of_a_load_is_a_sentence(there_alone, request_, sentence):
    there_alone.lake.load("1.csv", "id,owner\na,x\n")
    there_alone.store.meet(request_, "death")
    with pytest.raises(StoreUnreachable, match=sentence) as raised:
        there_alone.lake.load("2.csv", "id,owner\na,y\n")
    assert is_a_sentence(raised.value, there_alone.store)


def test_a_store_that_dies_while_the_lake_is_looked_after_is_a_sentence(there_alone):
    there_alone.lake.load("1.csv", "id\na\n")
    found = need("leads")
    there_alone.store.meet("GET ", "death")
    with pytest.raises(StoreUnreachable, match="cannot be reached") as raised:
        vacuum(found, 168, dry_run=True)
    assert is_a_sentence(raised.value, there_alone.store)


@pytest.fixture
def there_alone(lake, no_store_known, tmp_path, monkeypatch):
    """S3 in a server of the test's own, which may come to harm."""
    with servers.moto(tmp_path) as stores:
        there = There(lake, stores["s3"], "alone", monkeypatch)
        there.reach(there.store)
        yield there


@pytest.mark.parametrize("object_store", ["s3"], indirect=True)
@pytest.mark.parametrize("partitions", [[], ["origin"]])
def test_a_lost_data_file_is_a_sentence(there, connection, partitions):
    place = places.at(there.uri)
    for value in ("a b", "a%20b", "é/ç"):
        rows = pa.table({"id": [value], "origin": [value]})
        options = {"storage_options": {**place.options}, "partition_by": partitions}
        write_deltalake(place.uri, rows, mode="append", **options)
    connection.register("t", pin("leads", there.uri).scan)
    assert len(connection.sql("from t where id = origin").fetchall()) == 3

    files = DeltaStorageHandler(place.uri, {**place.options})
    listed = files.get_file_info_selector(FileSelector("", recursive=True))
    files.delete_file(next(file.path for file in listed if file.path.endswith(".parquet")))
    if not partitions:
        with pytest.raises(TableBroken, match="lacks 1 of its data files") as raised:
            pin("leads", there.uri)
        assert is_a_sentence(raised.value, there.store)
    with pytest.raises(duckdb.Error, match=r"parquet of the Delta table at .* not found") as during:
        connection.sql("from t").fetchall()
    assert str(during.value).isprintable()
    with pytest.raises(TableBroken, match=r"parquet of the Delta table at .* not found") as raised:
        there.lake.load("1.csv", "id\na b\n")
    assert is_a_sentence(raised.value, there.store)


@pytest.mark.parametrize(
    "request_",
    [pytest.param(r"GET .*parquet", marks=pytest.mark.soak), r"GET .*deletion_vector"],
)
def test_a_table_that_the_engine_reads_is_read_there_too(there_alone, connection, request_):
    foreign = FOREIGN / "table-with-dv-small"
    if not foreign.is_dir():
        pytest.skip(f"There are no Delta tables at {FOREIGN}: set LEADMARTS_FOREIGN_TABLES.")
    uri = there_alone.store.uri("foreign")
    place = places.at(uri)
    files = DeltaStorageHandler(uri, {**place.options})
    for file in foreign.rglob("*"):
        if file.is_file():
            output = files._handler.open_output_stream(str(file.relative_to(foreign)))
            output.write(file.read_bytes())
            output.close()
    connection.register("t", pin("foreign", uri).scan)
    assert sorted(connection.sql("select value from t").fetchall()) == [(n,) for n in range(1, 9)]

    there_alone.store.meet(request_, "death")
    with pytest.raises(duckdb.Error, match=rf"S3 cannot be reached for {uri} ") as raised:
        connection.sql("select value from t").fetchall()
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("uri", "environment", "sentence"),
    [
        ("s3://lake/x", {}, "no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET"),
        ("s3://lake/x", {"AWS_ACCESS_KEY_ID": "a"}, "no credentials for S3"),
        ("gs://lake/x", {}, "no credentials for Google Cloud Storage: set GOOGLE_SERVICE_ACCOUNT "),
        ("az://lake/x", {"AZURE_STORAGE_ACCOUNT_KEY": "a"}, "no credentials for Azure"),
        (
            "s3://lake/x",
            {"AWS_SKIP_SIGNATURE": "true", "AWS_ENDPOINT_URL": "localhost:9000"},
            "AWS_ENDPOINT_URL is no URL",
        ),
        ("s3://lake", {}, "s3://lake names no place in S3: give s3://bucket/folder"),
        ("az:///x", {}, "names no place .*: give az://container/folder"),
        ("gs://lake/a%20b", {}, "has a percent sign"),
        ("s3://k:s@lake/x", {}, "^s3://lake/x is given with more than a place"),
        ("s3a://lake/x", {}, "is not on this machine, nor in an object store that is known"),
    ],
)
def test_what_cannot_be_a_place_is_a_sentence_and_nobody_is_asked(
    lake, no_store_known, monkeypatch, uri, environment, sentence
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LEADMARTS_LEADS_URI", uri)
    with pytest.raises(PlaceInvalid, match=sentence):
        lake.load("1.csv", "id\na\n")


def test_waits_can_be_set(no_store_known, monkeypatch):
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("LEADMARTS_STORE_TIMEOUT", "90s")
    options = places.at("s3://lake/x", {"max_retries": "5"}).options
    assert (options["timeout"], options["max_retries"], options["connect_timeout"]) == (
        "90s",
        "5",
        "3s",
    )
    assert options["aws_conditional_put"] == "etag"


def test_what_a_store_says_is_told_without_secrets(no_store_known, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_SAS_KEY", "sv=1&sig=first")
    error = OSError("GET http://x/y?sv=1&sig=first and sig=first: sv=1&sig=first, then second.\nx")
    assert told(error, {"aws_secret_access_key": "second"}) == (
        "GET http://x/y and sig=first: …, then …"
    )


def test_a_place_shows_no_secret(no_store_known):
    options = {"aws_access_key_id": "a", "aws_secret_access_key": "hidden"}
    place = places.at("s3://lake/x/", options)
    assert "hidden" not in repr(place) + str(place)
    assert str(place) == "s3://lake/x"

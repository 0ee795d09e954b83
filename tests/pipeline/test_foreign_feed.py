"""The change data feed of tables that other writers made."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from lake.changes import Changes, Mode, Seen, changes_of
from lake.pinned import pin

if TYPE_CHECKING:
    from pathlib import Path

FEED = "delta.enableChangeDataFeed"
OLD, NEW = date(2025, 1, 1), date(2025, 2, 1)


def changes(folder: Path) -> Changes:
    """What a ledger that has seen version 0 has to count."""
    first = changes_of(pin("leads", str(folder), "0"), None)
    seen = Seen(1, str(DeltaTable(folder).metadata().id), 0, first.commit, "code", tested=True)
    return changes_of(pin("leads", str(folder)), seen)


def rows(changes: Changes, columns: str) -> list[tuple[Any, ...]]:
    assert changes.mode is Mode.CHANGES, changes.reason
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("changes", changes.scan)
        query = f"select _change_type, {columns} from changes order by all"
        return connection.execute(query).fetchall()


def move(folder: Path, key: str) -> None:
    """Move the event of one lead."""
    identity, event = (field.name for field in DeltaTable(folder).schema().fields[:2])
    source = pa.table({"key": [key], "day": [NEW]})
    merge = DeltaTable(folder).merge(source, f"t.`{identity}` = s.key", "s", "t")
    merge.when_matched_update({f"`{event}`": "s.day"}).execute()


def test_columns_in_another_spelling_have_a_feed(tmp_path: Path) -> None:
    table = pa.table({"ID": ["a", "b"], "Date_Relance": [OLD, OLD]})
    write_deltalake(tmp_path, table, configuration={FEED: "true"})
    move(tmp_path, "a")
    assert rows(changes(tmp_path), "id, date_relance, deleted") == [
        ("update_postimage", "a", NEW, None),
        ("update_preimage", "a", OLD, None),
    ]


@pytest.mark.parametrize("word", ["TRUE", "True"])
def test_a_feed_may_be_on_in_capitals(tmp_path: Path, word: str) -> None:
    write_deltalake(tmp_path, pa.table({"id": ["a"], "date_relance": [OLD]}))
    log = tmp_path / "_delta_log" / f"{0:020}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "metaData" in action:
            action["metaData"]["configuration"] = {FEED: word}
    log.write_text("\n".join(map(json.dumps, actions)))
    write_deltalake(tmp_path, pa.table({"id": ["b"], "date_relance": [NEW]}), mode="append")
    assert rows(changes(tmp_path), "id, date_relance") == [("insert", "b", NEW)]


def test_a_partition_of_any_name_has_a_feed(tmp_path: Path) -> None:
    leads = [("a", True, "a%20b"), ("b", False, "é/ç"), ("c", None, None)]
    table = pa.Table.from_pylist(
        [{"id": i, "date_relance": OLD, "deleted": flag, "origin": o} for i, flag, o in leads]
    )
    columns = ["origin", "deleted"]
    write_deltalake(tmp_path, table, partition_by=columns, configuration={FEED: "true"})
    for key, _, _ in leads:
        move(tmp_path, key)
    assert rows(changes(tmp_path), "id, date_relance, deleted") == [
        *(("update_postimage", key, NEW, flag) for key, flag, _ in leads),
        *(("update_preimage", key, OLD, flag) for key, flag, _ in leads),
    ]


def test_spark_timestamps_keep_their_century_in_the_feed(tmp_path: Path) -> None:
    far = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    moments = pa.array([far, None], pa.timestamp("us", "UTC"))
    table = pa.table({"id": ["a", "b"], "date_relance": moments})
    write_deltalake(tmp_path, table.slice(1), configuration={FEED: "true"})
    write_deltalake(tmp_path, table, mode="append")
    (written,) = {*DeltaTable(tmp_path).file_uris()} - {*DeltaTable(tmp_path, 0).file_uris()}
    pq.write_table(table, written, use_deprecated_int96_timestamps=True, store_schema=False)
    assert rows(changes(tmp_path), "id, date_relance::varchar") == [
        ("insert", "a", "9999-12-31 23:59:59+00"),
        ("insert", "b", None),
    ]

"""What did not change is taken over from the current publication, and nothing else."""

from __future__ import annotations

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publication import Column, builder, connect, fingerprint
from publication.run import BuiltMart, Run
from tests.publication.test_digest import (
    COLUMNS,
    CONNECTION,
    MART,
    ROWS,
    TYPES,
    VALUES,
    digest,
    numbered,
)

LARGE = """
    create or replace table "{name}" as
    select n as id, 'text ' || {salt} || n as text, n / 7 as real, interval (n) day as span
    from range({rows}) r(n) order by hash(n)
"""


def built(name):
    types = {"id": "BIGINT", "text": "VARCHAR", "real": "DOUBLE", "span": "INTERVAL"}
    return BuiltMart(
        name=name,
        description="One row per id.",
        grain=("id",),
        scope="open",
        columns=tuple(
            Column(name=column, type=kind, nullable=column != "id", description="A column.")
            for column, kind in types.items()
        ),
        tests=(),
        relation=f'"{name}"',
        keys=("config.meta.scope",),
    )


@pytest.fixture
def run(tmp_path, store, monkeypatch):
    """Publish marts out of a warehouse; say which of them were copied."""
    (tmp_path / "dbt_project.yml").write_text("version: 1.2.3")
    copied = []
    copy = builder._copy

    def watched(warehouse, staged, marts):
        copied.extend(mart.name for mart in marts)
        copy(warehouse, staged, marts)

    monkeypatch.setattr(builder, "_copy", watched)

    def run(*marts, into=store, full_refresh=False):
        copied.clear()
        whole = Run(
            project_dir=str(tmp_path),
            invocation_id="9d1f",
            command="dbt build",
            full_refresh=full_refresh,
            tests="passed",
            marts=marts,
        )
        manifest = builder.publish(into, run.warehouse, whole, ())
        store.verify(manifest.number)
        return manifest, list(copied)

    with duckdb.connect() as run.warehouse:
        run.warehouse.execute("set timezone = 'Europe/Paris'")
        for name in "ab":
            run.warehouse.execute(LARGE.format(name=name, salt=1, rows=3000))
        yield run


def test_what_did_not_change_is_not_copied_and_has_its_digest(run, store):
    a, b = built("a"), built("b")
    first, copied = run(a, b)
    assert copied == ["a", "b"]
    second, copied = run(a, b)
    assert copied == []
    assert (second.digest, second.marts) == (first.digest, first.marts)

    run.warehouse.execute("update b set real = 0.5 where id = 7")
    third, copied = run(a, b)
    assert copied == ["b"]
    assert third.marts[0] == first.marts[0]
    assert third.digest != second.digest
    fresh, copied = run(a, b, full_refresh=True)
    assert copied == ["a", "b"]
    assert (fresh.digest, fresh.marts) == (third.digest, third.marts)
    with connect(store.path(third)) as connection:
        found = connection.execute("select real from b where id in (6, 7) order by id").fetchall()
        assert found == [(6 / 7,), (0.5,)]
        assert connection.execute("select count(*) from meta.build").fetchall() == [(1,)]
        assert connection.execute("select count(*) from a").fetchall() == [(3000,)]


def test_a_mart_that_comes_goes_or_is_described_otherwise(run, store):
    a, b, c = built("a"), built("b"), built("c")
    run(a, b)
    run.warehouse.execute(LARGE.format(name="c", salt=3, rows=10))
    manifest, copied = run(a, c)
    assert copied == ["c"]
    assert [mart.name for mart in manifest.marts] == ["a", "c"]

    told = msgspec.structs.replace(a, description="Another text.", scope="marketing:read")
    manifest, copied = run(told, c)
    assert copied == []
    assert manifest.marts[0].scope == "marketing:read"
    with connect(store.path(manifest)) as connection:
        assert connection.execute(
            "select comment from duckdb_tables() where table_name = 'a'"
        ).fetchall() == [("Another text.",)]
        assert connection.execute("select mart, scope from meta.marts").fetchall() == [
            ("a", "marketing:read"),
            ("c", "open"),
        ]

    never = [msgspec.structs.replace(column, nullable=False) for column in a.columns]
    assert run(msgspec.structs.replace(told, columns=tuple(never)), c)[1] == ["a"]
    other = msgspec.structs.replace(c, grain=("id", "text"))
    assert run(a, other)[1] == ["a", "c"]


@pytest.mark.parametrize("doubt", ["byte", "size", "lost", "manifest", "engine", "rule"])
def test_with_any_doubt_all_is_copied(run, store, doubt):
    first, _ = run(built("a"), built("b"))
    path = store.path(first)
    manifest = path.with_suffix(".json")
    match doubt:
        case "byte":
            path.chmod(0o644)
            held = bytearray(path.read_bytes())
            held[len(held) // 2] ^= 1
            path.write_bytes(held)
        case "size":
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-4096])
        case "lost":
            path.unlink()
        case "manifest":
            manifest.chmod(0o644)
            manifest.write_text("{")
        case _:
            said = msgspec.json.decode(manifest.read_bytes())
            for mart in said["marts"]:
                if doubt == "engine":
                    mart["fingerprint"] = mart["fingerprint"].replace(duckdb.__version__, "1.9.9")
                else:  # as versions before wrote it
                    del mart["fingerprint"], mart["digest"]
            said.pop("rule") if doubt == "rule" else None
            manifest.chmod(0o644)
            manifest.write_bytes(msgspec.json.encode(said))
            if doubt == "rule":
                store.verify(1)
    second, copied = run(built("a"), built("b"))
    assert copied == ["a", "b"]
    assert (second.digest, second.marts) == (first.digest, first.marts)


def test_a_file_does_not_grow_for_ever(run, store, keep_one):
    run.warehouse.execute(LARGE.format(name="a", salt=1, rows=60_000))
    sizes, reused = [], 0
    for salt in range(8):
        rows = 60_000 if salt % 2 else 90_000
        run.warehouse.execute(LARGE.format(name="b", salt=salt, rows=rows))
        manifest, copied = run(built("a"), built("b"), into=keep_one)
        reused += copied == ["b"]
        sizes.append(store.path(manifest).stat().st_size)
    assert reused
    assert max(sizes[1:]) <= 2 * sizes[0]


def test_what_cannot_be_reused_is_copied_though_the_disk_says_no_once(run, watched):
    run(built("a"), built("b"))

    def refuse(event, args):
        if event == "open" and "staging" in str(args[0]) and "w" in str(args[1]):
            raise OSError("no such luck")

    with watched(refuse):
        _, copied = run(built("a"), built("b"))
    assert copied == ["a", "b"]


def printed(rows):
    """The fingerprint of rows in a fresh table."""
    digest(rows)
    sums = f"select count(*), {fingerprint.sums(MART.columns)} from mart"
    return fingerprint.spelled(*CONNECTION.execute(sums).fetchall()[0])


@settings(max_examples=60, deadline=None)
@given(ROWS, st.data())
def test_a_fingerprint_tells_what_the_digest_tells(rows, data):
    rows = numbered(rows)
    changed = [list(row) for row in rows]
    column = data.draw(st.sampled_from(COLUMNS))
    row = data.draw(st.integers(0, len(rows) - 1))
    changed[row][list(TYPES).index(column)] = data.draw(st.none() | VALUES[column])
    data.draw(st.randoms(use_true_random=False)).shuffle(changed)
    assert (digest(rows) == digest(changed)) == (printed(rows) == printed(changed))


@pytest.mark.parametrize(
    ("type_", "one", "other"),
    [
        ("DOUBLE", "'0.0'", "'-0.0'"),
        ("FLOAT", "'0.0'", "'-0.0'"),
        ("DOUBLE[]", "['0.0', null]", "['-0.0', null]"),
        ("DOUBLE[]", "[null]", "null"),
        ("STRUCT(a INTERVAL)", "{'a': interval 1 month}", "{'a': interval 30 day}"),
        ("INTERVAL", "interval 1 month", "interval 30 day"),
        ("VARCHAR", "''", "null"),
        ("VARCHAR", "'a' collate nocase", "'A'"),
        ("TIMESTAMP WITH TIME ZONE[]", "['2026-01-01 00:00+00']", "['2026-01-01 00:00+01']"),
    ],
)
def test_values_that_hash_alike_have_unequal_fingerprints(type_, one, other):
    columns = (Column(name="a", type=type_, nullable=True, description="A column."),)
    found = set()
    for value in one, other:
        sums = fingerprint.sums(columns)
        query = f"select {sums} from (select cast({value} as {type_}) as a)"
        found.add(CONNECTION.execute(query).fetchall()[0])
    assert len(found) == 2

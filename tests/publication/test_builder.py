"""What the builder says of the code that a run was made with, and what it does not take."""

from __future__ import annotations

import subprocess

import duckdb
import msgspec
import pytest

from publication import builder
from publication.errors import DraftRejected, PlaceUnusable
from publication.run import BuiltMart, Run, _git_commit, decode


def test_the_commit_is_named_and_whether_files_were_changed(tmp_path):
    assert _git_commit(tmp_path) is None

    def git(*words):
        command = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    assert _git_commit(tmp_path) is None  # no commit yet
    (tmp_path / "model.sql").write_text("select 1")
    git("add", "model.sql")
    git("commit", "-q", "-m", "x")
    git("tag", "v1")
    head = git("rev-parse", "HEAD")
    assert _git_commit(tmp_path) == head
    (tmp_path / "model.sql").write_text("select 2")
    assert _git_commit(tmp_path) == f"{head}-dirty"
    git("checkout", "-q", "model.sql")
    (tmp_path / "new.sql").write_text("select 3")
    assert _git_commit(tmp_path) == f"{head}-dirty"  # it is part of what is built
    git("add", "new.sql")
    assert _git_commit(tmp_path) == f"{head}-dirty"
    git("reset", "-q", "new.sql")
    (tmp_path / ".git/info/exclude").write_text("new.sql")
    assert _git_commit(tmp_path) == head


@pytest.fixture
def run(draft, tmp_path):
    """A run that built the mart ``weekly``, and the warehouse that holds it."""
    (tmp_path / "dbt_project.yml").write_text("version: 1.2.3")
    of_it = msgspec.structs.asdict(draft.marts[0])
    mart = BuiltMart(relation="weekly", keys=("config.meta.scope",), **of_it)
    run = Run(
        project_dir=str(tmp_path),
        invocation_id="9d1f",
        command="dbt build",
        tests="passed",
        marts=(mart,),
    )
    with duckdb.connect() as warehouse:
        warehouse.execute(
            "create table weekly as "
            "select date '2024-12-30' as week_start, '2025-W01' as semaine, 1::bigint as leads"
        )
        yield run, warehouse


def test_a_source_that_was_lost_publishes_nothing(run, draft, store):
    run, warehouse = run
    costs = msgspec.structs.replace(draft.sources[0], name="costs")
    assert builder.publish(store, warehouse, run, draft.sources).number == 1
    # One more is no loss, and neither is one less after the current manifest was damaged.
    assert builder.publish(store, warehouse, run, (*draft.sources, costs)).number == 2
    pointer = (store.folder / "current.json").read_bytes()
    with pytest.raises(DraftRejected, match="This run did not read costs, which the current"):
        builder.publish(store, warehouse, run, draft.sources)
    assert (store.folder / "current.json").read_bytes() == pointer
    assert not list((store.folder / ".staging").glob("*"))
    store.path(store.manifest(2)).with_suffix(".json").write_text("{}")
    assert builder.publish(store, warehouse, run, draft.sources).number == 3


def test_what_goes_wrong_while_marts_are_copied_leaves_no_staged_file(
    run, draft, store, monkeypatch
):
    run, warehouse = run
    for error in KeyboardInterrupt(), MemoryError():

        def fail(*_, error=error):
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(builder, "_copy", fail)
            with pytest.raises(type(error)):
                builder.publish(store, warehouse, run, draft.sources)
        assert not list((store.folder / ".staging").glob("*"))


def test_a_lack_of_memory_names_the_setting(run, draft, store):
    run, warehouse = run
    warehouse.execute(
        "create or replace table weekly as select date '2000-01-01' + i::int as week_start, "
        "md5(i::text) as semaine, i as leads from range(400000) r(i) order by hash(i)"
    )
    warehouse.execute("set memory_limit = '30MB'; set temp_directory = ''")
    with pytest.raises(PlaceUnusable, match=r"Out of Memory.*; raise LEADMARTS_MEMORY, then pub"):
        builder.publish(store, warehouse, run, draft.sources)
    assert store.current() is None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"grain": "week_start"}, 'The grain of mart "weekly" is not a list of its columns'),
        ({"grain": [1]}, 'The grain of mart "weekly" is not a list of its columns'),
        ({"scope": ["open"]}, 'The scope of mart "weekly" is not a text, such as marketing:read;'),
        ({"description": 1}, "What dbt says of the run is not as it should be"),
    ],
)
def test_what_a_mart_says_wrong_of_itself_is_told_by_its_name(run, changed, told):
    said = msgspec.to_builtins(run[0])
    mart = {**said["marts"][0], **changed}
    with pytest.raises(DraftRejected, match=told):
        decode(msgspec.json.encode({**said, "marts": [mart]}).decode(), "[]")


def test_what_is_not_described_or_misspelt_is_not_published(run, draft, store):
    run, warehouse = run
    (mart,) = run.marts
    bare = [msgspec.structs.replace(column, description=" ") for column in mart.columns[1:]]
    columns = (mart.columns[0], *bare)
    for change, told in (
        ({"description": ""}, 'Mart "weekly" has no description; add one to its YAML.'),
        ({"columns": columns}, 'Mart "weekly" does not describe semaine and leads; add a desc'),
        ({"keys": ("config.meta.scpoe",)}, "config.meta.scpoe and no config.meta.scope in its"),
        ({"keys": ("config.scope",)}, 'Mart "weekly" has config.scope and no config.meta.scope'),
        ({"keys": ("config.meta.Read_Scope",)}, "rename it to that, or add scope: null there"),
        ({"name": "ventes_sœur"}, 'Mart "ventes_sœur" cannot be served under that name; write'),
        ({"name": "a.b"}, 'Mart "a.b" cannot be served under that name; write it with 1 to 200'),
        ({"scope": ""}, 'Mart "weekly" has "" for a scope; write one, without spaces, quotes'),
        ({"scope": "a b"}, 'Mart "weekly" has "a b" for a scope; write one, without spaces'),
        ({"scope": "Open"}, 'Mart "weekly" has the scope Open; write open as config.meta.scope'),
    ):
        changed = msgspec.structs.replace(mart, **change)
        with pytest.raises(DraftRejected, match=told):
            builder.publish(
                store, warehouse, msgspec.structs.replace(run, marts=(changed,)), draft.sources
            )
    assert store.current() is None
    for keys in ("config.meta.scope", "config.meta.scopes"), ("config.docs", "config.meta.owner"):
        owned = msgspec.structs.replace(mart, keys=keys)
        of_others = msgspec.structs.replace(run, marts=(owned,))
        assert builder.publish(store, warehouse, of_others, draft.sources)


def test_a_text_that_inline_yaml_cut_at_its_comma_is_named(run, draft, store, tmp_path):
    run, warehouse = run
    mart = msgspec.structs.replace(run.marts[0], model="weekly", file="mini://models/a.yml")
    (tmp_path / "models").mkdir()
    for inline, cut, told in (
        ("description: Weeks, all of them", (), 'The key "all of them" of mart "weekly" has no'),
        ("data_tests: , description: A", (("leads", "2)"),), 'The key "2)" of column "leads" of'),
        ('description: "Weeks, all", data_tests: ', (), None),
    ):
        (tmp_path / "models" / "a.yml").write_text(
            f"models:\n  - {{name: other, x: }}\n  - {{name: weekly, {inline}}}\n"
        )
        marts = (msgspec.structs.replace(mart, cut=cut),)
        changed = msgspec.structs.replace(run, marts=marts)
        if told is None:
            assert builder.publish(store, warehouse, changed, draft.sources).number == 1
        else:
            with pytest.raises(DraftRejected) as refusal:
                builder.publish(store, warehouse, changed, draft.sources)
            assert str(refusal.value).startswith(told)
            assert 'put quotes around the text, such as data_type: "decimal(5,2)".' in str(
                refusal.value
            )
    gone = msgspec.structs.replace(mart, file="mini://models/gone.yml")
    changed = msgspec.structs.replace(run, marts=(gone,))
    assert builder.publish(store, warehouse, changed, draft.sources).number == 2

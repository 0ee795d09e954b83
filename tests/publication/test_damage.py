"""What was deleted or changed by hand is named, and publishing goes on."""

from __future__ import annotations

import hashlib
import json

import duckdb
import pytest

from publication import PlaceUnusable, PointerBroken, PublicationBroken, PublicationNotYet


def test_numbers_rise_after_the_newest_was_deleted_by_hand(store, publish):
    publish()
    newest = publish(leads=1)
    store.path(newest).unlink()
    store.path(newest).with_suffix(".json").unlink()
    with pytest.raises(PublicationBroken, match=r"manifest of the current publication.* missing"):
        store.current()
    assert publish(leads=2).number == 3


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"number": "1"}', b"\xff"])
def test_a_damaged_pointer_is_an_error_that_the_next_publication_ends(store, publish, damage):
    publish()
    publish(leads=1)
    (store.folder / "current.json").write_bytes(damage)
    for read in (store.pointer, store.current, store.manifests, lambda: store.manifest(1)):
        with pytest.raises(PointerBroken, match=r"current\.json cannot be read"):
            read()
    assert publish(leads=2).number == 3
    assert [manifest.number for manifest in store.manifests()] == [3, 2, 1]


@pytest.mark.parametrize("lose", [lambda path: path.unlink(), lambda path: path.write_text("{")])
def test_rollback_puts_a_lost_pointer_right(store, publish, lose):
    publish()
    publish(leads=1)
    lose(store.folder / "current.json")
    assert store.rollback(1).number == 3
    assert store.current().rolled_back_to == 1
    assert [manifest.number for manifest in store.manifests()] == [3, 2, 1]


def garble(path):
    path.chmod(0o644)
    path.write_text('{"number": 1}')


def make_unreadable(path):
    """For root too, whom no mode keeps out."""
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [garble, make_unreadable])
def test_a_damaged_manifest_is_named_and_passed_over(store, publish, damage):
    first, second = publish(), publish(leads=1)
    path = store.path(first).with_suffix(".json")
    damage(path)
    with pytest.raises(PublicationBroken, match=f"The manifest {path} cannot be read"):
        store.manifest(1)
    assert store.manifests() == [second]
    ((whole,), (broken,)) = store.survey()
    assert whole == second
    assert str(path) in str(broken)
    damage(store.path(second).with_suffix(".json"))
    with pytest.raises(PublicationBroken, match="cannot be read"):
        store.current()
    assert publish(leads=2).number == 3


def test_all_that_is_kept_counts_when_the_pointer_is_lost(store, publish):
    first, second = publish(), publish(leads=1)
    (store.folder / "current.json").unlink()
    assert store.current() is None
    assert store.manifests() == [second, first]
    assert store.manifest(1) == first
    store.verify(2)


def test_readers_can_say_themselves_what_counts_as_published(store, publish):
    first, _ = publish(), publish(leads=1)
    for content in (None, "{"):
        assert store.manifests(upto=1) == [first]
        assert store.manifest(1, upto=1) == first
        with pytest.raises(PublicationNotYet, match="they go from 1 to 1"):
            store.manifest(2, upto=1)
        if content is not None:
            (store.folder / "current.json").write_text(content)


def test_an_older_pointer_that_was_put_back_costs_no_publication(store, publish):
    """As from a backup, or after a power cut."""
    first = publish()
    before = (store.folder / "current.json").read_bytes()
    newer = [publish(leads=1), publish(leads=2)]
    (store.folder / "current.json").write_bytes(before)
    assert store.manifests() == [first]
    fourth = publish(leads=3)
    assert fourth.number == 4  # a number that somebody saw does not come again
    assert store.manifests() == [fourth, *newer[::-1], first]
    for number in range(1, 5):
        store.verify(number)


@pytest.mark.parametrize("file", ["\0", "", ".", "../1.duckdb", "000002-00000000.duckdb", "a\nb"])
def test_a_pointer_or_manifest_that_names_no_file_of_its_own_is_a_sentence(store, publish, file):
    manifest = publish()
    for path, error in (
        (store.path(manifest).with_suffix(".json"), PublicationBroken),
        (store.folder / "current.json", PointerBroken),
    ):
        said = json.loads(path.read_text())
        path.chmod(0o644)
        path.write_text(json.dumps({**said, "file": file}))
        with pytest.raises(error, match=r"json cannot be read: .*is not the name of its file"):
            store.current()
    assert publish(leads=1).number == 2


def test_a_folder_that_is_none_is_named(store):
    store.folder.parent.mkdir()
    store.folder.write_text("")
    for read in (store.pointer, store.manifests, lambda: store.rollback(1)):
        with pytest.raises(PlaceUnusable, match="publications is no folder; move away"):
            read()


def test_verify_sees_every_damage(store, publish):
    manifest = publish()
    path = store.path(manifest)
    path.chmod(0o644)
    with pytest.raises(PublicationBroken, match="mode 0644 and should be read-only"):
        store.verify(1)
    path.chmod(0o444)
    log = path.with_name(f"{path.name}.wal")
    log.touch()
    with pytest.raises(PublicationBroken, match="has a write-ahead log beside it"):
        store.verify(1)
    log.unlink()
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    path.chmod(0o444)
    with pytest.raises(PublicationBroken, match=r"the bytes of .* have changed"):
        store.verify(1)
    path.unlink()
    with pytest.raises(PublicationBroken, match="No such file"):
        store.verify(1)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("insert into weekly values ('2030-01-07', '2030-W02', 0)", "has 11 rows, and not 10"),
        (
            "update weekly set leads = 99 where semaine = '2025-W02'",
            "has other rows or columns than were published",
        ),
        ("alter table weekly drop leads", "has the columns"),
        ("create view more as from weekly", 'holds the view "main.more"'),
    ],
)
def test_verify_compares_the_content_even_where_the_bytes_were_agreed(store, publish, change, what):
    manifest = publish()
    path = store.path(manifest)
    path.chmod(0o644)
    with duckdb.connect(path) as connection:
        connection.execute(change)
    path.chmod(0o444)
    document = path.with_suffix(".json")
    text = document.read_text()
    document.chmod(0o644)
    document.write_text(
        text.replace(manifest.sha256, hashlib.sha256(path.read_bytes()).hexdigest())
    )
    with pytest.raises(PublicationBroken, match=what):
        store.verify(1)

"""What was deleted or changed by hand is named, and publishing goes on."""

from __future__ import annotations

import hashlib

import duckdb
import pytest

from publication import PointerBroken, PublicationBroken


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


def test_a_damaged_manifest_is_named(store, publish):
    path = store.path(publish()).with_suffix(".json")
    path.chmod(0o644)
    path.write_text('{"number": 1}')
    for read in (store.current, store.manifests, lambda: store.manifest(1)):
        with pytest.raises(PublicationBroken, match=f"The manifest {path} cannot be read"):
            read()


def test_verify_sees_every_damage(store, publish):
    manifest = publish()
    path = store.path(manifest)
    path.chmod(0o644)
    with pytest.raises(PublicationBroken, match="mode 0644 and should be read-only"):
        store.verify(1)
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
        ("update weekly set leads = 99 where semaine = '2025-W02'", "content digest is sha256:"),
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

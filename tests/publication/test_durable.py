"""A file that is replaced is there all the while, whole."""

from __future__ import annotations

import threading

from publication import durable


def test_a_reader_sees_the_old_or_the_new_and_nothing_else(tmp_path):
    path = tmp_path / "current.json"
    contents = [b"a" * 300_000, b"b" * 300_001]
    durable.write(path, contents[0], 0o644)
    seen = []
    done = threading.Event()

    def read():
        while not done.is_set():
            try:
                seen.append(path.read_bytes())
            except FileNotFoundError:
                seen.append(b"missing")

    reader = threading.Thread(target=read)
    reader.start()
    while len(set(seen)) < 2 or len(seen) < 300:
        durable.write(path, contents[len(seen) % 2], 0o644)
    done.set()
    reader.join()
    assert set(seen) == set(contents)


def test_what_a_crashed_writer_left_is_no_obstacle(tmp_path):
    left = tmp_path / ".writing"
    left.write_bytes(b"half")
    left.chmod(0o444)
    durable.write(tmp_path / "a.json", b"whole", 0o444)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    (tmp_path / ".link.writing").symlink_to("nowhere")
    with durable.prepared_link(tmp_path / "link", tmp_path / "a.json") as link:
        link.replace(tmp_path / "link")
    assert (tmp_path / "link").read_bytes() == b"whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "link"]

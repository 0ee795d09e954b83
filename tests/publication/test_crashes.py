"""A publisher that dies at any step leaves the old publication or the new one, and no half."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from publication import Store
from publication.inspection import verify

DRIVER = Path(__file__).with_name("die_at_each_step.py")
AGAIN = Path(__file__).with_name("die_again_and_again.py")
SQL = """
    create table weekly as
    select date '2024-12-30' as week_start, '2025-W01' as semaine, 77::bigint as leads
"""


def die(tmp_path, publish, draft, action, every):
    """Return the folders in which a publisher was killed, and the one where it was not."""
    start = Store(tmp_path / "start" / "publications", tmp_path / "start" / "marts.duckdb")
    publish(leads=1, into=start)
    publish(leads=2, into=start)
    (tmp_path / "draft.json").write_bytes(msgspec.json.encode(draft))
    (tmp_path / "marts.sql").write_text(SQL)
    answer = subprocess.run(
        [sys.executable, DRIVER, tmp_path, action, str(every)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    last, code = answer.stdout.split()
    assert code == "0", answer.stderr
    folders = sorted(path for path in tmp_path.iterdir() if path.name.isdecimal())
    assert folders[-1].name == f"{int(last):03d}"
    return folders[:-1], folders[-1]


def check(folder, publish, files):
    """Check that a folder is whole and goes on, and return which publication was current."""
    store = Store(folder / "publications", folder / "marts.duckdb")
    current = store.current()
    kept = store.manifests(upto=3)  # one may be whole that never was current
    assert current in kept[:2]
    for manifest in kept:
        verify(store.path(manifest), manifest)
    assert store.link.resolve() in {store.path(manifest).resolve() for manifest in kept}
    following = publish(leads=5, into=store)
    assert following.number in {current.number + 1, current.number + 2}
    assert store.manifests() == [following, *kept]
    assert files(store) == {
        "current.json",
        *(manifest.file for manifest in store.manifests()),
        *(manifest.file[:-6] + "json" for manifest in store.manifests()),
    }
    assert store.link.resolve().name == following.file
    assert {path.name for path in folder.iterdir()} == {"marts.duckdb", "publications"}
    return current.number


@pytest.mark.parametrize(
    ("action", "every"),
    [
        ("publish", 3),
        ("rollback", 3),
        pytest.param("publish", 1, marks=pytest.mark.soak),
        pytest.param("rollback", 1, marks=pytest.mark.soak),
    ],
)
def test_old_or_new(tmp_path, publish, draft, files, action, every):
    killed, alive = die(tmp_path, publish, draft, action, every)
    assert len(killed) * every >= 15  # that many steps there are at least
    seen = [check(folder, publish, files) for folder in killed]
    assert seen == sorted(seen), "once the new one is current it stays so"
    assert set(seen) == {2, 3}, "some died before the step that counts and some after it"
    assert check(alive, publish, files) == 3


@pytest.mark.parametrize(
    ("seed", "times"),
    [(0, 8), *(pytest.param(seed, 59, marks=pytest.mark.soak) for seed in range(1, 21))],
)
def test_one_after_the_other_in_one_folder(tmp_path, publish, draft, files, seed, times):
    """Each meets what the one before it left. In a soak each step is met, in each of 20 folders."""
    (tmp_path / "draft.json").write_bytes(msgspec.json.encode(draft))
    answer = subprocess.run(
        [sys.executable, AGAIN, tmp_path, str(seed), str(times)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert answer.returncode == 0, answer.stderr
    assert int(answer.stdout) > times / 3
    (tmp_path / "draft.json").unlink()
    store = Store(tmp_path / "publications", tmp_path / "marts.duckdb")
    kept = store.manifests(upto=1000)
    following = publish(leads=1000, into=store)
    assert store.manifests() == [following, *kept]
    assert store.link.resolve() == store.path(following).resolve()
    assert files(store) == {
        "current.json",
        *(manifest.file for manifest in store.manifests()),
        *(manifest.file[:-6] + "json" for manifest in store.manifests()),
    }
    assert {path.name for path in tmp_path.iterdir()} == {"marts.duckdb", "publications"}

"""What the builder says of the code that a run was made with."""

from __future__ import annotations

import subprocess

from publication.builder import _git_commit


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

"""Which files differ from git's index, compared with git itself."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from codeindexd.scan.git_changes import changed_files
from codeindexd.scan.safe_read import file_stat
from codeindexd.types import Entry, NodeKind


def git(directory: Path, *arguments: str) -> None:
    identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a"}
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(directory)}
    subprocess.run(["git", "-C", str(directory), *arguments], check=True, capture_output=True, env=environment)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "src").mkdir()
    for name in ("a.py", "b.py", "src/c.py"):
        (tmp_path / name).write_text(f"{name}\n")
        os.utime(tmp_path / name, ns=(time.time_ns(), time.time_ns() - 5_000_000_000))
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def changed(root: Path) -> list[bytes] | None:
    entries = [
        Entry(os.fsencode(path.relative_to(root)), NodeKind.FILE, bytes(16), file_stat(path.stat()))
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git" not in path.parts
    ]
    found = changed_files(os.fsencode(root), entries)
    return None if found is None else found.paths


def test_nothing_differs_after_a_commit(repository: Path) -> None:
    assert changed(repository) == []


def test_changed_and_new_files_differ(repository: Path) -> None:
    (repository / "a.py").write_text("other\n")
    (repository / "new.py").write_text("new\n")
    assert changed(repository) == [b"a.py", b"new.py"]


def test_a_file_with_another_time_and_the_same_content_does_not_differ(repository: Path) -> None:
    os.utime(repository / "b.py", ns=(1, 1))
    assert changed(repository) == []


def test_a_change_of_the_same_size_differs(repository: Path) -> None:
    (repository / "b.py").write_text("B.py\n")
    assert changed(repository) == [b"b.py"]


def test_a_root_inside_a_work_tree_has_its_own_paths(repository: Path) -> None:
    (repository / "src" / "c.py").write_text("other\n")
    assert changed(repository / "src") == [b"c.py"]


@pytest.mark.parametrize("version", ["2", "4"])
def test_every_version_of_the_index_is_read(repository: Path, version: str) -> None:
    git(repository, "update-index", "--index-version", version)
    (repository / "a.py").write_text("other\n")
    assert changed(repository) == [b"a.py"]


def test_a_split_index_is_read(repository: Path) -> None:
    git(repository, "update-index", "--split-index")
    (repository / "a.py").write_text("staged\n")
    git(repository, "add", "a.py")
    assert changed(repository) == []
    (repository / "b.py").write_text("other\n")
    assert changed(repository) == [b"b.py"]


def test_without_a_repository_nothing_is_known(tmp_path: Path) -> None:
    assert changed(tmp_path) is None

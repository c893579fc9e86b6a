"""A worktree and a clone of an indexed repository adopt its index, with a real daemon."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from endurance.index_contents import contents_of, differences, words_of
from support.daemons import RealDaemon, real_daemon, until
from support.git_repository import TestRepository

pytestmark = pytest.mark.processes
_CONFIG = "[workers]\nnice = 0\n[history]\nenabled = false\n"
_FILES = 60


def module(number: int) -> str:
    functions = [
        f'def work_{number}_{part}(value):\n    """Do part {part}."""\n    return value\n' for part in range(6)
    ]
    return "\n\n".join(functions)


@pytest.fixture
def repository(tmp_path: Path) -> TestRepository:
    made = TestRepository(tmp_path / "main")
    made.commit({f"src/module{number}.py": module(number) for number in range(_FILES)} | {"README.md": "# Work\n"})
    return made


@pytest.fixture
def indexed(repository: TestRepository) -> Iterator[RealDaemon]:
    """A daemon that has indexed the repository."""
    with real_daemon(_CONFIG) as daemon:
        daemon.call("roots.add", path=str(repository.top), wait=True)
        yield daemon


def add(daemon: RealDaemon, path: Path) -> dict[str, Any]:
    (entry,) = daemon.call("roots.add", path=str(path), wait=True)["roots"]
    return dict(entry)


def processed(daemon: RealDaemon, path: Path) -> int:
    (status,) = daemon.call("status", path=str(path))["roots"]
    return int(status["stages"]["read"]["items"]) if "read" in status["stages"] else 0


def assert_as_from_nothing(daemon: RealDaemon, path: Path) -> None:
    """Assert that the stores of a root hold what those of a daemon without other roots do."""
    words = words_of(path)
    with real_daemon(_CONFIG) as other:
        other.call("roots.add", path=str(path), wait=True)
        expected = contents_of(other, path, words)
    assert differences(contents_of(daemon, path, words), expected) == []


def places(daemon: RealDaemon, path: Path, query: str) -> list[tuple[str, int]]:
    hits = daemon.call("search", query=query, roots=[str(path)], sync=True)["hits"]
    assert {hit["root"] for hit in hits} <= {str(path)}
    return [(hit["path"], hit["start_line"]) for hit in hits]


def is_sound(daemon: RealDaemon) -> bool:
    return bool(daemon.call("verify")["ok"])


def branch_with_changes(repository: TestRepository, tmp_path: Path) -> Path:
    """Add a worktree on a branch with five changed, one added, one removed and one moved file."""
    worktree = tmp_path / "worktree"
    repository.git("worktree", "add", "-q", "-b", "topic", str(worktree))
    for number in range(5):
        text = module(number).replace("value", "branch_value")
        (worktree / f"src/module{number}.py").write_text(text)
    (worktree / "src/added.py").write_text("def only_on_the_branch(): pass\n")
    (worktree / "src/module5.py").unlink()
    (worktree / "src/module6.py").rename(worktree / "src/renamed.py")
    return worktree


def test_a_worktree_is_indexed_by_processing_what_differs(
    indexed: RealDaemon, repository: TestRepository, tmp_path: Path
) -> None:
    worktree = branch_with_changes(repository, tmp_path)
    added = add(indexed, worktree)
    assert added["adopted"] == {"path": str(repository.top), "files_same": _FILES - 5, "files_to_process": 6}
    assert processed(indexed, worktree) == 6
    assert_as_from_nothing(indexed, worktree)
    assert is_sound(indexed)
    assert places(indexed, worktree, "only_on_the_branch")[0] == ("src/added.py", 1)
    assert ("src/added.py", 1) not in places(indexed, repository.top, "only_on_the_branch")
    definitions = indexed.call("symbol", name="work_5_1", roots=[str(worktree)])["definitions"]
    assert definitions == []
    lines = indexed.call("grep", pattern="branch_value", roots=[str(repository.top)])
    assert lines["total"] == 0


def test_a_clone_equals_its_origin_and_each_goes_its_own_way(
    indexed: RealDaemon, repository: TestRepository, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    repository.git("clone", "-q", str(repository.top), str(clone))
    assert add(indexed, clone)["adopted"]["files_to_process"] == 0
    assert processed(indexed, clone) == 0
    assert places(indexed, clone, "work_7_3") == places(indexed, repository.top, "work_7_3") != []
    for number in range(_FILES):
        (clone / f"src/module{number}.py").write_text(f"def cloned_{number}(): pass\n")
    (repository.top / "src/module1.py").write_text("def original(): pass\n")
    for root in (clone, repository.top):
        indexed.call("sync", path=str(root), timeout_s=60)
    assert is_sound(indexed)
    for root in (clone, repository.top):
        assert_as_from_nothing(indexed, root)
    indexed.call("roots.remove", path=str(repository.top))
    assert is_sound(indexed)
    assert places(indexed, clone, "cloned_3")[0] == ("src/module3.py", 1)


def test_the_command_line_says_what_was_taken_over(
    indexed: RealDaemon, repository: TestRepository, tmp_path: Path
) -> None:
    worktree = branch_with_changes(repository, tmp_path)
    said = f"index taken over from {repository.top}, where 55 of 61 files were the same"
    done = indexed.run("add", str(worktree))
    assert done.returncode == 0
    assert said in done.stderr
    assert said in indexed.run("status").stdout
    assert "index_adopted" in indexed.log


def test_a_restarted_daemon_lends_what_it_indexed_before(
    indexed: RealDaemon, repository: TestRepository, tmp_path: Path
) -> None:
    indexed.kill()
    indexed.start()
    shutil.copytree(repository.top, tmp_path / "copy")
    assert add(indexed, tmp_path / "copy")["adopted"]["files_to_process"] == 0
    assert is_sound(indexed)


def test_roots_added_at_the_same_time_are_each_indexed(repository: TestRepository, tmp_path: Path) -> None:
    shutil.copytree(repository.top, tmp_path / "copy")
    with real_daemon(_CONFIG) as daemon:
        for path in (repository.top, tmp_path / "copy"):
            daemon.call("roots.add", path=str(path))
        until(lambda: {root["state"] for root in daemon.call("roots.list")["roots"]} == {"fresh"})
        assert is_sound(daemon)
        for path in (repository.top, tmp_path / "copy"):
            assert_as_from_nothing(daemon, path)


def test_a_kill_during_an_adoption_leaves_nothing_behind(
    indexed: RealDaemon, repository: TestRepository, tmp_path: Path
) -> None:
    worktree = branch_with_changes(repository, tmp_path)
    stores = indexed.home / "cache/codeindexd/roots"
    client = indexed.client()
    client.send("roots.add", path=str(worktree))
    until(lambda: any(place.name.endswith(".adopting") for place in stores.iterdir()))
    indexed.kill()
    indexed.start()
    listed = {root["id"] for root in indexed.call("roots.list")["roots"]}
    assert {place.name for place in stores.iterdir()} == listed, "whole stores or none, also if the kill came late"
    add(indexed, worktree)
    assert_as_from_nothing(indexed, worktree)
    assert is_sound(indexed)

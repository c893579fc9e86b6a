"""What changed a file or a definition, and what changed with it, from a store that was read from a repository."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.search.history import changes
from search.history.stored_history import StoredHistory
from support.git_repository import TestRepository

FUNCTIONS = "def first():\n    return {0}\n\n\ndef second():\n    return {1}\n"


@pytest.fixture
def repository(tmp_path: Path) -> TestRepository:
    return TestRepository(tmp_path / "r")


@pytest.fixture
def stored(repository: TestRepository, tmp_path: Path) -> Iterator[list[StoredHistory]]:
    opened: list[StoredHistory] = []
    yield opened
    for history in opened:
        history.close()


def history_of(repository: TestRepository, opened: list[StoredHistory], below: str = "") -> StoredHistory:
    opened.append(StoredHistory(repository, repository.top.parent / f"store{len(opened)}", below))
    return opened[-1]


def subjects(found: changes.FileChanges) -> list[str]:
    return [one.commit.subject for one in found.commits]


def test_commits_of_a_file_through_a_rename(repository: TestRepository, stored: list[StoredHistory]) -> None:
    repository.commit({"old.py": FUNCTIONS.format(1, 2), "other.py": "x\n"}, "Begin")
    repository.commit({"other.py": "y\n"}, "Change another file")
    repository.git("mv", "old.py", "new.py")
    repository.commit({}, "Rename it")
    repository.commit({"new.py": FUNCTIONS.format(1, 3)}, "Change it")
    found = changes.of_path(history_of(repository, stored), b"new.py", 10)
    assert subjects(found) == ["Change it", "Rename it", "Begin"]
    assert [(one.changes[0].path, one.changes[0].kind.value) for one in found.commits] == [
        (b"new.py", "M"),
        (b"new.py", "R"),
        (b"old.py", "A"),
    ]
    assert found.total == 3
    assert subjects(changes.of_path(history_of(repository, stored), b"new.py", 1)) == ["Change it"]


def test_commits_of_a_directory_and_of_the_root(repository: TestRepository, stored: list[StoredHistory]) -> None:
    repository.commit({"a/x.py": "1\n", "b/y.py": "1\n"}, "Begin")
    repository.commit({"b/y.py": "2\n"}, "Change b")
    repository.commit({"a/x.py": "2\n"}, "Change a")
    history = history_of(repository, stored)
    assert subjects(changes.of_path(history, b"a", 10)) == ["Change a", "Begin"]
    assert subjects(changes.of_path(history, b"", 10)) == ["Change a", "Change b", "Begin"]
    assert subjects(changes.of_path(history, b"nothing", 10)) == []


def test_a_file_that_was_removed(repository: TestRepository, stored: list[StoredHistory]) -> None:
    repository.commit({"a.py": "1\n"}, "Begin")
    (repository.top / "a.py").unlink()
    repository.commit({}, "Remove it")
    assert subjects(changes.of_path(history_of(repository, stored), b"a.py", 10)) == ["Remove it", "Begin"]


def test_a_root_below_the_top(repository: TestRepository, stored: list[StoredHistory]) -> None:
    repository.commit({"sub/a.py": "1\n", "b.py": "1\n"}, "Begin")
    repository.commit({"b.py": "2\n"}, "Change b")
    history = history_of(repository, stored, "sub")
    assert subjects(changes.of_path(history, b"a.py", 10)) == ["Begin"]
    assert changes.of_path(history, b"a.py", 10).prefix == b"sub/"


def test_commits_that_touched_a_definition_which_is_gone(
    repository: TestRepository, stored: list[StoredHistory]
) -> None:
    repository.commit({"a.py": FUNCTIONS.format(1, 2)}, "Begin")
    repository.commit({"a.py": FUNCTIONS.format(1, 3)}, "Change the second")
    repository.commit({"a.py": "def first():\n    return 1\n"}, "Remove the second")
    found = changes.of_name(history_of(repository, stored), "second", 10)
    assert [one.commit.subject for one in found] == ["Remove the second", "Change the second", "Begin"]
    assert found[1].touched == [(b"a.py", "second")]


def test_files_that_change_with_a_file(repository: TestRepository, stored: list[StoredHistory]) -> None:
    for number in range(4):
        repository.commit({"a.py": f"{number}\n", "b.py": f"{number}\n", "log.md": f"{number}\n"})
    for number in range(4, 20):
        repository.commit({"log.md": f"{number}\n"})
    repository.commit({"a.py": "x\n"} | {f"many/{number}.py": "x\n" for number in range(60)}, "A large commit")
    found = changes.together_with_path(history_of(repository, stored), b"a.py")
    assert [(one.item, one.count, one.total) for one in found.found.found] == [(b"b.py", 4, 4), (b"log.md", 4, 20)]
    assert (found.found.counted, found.found.large) == (4, 1)
    newest = found.commits[found.found.found[0].commits[0]]
    assert newest.subject == "Change something"


def test_former_names_of_a_file_are_not_its_companions(repository: TestRepository, stored: list[StoredHistory]) -> None:
    repository.commit({"old.py": FUNCTIONS.format(1, 2), "b.py": "1\n"})
    repository.git("mv", "old.py", "new.py")
    repository.commit({"b.py": "2\n"})
    found = changes.together_with_path(history_of(repository, stored), b"new.py")
    assert [(one.item, one.count) for one in found.found.found] == [(b"b.py", 2)]
    assert found.former == [b"old.py"]


def test_what_changes_with_a_definition(repository: TestRepository, stored: list[StoredHistory]) -> None:
    for number in range(4):
        repository.commit({"a.py": FUNCTIONS.format(number, 0), "b.py": f"def third():\n    return {number}\n"})
    for number in range(4):
        repository.commit({"a.py": FUNCTIONS.format(3, number)})
    found = changes.together_with_definition(history_of(repository, stored), "first")
    assert found is not None
    assert found.names == ["first"]
    assert [(one.item, one.count) for one in found.definitions.found] == [((b"b.py", "third"), 4)]
    assert [one.item for one in found.files.found] == [b"b.py"]
    assert changes.together_with_definition(history_of(repository, stored), "nothing") is None


def test_earlier_commits_of_a_definition(repository: TestRepository, stored: list[StoredHistory]) -> None:
    repository.commit({"old.py": FUNCTIONS.format(1, 2), "other.py": FUNCTIONS.format(1, 2)}, "Begin")
    repository.git("mv", "old.py", "a.py")
    repository.commit({"a.py": FUNCTIONS.format(1, 3), "other.py": FUNCTIONS.format(1, 3)}, "Change both")
    newest = repository.commit({"a.py": FUNCTIONS.format(1, 4)}, "Change it")
    repository.commit({"other.py": FUNCTIONS.format(1, 4)}, "Change another")
    history = history_of(repository, stored)

    def ask(name: str, **more: object) -> list[str] | None:
        values = {"older_than": 1e12, "without": (), "limit": 5, **more}
        found = changes.of_definition(history, b"a.py", name, **values)  # type: ignore[arg-type]
        return None if found is None else [one.commit.subject for one in found[0]] + ["more"] * found[1]

    assert ask("second") == ["Change it", "Change both", "Begin"]
    assert ask("second", limit=1) == ["Change it", "more"]
    assert ask("second", without={bytes.fromhex(newest)}) == ["Change both", "Begin"]
    assert ask("second", older_than=0) == []
    assert ask("nothing") is None

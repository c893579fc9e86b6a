"""The graph of commits, as another process reads it from the database of a store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.history.blame_of_git import blame_of_git, by_line
from codeindexd.analysis.history.blame import blame
from codeindexd.analysis.history.file_versions import FileVersions
from codeindexd.analysis.history.location import locate
from codeindexd.analysis.history.refs import read_heads
from codeindexd.analysis.history.repository import GitRepository
from codeindexd.analysis.history.skipping import Skips
from codeindexd.storage.history.graph import StoredGraph
from codeindexd.storage.history.store import DATABASE
from search.history.stored_history import StoredHistory
from support.git_repository import TestRepository


@pytest.fixture
def repository(tmp_path: Path) -> TestRepository:
    return TestRepository(tmp_path / "r")


@pytest.fixture
def history(repository: TestRepository, tmp_path: Path) -> Iterator[StoredHistory]:
    repository.commit({"a.py": "one\n"})
    repository.commit({"b.py": "one\n"})
    found = StoredHistory(repository, tmp_path / "store")
    yield found
    found.close()


@pytest.fixture
def graph(history: StoredHistory) -> Iterator[StoredGraph]:
    found = StoredGraph(history.directory / DATABASE)
    yield found
    found.close()


def test_parents_times_and_changes(repository: TestRepository, graph: StoredGraph) -> None:
    commits = graph.graph()
    head, first = (bytes.fromhex(one) for one in repository.git("rev-list", "HEAD").split())
    number, parent = commits.number_of(head), commits.number_of(first)
    assert number is not None
    assert parent is not None
    assert list(commits.parents_of(number)) == [parent]
    assert list(commits.parents_of(parent)) == []
    assert commits.id_of(number) == head
    assert commits.time_of(number) == int(repository.git("log", "-1", "--format=%ct"))
    assert set(commits.changing(b"a.py")) == {parent}
    assert set(commits.changing(b"nothing")) == set()
    assert commits.number_of(b"x" * 20) is None


def test_commits_that_are_stored_later(repository: TestRepository, history: StoredHistory, graph: StoredGraph) -> None:
    assert graph.graph().number_of(bytes.fromhex(repository.head)) is not None
    repository.commit({"a.py": "two\n"})
    assert graph.graph().number_of(bytes.fromhex(repository.head)) is None
    history.update()
    commits = graph.graph()
    number = commits.number_of(bytes.fromhex(repository.head))
    assert number is not None
    assert number in commits.changing(b"a.py")
    assert -1 not in commits.parents_of(number)


def test_blame_over_a_stored_graph_equals_git(
    repository: TestRepository, history: StoredHistory, graph: StoredGraph
) -> None:
    text = "".join(f"line number {number} of the file\n" for number in range(20))
    repository.commit({"a.py": text})
    for number in range(5):
        repository.git("checkout", "-q", "-B", "side")
        repository.commit({"b.py": f"{number}\n"})
        repository.git("checkout", "-q", "main")
        repository.commit({"a.py": text.replace(f"line number {number} ", f"changed {number} ")})
        repository.merge("side")
    repository.git("mv", "a.py", "c.py")
    repository.commit()
    history.update()
    location = locate(repository.top)
    versions = FileVersions(GitRepository(location, read_heads(location)), Skips(graph.graph()))
    head = versions.find(bytes.fromhex(repository.head), b"c.py")
    assert head is not None
    found = blame(versions, b"c.py", (repository.top / "c.py").read_bytes(), [head])
    assert by_line(found) == blame_of_git(repository, "c.py")


def test_a_database_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.Error):
        StoredGraph(tmp_path / "nothing.db")

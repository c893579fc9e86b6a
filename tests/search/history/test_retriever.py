"""Files and definitions found through similar commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from codeindexd.analysis.embedding.static import StaticModel
from codeindexd.errors import NoHistoryError
from codeindexd.search.history.log import CommitSearcher
from codeindexd.search.history.retriever import past_changes, past_files
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.storage.history import HistorySnapshot, HistoryStore
from search.history.test_log import read_into
from support.repositories import GitRepositoryForTests

NOW = 1_700_000_000.0 + 86400


@pytest.fixture(scope="module")
def searcher() -> CommitSearcher:
    return CommitSearcher(StaticModel.load().embed)


@pytest.fixture
def repo(tmp_path: Path) -> GitRepositoryForTests:
    repo = GitRepositoryForTests(tmp_path / "code")
    text = "def expire():\n    return 1\n" * 5
    repo.commit("Expire session cookies", {"old.py": text, "test_old.py": "x = 1\n"})
    repo.commit("Draw charts", {"chart.py": "def draw():\n    pass\n"})
    repo.git("mv", "old.py", "cookies.py")
    repo.commit("Move it")
    return repo


def test_similar_commits_lead_to_files_under_their_present_names(
    repo: GitRepositoryForTests, tmp_path: Path, searcher: CommitSearcher
) -> None:
    store = HistoryStore.open_or_rebuild(tmp_path / "store", fingerprint="f", dimensions=256)
    found = past_changes(read_into(store, repo), searcher, "cookies of a session do not expire", now=lambda: NOW)
    assert max(found.files, key=found.files.__getitem__) in (b"cookies.py", b"test_old.py")
    assert found.files[b"cookies.py"] == 1.0
    assert b"old.py" not in found.files
    assert found.files.get(b"chart.py", 0.0) < found.files[b"cookies.py"]
    assert (b"cookies.py", "expire") in found.definitions
    store.close()


def test_present_names(tmp_path: Path) -> None:
    repo = GitRepositoryForTests(tmp_path / "code")
    text = "def expire():\n    return 1\n" * 5
    repo.commit("One", {"a.py": text, "kept.py": "x = 1\n"})
    for name, other in (("a.py", "b.py"), ("b.py", "c.py"), ("c.py", "a.py"), ("a.py", "d.py")):  # in a circle
        repo.git("mv", name, other)
        repo.commit(f"Rename {name}")
    store = HistoryStore.open_or_rebuild(tmp_path / "store", fingerprint="f", dimensions=256)
    snapshot = read_into(store, repo)
    names = snapshot.present_names([b"a.py", b"kept.py", b"never.py"])
    assert [names.of(b"a.py", place) for place in (4, 1, 0)] == [b"d.py", b"d.py", b"a.py"]
    assert names.of(b"kept.py", 4) == b"kept.py"
    assert snapshot.present_names([b"c.py"]).of(b"c.py", 2) == b"d.py"
    store.close()


def test_nothing_later_than_head_is_known(
    repo: GitRepositoryForTests, tmp_path: Path, searcher: CommitSearcher
) -> None:
    repo.commit("Fix the leak of session cookies", {"later.py": "x = 2\n"})
    repo.git("checkout", "-q", "--detach", "HEAD~2")
    store = HistoryStore.open_or_rebuild(tmp_path / "store", fingerprint="f", dimensions=256)
    snapshot = read_into(store, repo)
    ids = snapshot.ids(snapshot.order.tolist())
    assert {ids[number] for number in ids} == set(repo.log())
    found = past_changes(snapshot, searcher, "leak of session cookies", now=lambda: NOW)
    assert set(found.files) <= {b"old.py", b"test_old.py", b"chart.py"}
    store.close()


def test_an_empty_history(tmp_path: Path, searcher: CommitSearcher) -> None:
    repo = GitRepositoryForTests(tmp_path / "code")
    store = HistoryStore.open_or_rebuild(tmp_path / "store", fingerprint="f", dimensions=256)
    assert past_changes(read_into(store, repo), searcher, "anything").files == {}
    store.close()


class Repository:
    """A root with a history, or with the reason why it has none."""

    def __init__(self, found: HistorySnapshot | NoHistoryError) -> None:
        self.history = self
        self._found = found

    @contextmanager
    def snapshot(self) -> Iterator[HistorySnapshot]:
        if isinstance(self._found, NoHistoryError):
            raise self._found
        yield self._found


def test_the_files_that_similar_commits_changed_count_only_once_the_history_is_complete(
    repo: GitRepositoryForTests, tmp_path: Path, searcher: CommitSearcher
) -> None:
    store = HistoryStore.open_or_rebuild(tmp_path / "store", fingerprint="f", dimensions=256)
    snapshot = read_into(store, repo)
    found = past_files(searcher, cast("SearchableRoot", Repository(snapshot)), "session cookies do not expire")
    assert found[b"cookies.py"] == 1.0
    store.set_view(msgspec.structs.replace(snapshot.view, is_complete=False), snapshot.order)
    partial = store.snapshot("r")
    assert partial is not None
    assert past_files(searcher, cast("SearchableRoot", Repository(partial)), "session cookies do not expire") == {}
    store.close()


def test_without_a_history_no_files_are_known(searcher: CommitSearcher) -> None:
    for root in (Repository(NoHistoryError("no repository", hint="none")), SimpleNamespace(history=None)):
        assert past_files(searcher, cast("SearchableRoot", root), "session cookies") == {}

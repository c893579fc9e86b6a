"""The history store: what is stored is found again, after damage, kills and pruning too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from codeindexd.analysis.history.packed_ids import packed
from codeindexd.analysis.history.record import Change, ChangeKind, Commit, IndexedCommit, Person
from codeindexd.errors import StoreFullError
from codeindexd.storage.history import HistorySnapshot, HistoryStore, View
from codeindexd.storage.history.snapshot import MESSAGE_FIELD, TouchedNames
from codeindexd.storage.lexical import LexicalQuery

ADA = Person("Ada", "ada@example.org")


def commit(number: int, message: str = "", changes: tuple[Change, ...] = (), time: int | None = None) -> IndexedCommit:
    message = message or f"commit {number}"
    record = Commit(
        id=bytes([number]) * 20,
        parents=(bytes([number - 1]) * 20,),
        author=ADA,
        author_time=1000 + number,
        author_offset=60,
        committer=Person("Charles", ""),
        commit_time=1000 + number if time is None else time,
        commit_offset=-30,
        message=message,
        changes=changes,
    )
    vector = np.zeros(4, dtype=np.int8)
    vector[number % 4] = 100
    names = tuple(name for change in changes for name in change.definitions)
    return IndexedCommit(record, message.lower(), "", "context", names, vector.tobytes())


def view(root: str, wanted: int, **more: object) -> View:
    fixed = {"git_dir": b"/g", "common_dir": b"/g", "top": b"/", "prefix": b"", "signature": b"s", "base": b"b"}
    values = {**fixed, "tips": (b"t",), "branch": "main", "is_complete": True, **more}
    return View(root=root, wanted=wanted, **values)  # type: ignore[arg-type]


def changed(path: bytes, *names: str, kind: ChangeKind = ChangeKind.MODIFIED, old: bytes = b"") -> Change:
    return Change(path, kind, 3, 1, old, names)


def opened(directory: Path, fingerprint: str = "f") -> HistoryStore:
    return HistoryStore.open_or_rebuild(directory, fingerprint=fingerprint, dimensions=4)


def lacking(store: HistoryStore, *numbers: int) -> list[int]:
    """Those of some commits that have to be read."""
    are_lacking = store.are_lacking(store.numbers_in(packed([bytes([number]) * 20 for number in numbers])))
    return [number for number, is_lacking in zip(numbers, are_lacking.tolist(), strict=True) if is_lacking]


def filled(store: HistoryStore, commits: list[IndexedCommit], root: str = "r", **more: object) -> HistorySnapshot:
    """Store commits, given newest first, as the history of a root."""
    numbers = store.add(commits)
    members = np.array([numbers[one.commit.id] for one in commits], dtype=np.int32)
    store.set_view(view(root, len(commits), **more), members)
    return snapshot_of(store, root)


def snapshot_of(store: HistoryStore, root: str = "r") -> HistorySnapshot:
    found = store.snapshot(root)
    assert found is not None
    return found


def subjects(snapshot: HistorySnapshot, numbers: list[int]) -> list[str]:
    commits = snapshot.commits(numbers)
    return [commits[number].subject for number in numbers]


def terms(snapshot: HistorySnapshot, *words: str) -> list[int]:
    return [number for number, _ in snapshot.search(LexicalQuery(words=words, word_fields=((MESSAGE_FIELD, 1.0),)), 10)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[HistoryStore]:
    store = opened(tmp_path / "store")
    yield store
    store.close()


def test_a_commit_comes_back_as_it_was_stored(store: HistoryStore) -> None:
    changes = (
        changed(b"a/b.py", "Client.get", "main"),
        Change(b"new.py", ChangeKind.RENAMED, -1, -1, b"old.py"),
        Change(b"caf\xe9", ChangeKind.ADDED, 0, 0),
    )
    one = commit(7, "Add get\n\nBecause \u00fc \U0001f600 #12", changes)
    snapshot = filled(store, [one])
    assert snapshot.commits(snapshot.order.tolist()) == {1: one.commit}
    assert snapshot.state.known == snapshot.state.total == 1


def test_the_first_paths_and_definitions_of_commits(store: HistoryStore) -> None:
    changes = (changed(b"a.py", "Client.get", "main"), changed(b"b.py", "Client.put"), changed(b"c.py"))
    snapshot = filled(store, [commit(2, "more", changes), commit(1)])
    assert snapshot.touched([1, 2], 9) == {
        1: TouchedNames((b"a.py", b"b.py", b"c.py"), ("Client.get", "main", "Client.put")),
        2: TouchedNames((), ()),
    }
    assert snapshot.touched([1], 2) == {1: TouchedNames((b"a.py", b"b.py", b"c.py"), ("Client.get", "main"))}


def test_order_ids_and_prefixes(store: HistoryStore) -> None:
    snapshot = filled(store, [commit(3), commit(2), commit(1)])
    assert subjects(snapshot, snapshot.order.tolist()) == ["commit 3", "commit 2", "commit 1"]
    assert snapshot.find("0202") == [2]
    assert snapshot.find("02020") == [2]
    assert snapshot.find("ff") == []
    assert snapshot.number_of(b"\3" * 20) == 1
    assert snapshot.short_id(b"\3" * 20) == "0303030"


def test_paths_are_followed_through_renames(store: HistoryStore) -> None:
    renamed = changed(b"new.py", kind=ChangeKind.RENAMED, old=b"old.py")
    snapshot = filled(
        store,
        [
            commit(5, changes=(changed(b"new.py"),)),
            commit(4, changes=(changed(b"old.py", kind=ChangeKind.ADDED),)),  # another file under the former name
            commit(3, changes=(renamed,)),
            commit(2, changes=(changed(b"old.py"),)),
            commit(1, changes=(changed(b"new.py", kind=ChangeKind.ADDED),)),
        ],
    )
    found = snapshot.changed_path(b"new.py")
    assert subjects(snapshot, [one.number for one in found]) == ["commit 5", "commit 3", "commit 2"]
    assert [one.path for one in found] == [b"new.py", b"new.py", b"old.py"]
    assert [one.number for one in snapshot.changed_path(b"new.py", follow=False)] == [1, 3, 5]
    assert snapshot.last_changes([b"old.py", b"new.py", b"none"]) == {b"old.py": 2, b"new.py": 1}


def test_definitions_by_any_part_of_their_name(store: HistoryStore) -> None:
    snapshot = filled(
        store,
        [commit(2, changes=(changed(b"a", "Client.get"),)), commit(1, changes=(changed(b"a", "Client", "get"),))],
    )
    assert [(one.number, one.name) for one in snapshot.changed_definition("get")] == [(1, "Client.get"), (2, "get")]
    assert [one.number for one in snapshot.changed_definition("Client.get")] == [1]
    assert [one.number for one in snapshot.changed_definition("client.GET")] == [1]
    assert [one.name for one in snapshot.changed_inside("Client")] == ["Client.get"]
    assert snapshot.changed_definition("lient.get") == []
    assert [one.number for one in snapshot.changed_definition("com.shop.Client.get")] == [1]
    assert [one.number for one in snapshot.changed_definition("shop.Client")] == [2]
    assert snapshot.changed_definition("Shop.Client") == []
    assert [one.name for one in snapshot.changed_inside("shop.Client")] == ["Client.get"]


def test_issues_terms_vectors_and_authors(store: HistoryStore) -> None:
    snapshot = filled(store, [commit(2, "fix crash (#41)"), commit(1, "add parser")])
    assert snapshot.naming_issue(41) == [1]
    assert terms(snapshot, "parser") == [2]
    vector = np.zeros(4, dtype=np.float32)
    vector[2] = 1
    assert snapshot.similarities(vector, np.array([1, 2])).round(3).tolist() == [1.0, 0.0]
    assert {person for _, person in snapshot.people()} == {Person("Ada", "ada@example.org"), Person("Charles", "")}
    ada = next(number for number, person in snapshot.people() if person == ADA)
    assert snapshot.written_by([ada]).tolist() == [1, 2]


def test_a_root_below_the_top_has_the_commits_that_touch_it(store: HistoryStore) -> None:
    commits = [commit(3, changes=(changed(b"sub/x"),)), commit(2, changes=(changed(b"subway"),)), commit(1)]
    snapshot = filled(store, commits, prefix=b"sub/")
    assert snapshot.order.tolist() == [1]
    assert not snapshot.is_everything


def test_roots_share_commits_and_see_only_their_own(store: HistoryStore) -> None:
    filled(store, [commit(2), commit(1)], "one")
    other = filled(store, [commit(3), commit(1)], "two")
    assert subjects(other, other.order.tolist()) == ["commit 3", "commit 1"]
    assert other.find("02") == []
    assert lacking(store, 1, 2, 3, 4) == [4]


def test_everything_survives_closing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    before = filled(store, [commit(2), commit(1)])
    expected = before.commits([1, 2])
    store.close()
    store = opened(tmp_path)
    assert snapshot_of(store).commits([1, 2]) == expected
    assert terms(snapshot_of(store), "commit") == [1, 2]
    assert store.view_of("r") == view("r", 2)
    store.close()


def test_terms_that_a_kill_prevented_are_lacking_and_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path)
    filled(store, [commit(1)])

    def fail(*_: object, **__: object) -> None:
        raise StoreFullError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(type(store._lexical), "apply", fail)
        with pytest.raises(StoreFullError):
            store.add([commit(2)])
    assert lacking(store, 2) == [2]
    store.close()
    store = opened(tmp_path)  # as after a kill between the two commits
    assert lacking(store, 1, 2) == [2]
    snapshot = filled(store, [commit(2), commit(1)])
    assert lacking(store, 1, 2) == []
    assert sorted(terms(snapshot, "commit")) == [1, 2]
    assert store.check() == []
    store.close()


def test_vectors_beyond_the_last_commit_mean_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    filled(store, [commit(1)])
    store._vectors.write(2, [b"\x09\x09\x09\x09"])
    store.close()
    store = opened(tmp_path)
    snapshot = filled(store, [commit(2), commit(1)])
    vector = np.array([0, 0, 1, 0], dtype=np.float32)
    assert snapshot.similarities(vector, np.array([2])).round(3).tolist() == [1.0]
    assert store.check() == []
    store.close()


@pytest.mark.parametrize("name", ["history.db", "vectors.i8", "lexical"])
def test_damage_is_found_and_the_store_starts_again(tmp_path: Path, name: str) -> None:
    store = opened(tmp_path)
    filled(store, [commit(number) for number in range(200, 100, -1)])
    store.tidy()
    file = tmp_path / name
    if file.is_dir():
        file = max(file.glob("*.idx"), key=lambda path: path.stat().st_size)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(byte ^ 255 for byte in data[middle : middle + 8])
    with file.open("r+b") as stream:
        stream.write(data)
    if name != "history.db":  # SQLite reads some pages only
        assert store.check() != []
    store.close()


def test_a_truncated_database_starts_again(tmp_path: Path) -> None:
    store = opened(tmp_path)
    filled(store, [commit(1)])
    store.close()
    with (tmp_path / "history.db").open("r+b") as stream:
        stream.write(b"not a database at all" * 10)
    store = opened(tmp_path)
    assert store.snapshot("r") is None
    filled(store, [commit(1)])
    store.close()


def test_another_version_starts_again(tmp_path: Path) -> None:
    store = opened(tmp_path, "one")
    filled(store, [commit(1)])
    store.close()
    store = opened(tmp_path, "two")
    assert store.snapshot("r") is None
    store.close()


def test_unreachable_commits_are_pruned(store: HistoryStore) -> None:
    gone = commit(2, "gone #5", (changed(b"gone.py", "Gone.away"),))
    filled(store, [gone, commit(1, changes=(changed(b"kept.py", "Kept.there"),))])
    snapshot = filled(store, [commit(1)])
    assert store.prune() == 0  # few: a branch may come back
    assert store.prune(at_once=True) == 1
    snapshot = snapshot_of(store)
    assert [path for _, path in snapshot.paths_below(b"")] == [b"kept.py"]
    assert snapshot.changed_definition("Gone.away") == []
    assert [one.name for one in snapshot.changed_definition("there")] == ["Kept.there"]
    assert terms(snapshot, "gone") == []
    assert store.check() == []
    assert store.add([commit(3)]) == {b"\3" * 20: 3}  # numbers are not used again
    assert store.check() == []


def test_merging_by_time_keeps_both_orders(store: HistoryStore) -> None:
    store.add([commit(n, time=time) for n, time in ((1, 50), (2, 40), (3, 45), (4, 10), (5, 60), (6, 30), (7, 42))])
    merged = store.merged_by_time(np.array([5, 6, 7], dtype=np.int32), np.array([1, 2, 3, 4], dtype=np.int32))
    assert merged.tolist() == [5, 1, 2, 3, 6, 7, 4]
    empty = np.zeros(0, dtype=np.int32)
    assert store.merged_by_time(empty, np.array([1], dtype=np.int32)).tolist() == [1]
    assert store.merged_by_time(np.array([1], dtype=np.int32), empty).tolist() == [1]


def test_unreadable_commits_are_recorded_until_they_are_added(store: HistoryStore) -> None:
    store.note_unreadable({b"\1" * 20: "damaged", b"\2" * 20: "damaged"})
    store.add([commit(1)])
    assert store.unreadable() == {b"\2" * 20: "damaged"}
    assert store.differences_of_members("r", packed([b"\1" * 20, b"\2" * 20])) == [
        f"1 commit is missing, such as {'01' * 20}"
    ]


def test_ids_and_numbers_of_very_many_commits(tmp_path: Path) -> None:
    store = opened(tmp_path)
    filled(store, [commit(3), commit(2), commit(1)])
    filled(store, [commit(5), commit(3)], root="other")
    ids = packed([bytes([number]) * 20 for number in (5, 9, 1, 3)])
    numbers = store.numbers_in(ids)
    assert (numbers > 0).tolist() == [True, False, True, True]
    assert {one: int(number) for one, number in zip(ids, numbers, strict=True) if number} == store.numbers_of(list(ids))
    assert store.ids_of_members("r") == packed([bytes([number]) * 20 for number in (3, 2, 1)])
    assert store.ids_of_members("nobody") == packed([])
    store.set_view(view("r", 2), np.array([1, 50], dtype=np.int32))
    assert store.ids_of_members("r") is None
    store.close()

"""All history stores of a user: shared by clones, deleted with their last root."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codeindexd.storage.history import View
from codeindexd.storage.history.stores import HistoryStores


def stores(directory: Path, fingerprint: str = "f") -> HistoryStores:
    return HistoryStores(directory, fingerprint=fingerprint, dimensions=4)


def view(root: str) -> View:
    return View(
        root=root,
        git_dir=b"/g",
        common_dir=b"/g",
        top=b"/",
        prefix=b"",
        signature=b"s",
        base=b"b",
        tips=(),
        branch="",
        wanted=0,
        is_complete=True,
    )


def assigned(all_stores: HistoryStores, root: str, key: str) -> None:
    with all_stores.use(key) as store:
        store.set_view(view(root), np.zeros(0, dtype=np.int32))
    all_stores.assign(root, key, view(root))


def test_what_is_known_survives_without_opening_a_store(tmp_path: Path) -> None:
    first = stores(tmp_path)
    assigned(first, "r", "key")
    first.close()
    again = stores(tmp_path)
    assert (again.key_of("r"), again.view_of("r")) == ("key", view("r"))
    assert (again.key_of("other"), again.view_of("other")) == (None, None)
    again.close()


def test_another_version_has_to_look_again(tmp_path: Path) -> None:
    first = stores(tmp_path)
    assigned(first, "r", "key")
    first.close()
    again = stores(tmp_path, "g")
    assert (again.key_of("r"), again.view_of("r")) == ("key", None)
    again.close()


def test_a_store_goes_with_its_last_root(tmp_path: Path) -> None:
    all_stores = stores(tmp_path)
    assigned(all_stores, "one", "key")
    assigned(all_stores, "two", "key")
    all_stores.forget("one")
    with all_stores.use("key") as store:
        assert store.roots() == ["two"]
    all_stores.forget("two")
    assert not (tmp_path / "key").exists()
    all_stores.close()


def test_repositories_inside_a_root_go_with_it(tmp_path: Path) -> None:
    all_stores = stores(tmp_path)
    inner, other = HistoryStores.nested_id("one", b"lib"), HistoryStores.nested_id("two", b"lib")
    for root, key in (("one", "a"), (inner, "b"), (other, "c")):
        assigned(all_stores, root, key)
    assert all_stores.nested_in("one") == [inner]
    all_stores.keep_only(["one", "two"])
    assert (all_stores.key_of(inner), all_stores.key_of(other)) == ("b", "c")
    all_stores.keep_only(["one"])
    assert (all_stores.key_of(inner), all_stores.key_of(other)) == ("b", None)
    all_stores.forget("one")
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == set()
    all_stores.close()


def test_a_store_in_use_is_deleted_afterwards(tmp_path: Path) -> None:
    all_stores = stores(tmp_path)
    assigned(all_stores, "one", "key")
    with all_stores.use("key") as store:
        all_stores.forget("one")
        assert store.numbers_of([]) == {}
    assert not (tmp_path / "key").exists()
    all_stores.close()


def test_a_root_that_moves_to_another_repository(tmp_path: Path) -> None:
    all_stores = stores(tmp_path)
    assigned(all_stores, "r", "old")
    assigned(all_stores, "r", "new")
    assert not (tmp_path / "old").exists()
    assert all_stores.key_of("r") == "new"
    all_stores.close()


def test_stores_without_roots_are_removed_at_the_start(tmp_path: Path) -> None:
    first = stores(tmp_path)
    assigned(first, "kept", "a")
    assigned(first, "removed", "b")
    (tmp_path / "orphan").mkdir()
    first.close()
    again = stores(tmp_path)
    again.keep_only(["kept"])
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"a"}
    again.close()


def test_only_some_stores_stay_open(tmp_path: Path) -> None:
    all_stores = stores(tmp_path)
    for number in range(20):
        with all_stores.use(str(number)):
            pass
    assert len(all_stores._open) == 16
    with all_stores.use("0") as store:
        assert store.generation == 0
    all_stores.close()


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"roots": 3}', b'{"fingerprint": "f", "boot": "", "roots": {"r": 1}}']
)
def test_a_damaged_list_means_looking_again(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "roots.json").write_bytes(content)
    assert stores(tmp_path).key_of("r") is None


def test_a_rebuilt_store_is_empty_and_its_roots_look_again(tmp_path: Path) -> None:
    all_stores = stores(tmp_path)
    assigned(all_stores, "r", "key")
    all_stores.rebuild("key")
    assert (all_stores.key_of("r"), all_stores.view_of("r")) == ("key", None)
    with all_stores.use("key") as store:
        assert store.snapshot("r") is None
    all_stores.close()

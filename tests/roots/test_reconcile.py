"""Files in flight while the disk is compared with the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeindexd.indexing.queue import Task
from codeindexd.roots.reconcile import reconcile
from codeindexd.scan.merkle import leaf_hash
from codeindexd.scan.scanner import Scanner
from codeindexd.storage.catalog import Catalog
from codeindexd.types import Entry, FileUpdate, NodeKind, Outcome, Transaction
from support.trees import Link, Node, tree


def task(path: bytes, content: bytes) -> Task:
    return Task(1, Entry(path, NodeKind.FILE, leaf_hash(content)), urgent=True)


@pytest.mark.parametrize(
    "now", [{}, {"a.py": Link("elsewhere")}, {"a.py": None}, {"a.py/b.py": "x"}], ids=["gone", "link", "empty", "full"]
)
def test_a_file_in_flight_that_is_no_file_any_more_is_overtaken(tmp_path: Path, now: dict[str, Node]) -> None:
    root = tree(tmp_path / "root", now)
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    found = reconcile(Scanner(root), catalog, [b"a.py"], [task(b"a.py", b"v1"), task(b"other.py", b"v1")])
    assert found.overtaken == {b"a.py"}, "the other one was not scanned"
    assert b"a.py" in found.gone
    catalog.close()


def test_a_file_in_flight_that_changed_back_is_read_again(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", {"a.py": "v1"})
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    known = Entry(b"a.py", NodeKind.FILE, leaf_hash(b"v1"))
    catalog.commit(Transaction(updates=[FileUpdate(known, Outcome.INDEXED, fingerprint=b"f")]))
    found = reconcile(Scanner(root), catalog, [b""], [task(b"a.py", b"v2, which was there for a moment")])
    assert [(entry.path, entry.hash) for entry in found.files] == [(b"a.py", known.hash)]
    assert not found.overtaken
    assert reconcile(Scanner(root), catalog, [b""], [task(b"a.py", b"v1")]).files == ()
    catalog.close()

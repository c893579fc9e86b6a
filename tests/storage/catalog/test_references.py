"""The references of files in the catalog."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.analysis.references.codec import encode
from codeindexd.storage.catalog import Catalog
from codeindexd.storage.catalog.references import GraphCounts
from codeindexd.types import Entry, FileStat, FileUpdate, Move, NodeKind, Outcome, Transaction

SOURCE = b"from a import b\n\n\ndef f():\n    b(1)\n"


def entry(path: bytes, content: int = 1) -> Entry:
    return Entry(path, NodeKind.FILE, bytes([content]) * 16, FileStat(1, 1, 1, 1))


def update(path: bytes, source: bytes = SOURCE, content: int = 1) -> FileUpdate:
    found = analyse(source, "python")
    return FileUpdate(
        entry(path, content),
        Outcome.INDEXED,
        "python",
        "utf-8",
        bytes(16),
        definitions=found.definitions,
        references=encode(found.references),
    )


def names(catalog: Catalog, path: bytes) -> list[str]:
    with catalog.snapshot() as snapshot:
        file = snapshot.file(path)
        assert file is not None
        return [one.name for one in snapshot.references([file.file_id]).get(file.file_id, ())]


def counts(catalog: Catalog) -> GraphCounts:
    with catalog.snapshot() as snapshot:
        return snapshot.graph_counts()


def opened(tmp_path: Path) -> Catalog:
    return Catalog.open(tmp_path / "catalog.db", root_id="one")


def test_references_change_with_their_file(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    catalog.commit(Transaction(updates=[update(b"a.py")]))
    assert names(catalog, b"a.py") == ["b", "b"]
    catalog.commit(Transaction(updates=[update(b"a.py", b"print(1)\n", 2)]))
    assert names(catalog, b"a.py") == ["print"]
    assert counts(catalog) == GraphCounts(1, 0, 1)
    catalog.commit(Transaction(removals=[b"a.py"]))
    assert counts(catalog) == GraphCounts(0, 0, 0)
    assert catalog.check() == []
    catalog.close()


def test_a_moved_file_keeps_its_references(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    catalog.commit(Transaction(updates=[update(b"a.py")]))
    catalog.commit(Transaction(moves=[Move(b"a.py", entry(b"new/b.py"))]))
    assert names(catalog, b"new/b.py") == ["b", "b"]
    assert catalog.check() == []
    catalog.close()


def test_the_same_references_are_no_new_generation(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    first = catalog.commit(Transaction(updates=[update(b"a.py")]))
    assert catalog.commit(Transaction(updates=[update(b"a.py")])).generation == first.generation
    catalog.close()


def test_versions_name_the_files_of_the_graph(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    catalog.commit(Transaction(updates=[update(b"a.py"), update(b"b.py", b"\n", 3)]))
    with catalog.snapshot() as snapshot:
        file = snapshot.file(b"a.py")
        assert file is not None
        assert snapshot.graph_file_ids().tolist() == [file.file_id]
        assert snapshot.graph_versions([file.file_id]) == {file.file_id: file.entry.hash + file.fingerprint}
        assert snapshot.graph_versions([]) == {}
    catalog.close()


def test_a_check_finds_wrong_references(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    catalog.commit(Transaction(updates=[update(b"a.py")]))
    for statement, problem in (
        ("UPDATE reference SET reference_count = 7", "counts of definitions and references of file 1 are wrong"),
        ("DELETE FROM reference", "1 file with definitions is not counted"),
        ("INSERT INTO reference VALUES (99, 0, 0, x'')", "file 99 has references and is not indexed"),
    ):
        with closing(sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)) as connection:
            connection.execute(statement)
        assert any(problem in found for found in catalog.check()), statement
    catalog.close()

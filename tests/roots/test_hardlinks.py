from __future__ import annotations

from codeindexd.roots.hardlinks import LinkedFiles
from codeindexd.scan.merkle import Tree
from codeindexd.scan.scanner import Scan


def scan(*below: bytes, linked: tuple[bytes, ...] = (), inode: int = 7) -> Scan:
    return Scan(Tree({}, {}), below, linked=dict.fromkeys(linked, (1, inode)))


def test_linked_files_are_scanned_together() -> None:
    links = LinkedFiles()
    assert links.widen([b"a", b"b"]) == (b"a", b"b")
    assert not links.update(scan(b"", linked=(b"a", b"d/e")))
    assert links.widen([b"c"]) == (b"c",)
    assert links.widen([b"a", b"c"]) == (b"a", b"c", b"d/e")
    assert links.widen([b"d"]) == (b"a", b"d"), "a directory above one of them"
    assert links.widen([b""]) == (b"",)


def test_a_new_hard_link_requires_one_walk() -> None:
    links = LinkedFiles()
    assert links.update(scan(b"a", linked=(b"a",))), "its other name may be anywhere"
    assert not links.update(scan(b"", linked=(b"a", b"b")))
    assert not links.update(scan(b"a", linked=(b"a",)))
    assert set(links.paths) == {b"a", b"b"}
    assert not links.update(scan(b"b"))
    assert set(links.paths) == {b"a"}, "the other one has a single name now, or is gone"


def test_a_path_that_becomes_another_linked_file_requires_a_walk() -> None:
    links = LinkedFiles()
    links.update(scan(b"", linked=(b"a", b"b"), inode=1))
    assert not links.update(scan(b"b", linked=(b"b",), inode=1))
    assert links.update(scan(b"b", linked=(b"b",), inode=2)), "its other names have not been scanned"

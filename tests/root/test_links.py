from __future__ import annotations

from codeindexd.merkle import Tree
from codeindexd.root.links import LinkedFiles
from codeindexd.scan import Scan


def scan(*below: bytes, linked: tuple[bytes, ...] = ()) -> Scan:
    return Scan(Tree({}, {}), below, linked=list(linked))


def test_linked_files_are_looked_at_together() -> None:
    links = LinkedFiles()
    assert links.widened([b"a", b"b"]) == (b"a", b"b")
    assert not links.take(scan(b"", linked=(b"a", b"d/e")))
    assert links.widened([b"c"]) == (b"c",)
    assert links.widened([b"a", b"c"]) == (b"a", b"c", b"d/e")
    assert links.widened([b"d"]) == (b"a", b"d"), "a directory above one of them"
    assert links.widened([b""]) == (b"",)


def test_a_new_name_asks_for_a_walk_once() -> None:
    links = LinkedFiles()
    assert links.take(scan(b"a", linked=(b"a",))), "its other name may be anywhere"
    assert not links.take(scan(b"", linked=(b"a", b"b")))
    assert not links.take(scan(b"a", linked=(b"a",)))
    assert links.paths == {b"a", b"b"}
    assert not links.take(scan(b"b"))
    assert links.paths == {b"a"}, "the other one has a single name now, or is gone"

"""A tree's hash depends only on its content, and the difference of two trees is exact."""

from __future__ import annotations

import random
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from codeindexd.scan.merkle import Tree, diff, has_same_suffix, leaf_hash, node_hash, skipped_hash
from codeindexd.types import Diff, Entry, FileStat, NodeKind

_PART = st.sampled_from([b"a", b"b", b"c.py", b"d.md", b"\xff", b"a\n"])
_PATH = st.lists(_PART, min_size=1, max_size=4).map(b"/".join)
_CONTENT = st.sampled_from([b"", b"one", b"two", b"three"])


def _consistent(files: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the files without those that other files are below."""
    above = {path[:at] for path in files for at in range(len(path)) if path[at : at + 1] == b"/"}
    return {path: content for path, content in files.items() if path not in above}


_FILES = st.dictionaries(_PATH, _CONTENT, max_size=14).map(_consistent)


def _entry(path: bytes, content: bytes, *, stamp: int = 0) -> Entry:
    return Entry(path, NodeKind.FILE, leaf_hash(content), FileStat(len(content), stamp, stamp, 1))


def _tree(files: Mapping[bytes, bytes], *, stamp: int = 0) -> Tree:
    return Tree.build(_entry(path, content, stamp=stamp) for path, content in files.items())


class _Counting(Tree):
    """Counts how many directories are read."""

    looks = 0

    def children(self, directory: bytes) -> Mapping[bytes, Entry]:
        self.looks += 1
        return super().children(directory)


@given(_FILES, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_stats_do_not_count(files: dict[bytes, bytes], chance: random.Random) -> None:
    shuffled = list(files.items())
    chance.shuffle(shuffled)
    assert _tree(files).root_hash == _tree(dict(shuffled), stamp=9).root_hash


@given(_FILES.filter(bool), st.data())
def test_any_change_changes_the_hash(files: dict[bytes, bytes], data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(files)))
    before = _tree(files)
    assert _tree(files | {path: files[path] + b"!"}).root_hash != before.root_hash
    assert _tree({key: value for key, value in files.items() if key != path}).root_hash != before.root_hash
    renamed = {(key + b"~" if key == path else key): value for key, value in files.items()}
    assert _tree(renamed).root_hash != before.root_hash
    back = {key.removesuffix(b"~"): value for key, value in renamed.items()}
    assert _tree(back).root_hash == before.root_hash


@given(_FILES, _FILES)
def test_applying_the_difference_gives_the_new_tree(old: dict[bytes, bytes], new: dict[bytes, bytes]) -> None:
    before, after = _tree(old), _tree(new)
    difference = diff(before, after, same_treatment=lambda source, target: True)
    files = dict(old)
    for entry in difference.removed:
        files.pop(entry.path, None)
    arriving = [(move.entry, files.pop(move.source)) for move in difference.moved]
    assert all(leaf_hash(content) == entry.hash and content for entry, content in arriving)
    for entry in (*difference.added, *difference.modified, *(entry for entry, _ in arriving)):
        if entry.kind is NodeKind.FILE:
            files[entry.path] = new[entry.path]
    assert files == new
    assert bool(difference) == (before.root_hash != after.root_hash)
    assert not {move.entry.path for move in difference.moved} & {entry.path for entry in difference.added}


@given(_FILES, _FILES)
def test_the_difference_below_a_path_is_that_part_of_the_whole(
    old: dict[bytes, bytes], new: dict[bytes, bytes]
) -> None:
    whole = diff(_tree(old), _tree(new), same_treatment=lambda source, target: False)
    part = diff(_tree(old), _tree(new), below=[b"a", b"a/b"], same_treatment=lambda source, target: False)

    def below(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        return tuple(entry for entry in entries if entry.path == b"a" or entry.path.startswith(b"a/"))

    assert part == Diff(added=below(whole.added), modified=below(whole.modified), removed=below(whole.removed))


def test_equal_subtrees_are_pruned() -> None:
    files = {b"%d/%d/f" % (outer, inner): b"%d" % inner for outer in range(30) for inner in range(30)}
    before = _Counting.build(_tree(files).entries())
    after = _Counting.build(_tree(files | {b"7/7/f": b"new"}).entries())
    assert isinstance(before, _Counting)
    assert isinstance(after, _Counting)
    assert [entry.path for entry in diff(before, after).modified] == [b"7/7/f"]
    assert before.looks == after.looks == 3


def test_moves_keep_names_first_and_ask_the_caller() -> None:
    old = _tree({b"a/x.py": b"1", b"b/y.py": b"1", b"c/z.py": b"2", b"e.py": b"", b"n.py": b"3"})
    new = _tree({b"q/y.py": b"1", b"p/w.py": b"1", b"c/z.md": b"2", b"f.py": b"", b"n.txt": b"3"})
    moves = [(move.source, move.entry.path) for move in diff(old, new).moved]
    assert moves == [(b"a/x.py", b"p/w.py"), (b"b/y.py", b"q/y.py")]
    anything = diff(old, new, same_treatment=lambda source, target: True)
    assert {move.source for move in anything.moved} == {b"a/x.py", b"b/y.py", b"c/z.py", b"n.py"}
    assert [entry.path for entry in anything.added] == [b"f.py", b"p", b"q"]
    assert [entry.path for entry in anything.removed] == [b"a", b"b", b"e.py"]


def test_many_copies_are_paired_in_bounded_time() -> None:
    old = _tree({b"old/%05d.py" % number: b"same" for number in range(3000)})
    new = _tree({b"new/%05d.py" % number: b"same" for number in range(1, 3000)} | {b"new/more.txt": b"same"})
    difference = diff(old, new)
    assert len(difference.moved) == 2999
    assert [entry.path for entry in difference.added] == [b"new", b"new/more.txt"]


def test_same_suffix() -> None:
    assert has_same_suffix(b"a/x.py", b"b/y.py")
    assert has_same_suffix(b"a/Makefile", b"b/Makefile")
    assert not has_same_suffix(b"Makefile", b"Justfile")
    assert not has_same_suffix(b"x.py", b"x.pyi")
    assert not has_same_suffix(b".bashrc", b".profile")


def test_touched_leaves_are_found_where_the_tree_is_marked() -> None:
    before = _tree({b"a/f": b"1", b"b/g": b"2"})
    plain = _tree({b"a/f": b"1", b"b/g": b"2"}, stamp=5)
    inside = {directory: plain.children(directory) for directory in (b"", b"a", b"b")}
    marked = Tree({b"": Entry(b"", NodeKind.DIRECTORY, plain.root_hash)}, inside, restatted=[b"", b"b"])
    assert not diff(before, plain)
    assert [entry.path for entry in diff(before, marked).touched] == [b"b/g"]


def test_kinds_change() -> None:
    old = Tree.build([_entry(b"a/f", b"1"), _entry(b"b", b"2"), _entry(b"l", b"to")])
    link = Entry(b"l", NodeKind.SYMLINK, leaf_hash(b"to"))
    new = Tree.build([_entry(b"a", b"1"), _entry(b"b/g", b"2"), link])
    difference = diff(old, new, same_treatment=lambda source, target: True)
    assert [(move.source, move.entry.path) for move in difference.moved] == [(b"a/f", b"a"), (b"b", b"b/g")]
    assert [entry.path for entry in difference.removed] == [b"a"]
    assert [entry.path for entry in difference.added] == [b"b"]
    assert difference.modified == (link,)


def test_build_adds_parents_and_keeps_correct_entries() -> None:
    tree = _tree({b"a/b/c": b"1"})
    again = Tree.build([*tree.entries(), Entry(b"empty", NodeKind.DIRECTORY, b"")])
    assert [entry.path for entry in again.entries()] == [b"", b"a", b"a/b", b"a/b/c", b"empty"]
    assert again.node(b"a/b") is tree.node(b"a/b")
    assert again.node(b"empty") == Entry(b"empty", NodeKind.DIRECTORY, node_hash([]))
    assert again.root_hash != tree.root_hash
    assert [entry.path for entry in again.leaves()] == [b"a/b/c"]
    assert again.node(b"nothing") is None
    assert again.children(b"a/b/c") == {}


def test_different_reasons_have_different_hashes() -> None:
    assert len({skipped_hash("binary"), skipped_hash("ignored"), leaf_hash(b"binary")}) == 3

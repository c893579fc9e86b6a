"""The Merkle tree of a root, and the difference of two trees.

A leaf's hash is xxh3_128 of its bytes, a directory's is xxh3_128 over its children's (name, kind, hash) sorted by
name. So the root hash is a function of names, kinds and contents alone, and equal hashes mean equal subtrees.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

from xxhash import xxh3_128_digest

from codeindexd.scan.relpath import ancestors, collapse, name_of, parent_of
from codeindexd.types import Diff, Entry, Move, NodeKind, TreeSource

Buffer = bytes | bytearray | memoryview
SameTreatment = Callable[[bytes, bytes], bool]
"""Returns True if a file that moved from the first to the second path is indexed exactly as before."""

_NO_CHILDREN: Mapping[bytes, Entry] = {}
_EMPTY_FILE = xxh3_128_digest(b"")
_MOST_CANDIDATES = 64
_path = attrgetter("path")


def leaf_hash(data: Buffer) -> bytes:
    """Return the hash (16 bytes) of a file's bytes, or of a symbolic link's target."""
    return xxh3_128_digest(data)


def skipped_hash(reason: str) -> bytes:
    """Return the hash (16 bytes) of a leaf that is left out for ``reason``; it does not depend on the content."""
    return xxh3_128_digest(b"skipped\0" + reason.encode())


def node_hash(children: Iterable[Entry]) -> bytes:
    """Return the hash (16 bytes) of a directory with these children, in any order."""
    # Siblings share their directory, so sorting by path sorts by name. Names hold no NUL and hashes have a fixed
    # length, so the encoding is unambiguous.
    return xxh3_128_digest(
        b"".join(
            [
                b"%b\0%c%b" % (child.path[child.path.rfind(b"/") + 1 :], child.kind, child.hash)
                for child in sorted(children, key=_path)
            ]
        )
    )


def has_same_suffix(source: bytes, target: bytes) -> bool:
    """Return True if both paths have the same extension, or the same name if one of them has no extension."""
    old, new = name_of(source), name_of(target)
    if b"." in old[1:] and b"." in new[1:]:
        return old[old.rfind(b".") :] == new[new.rfind(b".") :]
    return old == new


class Tree(TreeSource):
    """A tree in memory. It may cover only some paths of a root; directories above those are not part of it then.

    ``restatted`` names directories below which the stat or rule of a leaf changed: ``diff`` compares their content even
    if the hashes are equal.
    """

    def __init__(
        self,
        nodes: Mapping[bytes, Entry],
        children: Mapping[bytes, Mapping[bytes, Entry]],
        *,
        restatted: Collection[bytes] = (),
    ) -> None:
        """Make a tree without checking hashes; ``nodes`` are the topmost entries, ``children`` those by directory."""
        self._tops = nodes
        self._children = children
        self.restatted = frozenset(restatted)

    @classmethod
    def build(cls, entries: Iterable[Entry]) -> Tree:
        """Return the tree of these leaves and directories, with missing parents and all directory hashes.

        The last of several entries with the same path counts. A directory whose hash is right stays the same object.
        """
        given = {entry.path: entry for entry in entries}
        children: dict[bytes, dict[bytes, Entry]] = defaultdict(dict)
        directories = {path for path, entry in given.items() if entry.kind is NodeKind.DIRECTORY} | {b""}
        for path in given:
            directories.update(ancestors(path))
        for path, entry in given.items():
            if path not in directories:
                children[parent_of(path)][name_of(path)] = entry
        root: Entry | None = None
        for path in sorted(directories, key=lambda path: path.count(b"/") + bool(path), reverse=True):
            digest = node_hash(children[path].values())
            root = given.get(path)
            if root is None or root.hash != digest or root.kind is not NodeKind.DIRECTORY:
                root = Entry(path, NodeKind.DIRECTORY, digest)
            if path:
                children[parent_of(path)][name_of(path)] = root
        assert root is not None
        return cls({b"": root}, dict(children))

    @property
    def root_hash(self) -> bytes:
        """The hash of the whole root; b"" if this tree does not cover it."""
        root = self._tops.get(b"")
        return root.hash if root else b""

    def node(self, path: bytes) -> Entry | None:
        """Return the entry at ``path``; None if there is none, or if the tree does not cover it."""
        entry = self._tops.get(path)
        if entry is None and path:
            entry = self._children.get(parent_of(path), _NO_CHILDREN).get(name_of(path))
        return entry

    def children(self, directory: bytes) -> Mapping[bytes, Entry]:
        """Return the entries directly inside ``directory`` by name."""
        return self._children.get(directory, _NO_CHILDREN)

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, directories before their content."""
        for path in sorted(self._tops):
            yield from subtree(self, self._tops[path])

    def leaves(self) -> Iterator[Entry]:
        """Yield every entry that is not a directory."""
        return (entry for entry in self.entries() if entry.kind is not NodeKind.DIRECTORY)


def subtree(tree: TreeSource, top: Entry) -> Iterator[Entry]:
    """Yield ``top`` and everything below it, directories before their content, siblings sorted by name."""
    waiting = [top]
    while waiting:
        entry = waiting.pop()
        yield entry
        if entry.kind is NodeKind.DIRECTORY:
            inside = tree.children(entry.path)
            waiting.extend(inside[name] for name in sorted(inside, reverse=True))


def diff(
    old: TreeSource,
    new: TreeSource,
    *,
    below: Sequence[bytes] = (b"",),
    same_treatment: SameTreatment = has_same_suffix,
) -> Diff:
    """Return the changes that turn ``old`` into ``new`` at and below the paths ``below``, each kind sorted by path.

    Equal subtrees are not compared further. ``added`` and ``removed`` include directories, each before its content. A
    file whose content disappeared in one place and appeared in another is ``moved`` (only its path changes) if
    ``same_treatment(source, target)``; empty files are never moved. ``touched`` are leaves whose stat, or the rule that
    left them out, changed while their content did not.
    """
    found = _Comparison(old, new)
    for path in sorted(collapse(below)):
        found.compare(old.node(path), new.node(path))
    moved = _moves(found.removed, found.added, same_treatment)
    gone, arrived = {move.source for move in moved}, {move.entry.path for move in moved}
    return Diff(
        added=_by_path(entry for entry in found.added if entry.path not in arrived),
        modified=_by_path(found.modified),
        removed=_by_path(entry for entry in found.removed if entry.path not in gone),
        moved=tuple(moved),
        touched=_by_path(found.touched),
    )


def _by_path(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=_path))


class _Comparison:
    """The differences of two trees found so far."""

    def __init__(self, old: TreeSource, new: TreeSource) -> None:
        self._old = old
        self._new = new
        self._restatted = new.restatted if isinstance(new, Tree) else frozenset()
        self.added: list[Entry] = []
        self.modified: list[Entry] = []
        self.removed: list[Entry] = []
        self.touched: list[Entry] = []

    def compare(self, before: Entry | None, after: Entry | None) -> None:
        """Add the differences at and below one path, given its entries in both trees."""
        waiting = [(before, after)]
        while waiting:
            before, after = waiting.pop()
            if before is None or after is None or _is_directory(before) != _is_directory(after):
                self.removed.extend(subtree(self._old, before) if before else ())
                self.added.extend(subtree(self._new, after) if after else ())
            elif not _is_directory(before):
                self._compare_leaves(before, after)
            elif before.hash != after.hash or after.path in self._restatted:
                olds, news = self._old.children(before.path), self._new.children(after.path)
                waiting.extend((olds.get(name), news.get(name)) for name in olds.keys() | news.keys())

    def _compare_leaves(self, before: Entry, after: Entry) -> None:
        if before is after:
            return
        if before.hash != after.hash or before.kind is not after.kind:
            self.modified.append(after)
        elif before.stat != after.stat or before.rule != after.rule:
            self.touched.append(after)


def _is_directory(entry: Entry) -> bool:
    return entry.kind is NodeKind.DIRECTORY


def _moves(removed: Sequence[Entry], added: Sequence[Entry], same_treatment: SameTreatment) -> list[Move]:
    """Return pairs of equal content, sorted by new path; files that kept their name are paired first."""
    sources: dict[bytes, list[bytes]] = defaultdict(list)
    for entry in _by_path(removed):
        if entry.kind is NodeKind.FILE and entry.hash != _EMPTY_FILE:
            sources[entry.hash].append(entry.path)
    targets: dict[bytes, list[Entry]] = defaultdict(list)
    for entry in _by_path(added):
        if entry.kind is NodeKind.FILE and entry.hash in sources:
            targets[entry.hash].append(entry)
    moved: list[Move] = []
    for digest, entries in targets.items():
        moved += _pair(sources[digest], entries, same_treatment)
    return sorted(moved, key=lambda move: move.entry.path)


def _pair(sources: Sequence[bytes], targets: Sequence[Entry], same_treatment: SameTreatment) -> Iterator[Move]:
    """Yield a move for each target that gets one of ``sources``: one of its name first, then any that may serve."""
    by_name: dict[bytes, deque[bytes]] = defaultdict(deque)
    for path in sources:
        by_name[name_of(path)].append(path)
    rest: list[Entry] = []
    taken: set[bytes] = set()
    for entry in targets:
        namesakes = by_name[name_of(entry.path)]
        if namesakes and same_treatment(namesakes[0], entry.path):
            taken.add(namesakes[0])
            yield Move(namesakes.popleft(), entry)
        else:
            rest.append(entry)
    free = [path for path in sources if path not in taken]
    for entry in rest:  # moves only save work, so a bounded search is enough
        source = next((path for path in free[:_MOST_CANDIDATES] if same_treatment(path, entry.path)), None)
        if source is not None:
            free.remove(source)
            yield Move(source, entry)

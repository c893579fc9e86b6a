"""Reads the objects of a git repository: commits, trees and blobs, straight from its object store.

libgit2 reads packs, loose objects and alternates; no repository is opened in its sense, so that neither configuration
nor attributes, filters or hooks play a role, and nothing is ever fetched.
"""

from __future__ import annotations

import heapq
import re
from collections import OrderedDict
from collections.abc import Iterable

import pygit2
from msgspec import Struct
from pygit2.enums import ObjectType, Option

from codeindexd.analysis.history.location import GitLocation
from codeindexd.analysis.history.packed_ids import ID_BYTES
from codeindexd.analysis.history.refs import Heads
from codeindexd.errors import MissingObjectError, NoHistoryError

_TREE_ENTRY = re.compile(rb"0*([1-7][0-7]*) ([^\0]+)\0(.{20})", re.DOTALL)
_TREE_ENTRIES_KEPT = 50_000  # about 200 bytes each
_BLOB_BYTES_KEPT = 12 << 20
_CACHE_BYTES = 8 << 20
_WINDOW_BYTES = 8 << 20
_MAPPED_BYTES = 64 << 20

DIRECTORY = b"40000"
SUBMODULE = b"160000"
SYMLINK = b"120000"

_ZERO = ord("0")
_NEW, _OLD, _BOTH = 1, 2, 3
LATEST = (1 << 63) - 1
"""The latest time of a commit, in seconds since the epoch; impossible times count as this one."""

_TREE_LINE = re.compile(rb"tree ([0-9a-f]{40})\n")
_TIME = re.compile(rb"\s*[+-]?\d{1,40}")

TreeEntry = tuple[bytes, bytes, bytes]
"""The mode, the name and the id of one entry of a tree."""


class RawCommit(Struct, frozen=True):
    """A commit object: ids are 20 bytes; ``author`` and ``committer`` are lines as git stores them."""

    id: bytes
    tree: bytes
    parents: tuple[bytes, ...]
    author: bytes
    committer: bytes
    encoding: str
    message: bytes

    @property
    def commit_time(self) -> int:
        """When it was committed, in seconds since the epoch."""
        return _time_of(self.committer)


def _configure() -> None:
    """Bound the memory of libgit2, and skip hashing what zlib has already checked."""
    pygit2.option(Option.SET_CACHE_MAX_SIZE, _CACHE_BYTES)
    pygit2.option(Option.SET_MWINDOW_SIZE, _WINDOW_BYTES)
    pygit2.option(Option.SET_MWINDOW_MAPPED_LIMIT, _MAPPED_BYTES)
    pygit2.option(Option.ENABLE_STRICT_HASH_VERIFICATION, False)  # a fifth of the time otherwise


class NotComparableError(Exception):
    """The difference of two histories cannot be found, or costs more than walking one of them."""


class GitRepository:
    """The objects of one repository, with its replacements, grafts and shallow boundary applied. Not thread-safe.

    Every method raises MissingObjectError for an object that the repository lacks, as partial clones and damaged
    repositories do.
    """

    def __init__(self, location: GitLocation, heads: Heads) -> None:
        """Open the object store. Raises NoHistoryError if that is impossible."""
        _configure()
        self.location = location
        self.heads = heads
        try:
            self._objects = pygit2.Odb(str(location.common_dir / "objects"))
        except (pygit2.GitError, OSError, ValueError, UnicodeError) as error:
            raise NoHistoryError(
                f"the objects of {location.common_dir} cannot be read: {error}", hint="check the repository: git fsck"
            ) from error
        self._trees: OrderedDict[bytes, frozenset[TreeEntry]] = OrderedDict()
        self._tree_entries = 0
        self._blobs: OrderedDict[bytes, bytes] = OrderedDict()
        self._blob_bytes = 0

    # objects

    def read(self, object_id: bytes) -> tuple[int, bytes]:
        """Return the type of an object and its content."""
        object_id = self.heads.replaced.get(object_id, object_id)
        try:
            kind, data = self._objects.read(pygit2.Oid(raw=object_id))
        except (KeyError, pygit2.GitError, OSError, ValueError) as error:
            raise MissingObjectError(object_id, str(self.location.common_dir)) from error
        return int(kind), bytes(data)

    def commit(self, commit_id: bytes) -> RawCommit:
        """Return a commit; a tag is followed to its commit."""
        kind, data = self.read(commit_id)
        for _ in range(5):
            if kind != ObjectType.TAG:
                break
            commit_id = bytes.fromhex(data[7:47].decode("ascii", "replace"))
            kind, data = self.read(commit_id)
        if kind != ObjectType.COMMIT:
            raise MissingObjectError(commit_id, str(self.location.common_dir))
        try:
            return self._parsed(commit_id, data)
        except ValueError as error:  # invalid ids: git does not accept the commit either
            raise MissingObjectError(commit_id, str(self.location.common_dir)) from error

    def root_tree(self, commit_id: bytes) -> bytes:
        """Return the id of a commit's tree, in a third of the time of :meth:`commit`."""
        kind, data = self.read(commit_id)
        if kind == ObjectType.COMMIT and (match := _TREE_LINE.match(data)):
            return bytes.fromhex(match[1].decode())
        return self.commit(commit_id).tree

    def _parsed(self, commit_id: bytes, data: bytes) -> RawCommit:
        header, _, message = data.partition(b"\n\n")
        tree, author, committer, encoding = b"", b"", b"", ""
        parents: list[bytes] = []
        for line in header.split(b"\n"):
            name, _, value = line.partition(b" ")
            if name == b"tree":
                tree = bytes.fromhex(value.decode())
            elif name == b"parent":
                parents.append(bytes.fromhex(value.decode()))
            elif name == b"author" and not author:
                author = value
            elif name == b"committer" and not committer:
                committer = value
            elif name == b"encoding":
                encoding = value.decode("ascii", "replace")
        return RawCommit(
            commit_id, tree, self.parents_of(commit_id, tuple(parents)), author, committer, encoding, message
        )

    def parents_of(self, commit_id: bytes, recorded: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Return the parents of a commit, given those recorded in it: grafts and the shallow boundary change them."""
        if commit_id in self.heads.shallow:
            return ()
        return self.heads.grafts.get(commit_id, recorded)

    def is_boundary(self, commit_id: bytes) -> bool:
        """Return True if the parents of a commit exist but were not fetched."""
        return commit_id in self.heads.shallow

    def tree(self, tree_id: bytes) -> frozenset[TreeEntry]:
        """Return the entries of a tree."""
        found = self._trees.get(tree_id)
        if found is None:
            found = frozenset(_TREE_ENTRY.findall(self.read(tree_id)[1]))
            self._trees[tree_id] = found
            self._tree_entries += len(found)
            while self._tree_entries > _TREE_ENTRIES_KEPT and len(self._trees) > 1:
                self._tree_entries -= len(self._trees.popitem(last=False)[1])
        else:
            self._trees.move_to_end(tree_id)
        return found

    def entry(self, tree_id: bytes, name: bytes) -> tuple[bytes, bytes] | None:
        """Return the (mode, id) of one entry of a tree, None if it has none; much faster than :meth:`tree`."""
        data = self.read(tree_id)[1]
        marker = b" %s\0" % name
        end = data.find(marker)
        while end >= 0:
            mode = _mode_before(data, end)
            if mode:
                found = end + len(marker)
                return mode, data[found : found + ID_BYTES]
            end = data.find(marker, end + 1)
        return None

    def blob(self, blob_id: bytes) -> bytes:
        """Return the content of a blob. The newest are kept: histories read most blobs twice."""
        found = self._blobs.get(blob_id)
        if found is None:
            found = self.read(blob_id)[1]
            self._blobs[blob_id] = found
            self._blob_bytes += len(found)
            while self._blob_bytes > _BLOB_BYTES_KEPT:
                self._blob_bytes -= len(self._blobs.popitem(last=False)[1])
        else:
            self._blobs.move_to_end(blob_id)
        return found

    def size_of(self, blob_id: bytes) -> int:
        """Return the size of a blob in bytes, without reading all of it."""
        blob_id = self.heads.replaced.get(blob_id, blob_id)
        try:
            return int(self._objects.read_header(pygit2.Oid(raw=blob_id))[1])
        except (KeyError, pygit2.GitError, OSError, ValueError) as error:
            raise MissingObjectError(blob_id, str(self.location.common_dir)) from error

    def entry_at(self, commit_id: bytes, path: bytes) -> tuple[bytes, bytes] | None:
        """Return the (mode, id) of ``path`` in the tree of a commit; None if there is nothing."""
        mode, object_id = DIRECTORY, self.commit(commit_id).tree
        for part in path.split(b"/"):
            if mode != DIRECTORY:
                return None
            entry = self.entry(object_id, part)
            if entry is None:
                return None
            mode, object_id = entry
        return mode, object_id

    # walking

    def walk(self, tips: Iterable[bytes], *, limit: int) -> CommitWalk:
        """Return the newest ``limit`` commits reachable from ``tips``, in the order of ``git log``.

        The history ends where a commit is missing.
        """
        queue = _Queue(self, tips)
        found: list[bytes] = []
        while queue and len(found) < limit:
            commit_id, _ = queue.pop()
            found.append(commit_id)
        return CommitWalk(
            found,
            is_truncated=bool(queue),
            is_shallow=not self.heads.shallow.isdisjoint(found),
            missing=queue.missing,
        )

    def difference(self, new: Iterable[bytes], old: Iterable[bytes], *, limit: int) -> tuple[list[bytes], list[bytes]]:
        """Return the commits reachable only from ``new``, and those only from ``old``, in the order of :meth:`walk`.

        Raises NotComparableError if more than ``limit`` commits would have to be read, or if one that was read is
        older than a parent: then only walking tells the order.
        """
        known: dict[bytes, tuple[int, tuple[bytes, ...]]] = {}  # when it was committed, and its parents
        marks: dict[bytes, int] = {}
        heap: list[tuple[int, int, bytes]] = []
        waiting: set[bytes] = set()
        one_sided = 0  # waiting commits that only one side has reached so far
        oldest = LATEST  # time of the oldest commit that was ever one-sided; times may decrease towards children

        def mark(commit_id: bytes, flags: int) -> None:
            nonlocal one_sided, oldest
            before = marks.get(commit_id, 0)
            if before | flags == before:
                return
            marks[commit_id] = before | flags
            if commit_id not in known:
                if len(known) > limit:
                    raise NotComparableError
                read = self.commit(commit_id)
                known[commit_id] = read.commit_time, read.parents
            if commit_id in waiting:
                one_sided -= 1
                return
            waiting.add(commit_id)
            if marks[commit_id] != _BOTH:
                one_sided += 1
                oldest = min(oldest, known[commit_id][0])
            heapq.heappush(heap, (-known[commit_id][0], len(known), commit_id))

        for tip in new:
            mark(tip, _NEW)
        for tip in old:
            mark(tip, _OLD)
        while heap and (one_sided or -heap[0][0] >= oldest):
            _, _, commit_id = heapq.heappop(heap)
            waiting.discard(commit_id)
            one_sided -= marks[commit_id] != _BOTH
            for parent in known[commit_id][1]:
                mark(parent, marks[commit_id])
                if known[parent][0] > known[commit_id][0]:
                    raise NotComparableError
        ordered = sorted(known, key=lambda commit_id: -known[commit_id][0])
        new, old = ([commit_id for commit_id in ordered if marks[commit_id] == side] for side in (_NEW, _OLD))
        return new, old

    def first_ancestor(self, tip: bytes) -> bytes:
        """Return the commit without parents at the end of the chain of first parents, which names the repository.

        Grafts and replacements may make a circle; then it is the smallest id in the chain.
        """
        smallest = waiting = tip
        steps = limit = 1
        while parents := self.commit(tip).parents:
            tip = parents[0]
            smallest = min(smallest, tip)
            if tip == waiting:  # Brent's way to notice a circle takes no memory
                return smallest
            if steps == limit:
                waiting, steps, limit = tip, 0, 2 * limit
            steps += 1
        return tip


class CommitWalk(Struct, frozen=True):
    """Commits newest first; ``is_truncated`` if there are older ones, ``is_shallow`` if some were not fetched.

    ``missing`` counts the parents that the repository should have and lacks.
    """

    ids: list[bytes]
    is_truncated: bool
    is_shallow: bool
    missing: int = 0


class _Queue:
    """The commits that a walk has reached and not returned, newest first; equal dates in the order of arrival."""

    def __init__(self, repository: GitRepository, tips: Iterable[bytes]) -> None:
        self.missing = 0
        self._repository = repository
        self._seen: set[bytes] = set()
        self._heap: list[tuple[int, int, bytes, tuple[bytes, ...]]] = []
        self._push(tips)

    def __bool__(self) -> bool:
        return bool(self._heap)

    def pop(self) -> tuple[bytes, int]:
        """Return the next commit and its time, after adding its parents."""
        time, _, commit_id, parents = heapq.heappop(self._heap)
        self._push(parents)
        return commit_id, -time

    def _push(self, ids: Iterable[bytes]) -> None:
        for commit_id in ids:
            if commit_id not in self._seen:
                self._seen.add(commit_id)
                try:
                    commit = self._repository.commit(commit_id)
                except MissingObjectError:
                    self.missing += 1
                    continue
                heapq.heappush(self._heap, (-commit.commit_time, len(self._seen), commit_id, commit.parents))


def _mode_before(data: bytes, end: int) -> bytes:
    """Return the mode that ends at ``end`` in a tree; b"" if no entry begins with it.

    The name of another entry can have spaces and end like an entry. What is before an entry ends with an id after NUL.
    """
    if end >= len(DIRECTORY) and data.startswith(DIRECTORY, end - len(DIRECTORY)):
        mode = DIRECTORY
    else:
        mode = data[max(0, end - 6) : end]
    start = end - len(mode)
    while mode.isdigit() and start >= 0:
        if start == 0 or (start > ID_BYTES and data[start - ID_BYTES - 1] == 0):
            return mode
        start -= 1
        if data[start] != _ZERO:  # modes of very old repositories begin with zeros
            break
    return b""


def _time_of(line: bytes) -> int:
    """Return the time in a committer's line by which git orders commits; 0 if it has none.

    Git reads it as an unsigned number, so a negative or too large one is later than any other.
    """
    match = _TIME.match(line.rpartition(b">")[2])
    if match is None:
        return 0
    return min(int(match[0]), LATEST) if b"-" not in match[0] else LATEST

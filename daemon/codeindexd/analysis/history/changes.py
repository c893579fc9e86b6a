"""Finds the paths that a commit changed, as ``git log --raw -M`` lists them, and counts their lines.

libgit2 compares two trees by listing all that is below them, which took 2.2 ms for a commit of django; here, equal
subtrees are never read: 0.5 ms.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence, Set

import pygit2
from msgspec import Struct
from msgspec.structs import replace
from pygit2.enums import DiffOption

from codeindexd.analysis.history.common_ends import common_ends
from codeindexd.analysis.history.record import ChangeKind
from codeindexd.analysis.history.repository import DIRECTORY, SUBMODULE, SYMLINK, GitRepository, RawCommit
from codeindexd.errors import MissingObjectError

MAX_CHANGES = 10_000
"""Of a commit with more changed paths than this, only the first are listed."""

MAX_DIFF_BYTES = 2 << 20
"""Lines of larger files are not counted, and no definitions are looked for in them."""

_MOST_COMPARED = 200_000  # changed paths of a commit among which renames are looked for; about 50 MB
_CHECKED_FOR_NUL = 8000  # bytes at the beginning of a file, as git does
_HALF = 30_000  # of git's maximum similarity score, 60,000
_MAX_SCORE = 60_000
_MOST_RENAME_PAIRS = 1_000_000  # as git's limit of 1,000 files on either side
_MOST_RENAME_BYTES = 16 << 20


class TreeChange(Struct, frozen=True):
    """A changed path with its mode and id before and after; both are b"" where there was or is nothing.

    Kinds, renames and paths are those of ``git log --raw -M``. Paths are below the top of the repository.
    """

    path: bytes
    kind: ChangeKind
    old_mode: bytes = b""
    old_id: bytes = b""
    new_mode: bytes = b""
    new_id: bytes = b""
    old_path: bytes = b""


class UnifiedHunk(Struct, frozen=True):
    """Changed lines without context: counted from 1; a side without lines has the line before it as its start."""

    old_start: int
    old_lines: int
    new_start: int
    new_lines: int


def changes_of(repository: GitRepository, commit: RawCommit) -> tuple[list[TreeChange], int]:
    """Return the paths that a commit changed and the number of those left out; none for a merge, as in ``git log``.

    Raises MissingObjectError if a tree is missing. Renames of blobs that are missing are an addition and a deletion.
    """
    if len(commit.parents) > 1 or repository.is_boundary(commit.id):
        return [], 0
    before = repository.commit(commit.parents[0]).tree if commit.parents else b""
    return compare_trees(repository, before, commit.tree)


def compare_trees(repository: GitRepository, old: bytes, new: bytes) -> tuple[list[TreeChange], int]:
    """Return the changes from the tree ``old`` to ``new`` (b"" for an empty one), and the number of those left out."""
    found: list[TreeChange] = []
    left_out = _compare(repository, old, new, b"", found)
    found.sort(key=lambda change: change.path)
    found = _with_renames(repository, found)  # before the list is cut: a renamed directory is at two places in it
    left_out += max(0, len(found) - MAX_CHANGES)
    return found[:MAX_CHANGES], left_out


def _compare(repository: GitRepository, old: bytes, new: bytes, prefix: bytes, found: list[TreeChange]) -> int:
    """Add the changes from one tree to another to ``found`` while there is room; return how many are left out."""
    if old == new:
        return 0
    left_out = 0
    entries_before = repository.tree(old) if old else frozenset()
    entries_after = repository.tree(new) if new else frozenset()
    before = {name: (mode, object_id) for mode, name, object_id in entries_before - entries_after}
    after = {name: (mode, object_id) for mode, name, object_id in entries_after - entries_before}
    for name in sorted(before.keys() | after.keys()):
        path = prefix + name
        old_mode, old_id = before.get(name, (b"", b""))
        new_mode, new_id = after.get(name, (b"", b""))
        was_tree, is_tree = old_mode == DIRECTORY, new_mode == DIRECTORY
        if was_tree or is_tree:
            below = old_id if was_tree else b"", new_id if is_tree else b""
            left_out += _compare(repository, *below, path + b"/", found)
            old_mode, old_id = (b"", b"") if was_tree else (old_mode, old_id)
            new_mode, new_id = (b"", b"") if is_tree else (new_mode, new_id)
        if not old_mode and not new_mode:
            continue
        if len(found) < _MOST_COMPARED:
            found.append(TreeChange(path, _kind(old_mode, new_mode), old_mode, old_id, new_mode, new_id))
        else:
            left_out += 1
    return left_out


def _kind(old_mode: bytes, new_mode: bytes) -> ChangeKind:
    if not old_mode:
        return ChangeKind.ADDED
    if not new_mode:
        return ChangeKind.DELETED
    return ChangeKind.MODIFIED if _type(old_mode) == _type(new_mode) else ChangeKind.TYPE_CHANGED


def _type(mode: bytes) -> bytes:
    return mode if mode in (SYMLINK, SUBMODULE) else b"100644"


# renames


def _with_renames(repository: GitRepository, changes: list[TreeChange]) -> list[TreeChange]:
    """Return ``changes`` with pairs of a deleted and a similar added file joined, by the rules of git."""
    deleted = [change for change in changes if change.kind is ChangeKind.DELETED]
    added = [change for change in changes if change.kind is ChangeKind.ADDED]
    if not deleted or not added:
        return changes
    pairs = _exact_renames(deleted, added)
    sources = {old.path for old in pairs.values()}
    deleted = [change for change in deleted if change.path not in sources]
    added = [change for change in added if change.path not in pairs]
    if deleted and added and len(deleted) * len(added) <= _MOST_RENAME_PAIRS:
        pairs |= _similar_renames(repository, deleted, added)
    sources = {old.path for old in pairs.values()}
    joined = []
    for change in changes:
        if (old := pairs.get(change.path)) is not None and change.kind is ChangeKind.ADDED:
            joined.append(
                replace(change, kind=ChangeKind.RENAMED, old_mode=old.old_mode, old_id=old.old_id, old_path=old.path)
            )
        elif change.kind is not ChangeKind.DELETED or change.path not in sources:
            joined.append(change)
    return joined


def _exact_renames(deleted: Sequence[TreeChange], added: Sequence[TreeChange]) -> dict[bytes, TreeChange]:
    """Return the deleted file with the same content for added paths; the same name is preferred, each used once."""
    same_content: defaultdict[tuple[bytes, bytes], deque[TreeChange]] = defaultdict(deque)
    same_name: defaultdict[tuple[bytes, bytes, bytes], deque[TreeChange]] = defaultdict(deque)
    for change in deleted:
        key = change.old_id, _type(change.old_mode)
        same_content[key].append(change)
        same_name[*key, _name(change.path)].append(change)
    pairs: dict[bytes, TreeChange] = {}
    used: set[bytes] = set()
    for change in added:
        key = change.new_id, _type(change.new_mode)
        best = _next_unused(same_name.get((*key, _name(change.path))), used) or _next_unused(
            same_content.get(key), used
        )
        if best is not None:
            used.add(best.path)
            pairs[change.path] = best
    return pairs


def _next_unused(candidates: deque[TreeChange] | None, used: Set[bytes]) -> TreeChange | None:
    """Take the next of ``candidates`` whose path is not used yet; None if there is none."""
    while candidates:
        found = candidates.popleft()
        if found.path not in used:
            return found
    return None


def _similar_renames(
    repository: GitRepository, deleted: Sequence[TreeChange], added: Sequence[TreeChange]
) -> dict[bytes, TreeChange]:
    """Return the most similar deleted file for added paths, if at least half of it is the same."""
    weights = _Weights(repository)
    sources = {old.path: found for old in deleted if (found := weights.of(old.old_id, old.old_mode)) is not None}
    containing: dict[int, list[bytes]] = {}
    for path, (_, spans) in sources.items():
        for span in spans:
            containing.setdefault(span, []).append(path)
    order = {old.path: place for place, old in enumerate(deleted)}
    scored: list[tuple[int, int, int, int, bytes, bytes]] = []
    by_path = {old.path: old for old in deleted}
    for place, change in enumerate(added):
        target = weights.of(change.new_id, change.new_mode)
        if target is None:
            continue
        candidates: set[bytes] = set()
        for span in target[1]:
            candidates.update(containing.get(span, ()))
        for path in candidates:
            if _type(by_path[path].old_mode) != _type(change.new_mode):
                continue
            score = _similarity(sources[path], target)
            if score >= _HALF:
                same_name = _name(path) == _name(change.path)
                scored.append((-score, -same_name, place, order[path], change.path, path))
    pairs: dict[bytes, TreeChange] = {}
    used: set[bytes] = set()
    for *_, target_path, source_path in sorted(scored):
        if target_path not in pairs and source_path not in used:
            pairs[target_path] = by_path[source_path]
            used.add(source_path)
    return pairs


_Spans = tuple[int, Counter[int]]
"""The size of a file, and how many bytes it has of each line (by its hash)."""


class _Weights:
    """The lines of files, by the rule of git's similarity: pieces end at a line's end or after 64 bytes."""

    def __init__(self, repository: GitRepository) -> None:
        self._repository = repository
        self._bytes = 0

    def of(self, object_id: bytes, mode: bytes) -> _Spans | None:
        """Return the lines of a blob; None if it is empty, missing, or beyond what is compared in one commit."""
        if mode in (SYMLINK, SUBMODULE) or self._bytes > _MOST_RENAME_BYTES:
            return None
        try:
            data = self._repository.blob(object_id)
        except MissingObjectError:
            return None
        self._bytes += len(data)
        if not data or len(data) > MAX_DIFF_BYTES:
            return None
        is_text = not is_binary(data)
        spans: Counter[int] = Counter()
        for line in data.split(b"\n"):
            piece = line[:-1] if is_text and line.endswith(b"\r") else line
            for start in range(0, len(piece) + 1, 64):
                part = piece[start : start + 64]
                ends_line = start + 64 > len(piece)
                spans[hash((part, ends_line))] += len(part) + ends_line
        last = data.rpartition(b"\n")[2]
        start = len(last) // 64 * 64
        spans[hash((last[start:], True))] -= 1  # the last piece has no line end
        return len(data), +spans


def _similarity(source: _Spans, target: _Spans) -> int:
    """Return how much of a file is in another, from 0 to 60,000."""
    largest = max(source[0], target[0])
    if largest * (_MAX_SCORE - _HALF) < abs(source[0] - target[0]) * _MAX_SCORE:
        return 0
    small, large = sorted((source[1], target[1]), key=len)
    copied = sum(min(count, large[span]) for span, count in small.items() if span in large)
    return copied * _MAX_SCORE // largest


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


# lines


def is_binary(data: bytes) -> bool:
    """Return True if git takes ``data`` for binary, as long as no attribute says otherwise."""
    return b"\0" in data[:_CHECKED_FOR_NUL]


def content_of(repository: GitRepository, mode: bytes, object_id: bytes) -> bytes:
    """Return what is compared for one side of a change: a blob, or the line that stands for a submodule."""
    if not object_id:
        return b""
    return b"Subproject commit %s\n" % object_id.hex().encode() if mode == SUBMODULE else repository.blob(object_id)


def hunks_between(old: bytes, new: bytes) -> list[UnifiedHunk]:
    """Return the hunks that turn ``old`` into ``new``, as git finds them."""
    patch = pygit2.Patch.create_from(
        old, new, context_lines=0, interhunk_lines=0, flag=DiffOption.FORCE_TEXT | DiffOption.INDENT_HEURISTIC
    )
    return [UnifiedHunk(h.old_start, h.old_lines, h.new_start, h.new_lines) for h in patch.hunks]


def quick_hunks(old: bytes, new: bytes) -> list[UnifiedHunk]:
    """Return hunks with as many lines as those of :func:`hunks_between`, in half the time.

    Where a single run of lines was inserted, removed or replaced, it may begin a few lines later than git says.
    """
    if not old or not new:
        text = old or new
        lines = text.count(b"\n") + (not text.endswith(b"\n")) if text else 0
        return [UnifiedHunk(1, lines, 0, 0) if old else UnifiedHunk(0, 0, 1, lines)] if lines else []
    head, tail = common_ends(old, new).in_whole_lines(old, new)
    *removed, cut_removed = old[head : len(old) - tail].split(b"\n")  # a last line without line end is another one
    *added, cut_added = new[head : len(new) - tail].split(b"\n")
    if not set(removed).isdisjoint(added) or (cut_removed and cut_removed == cut_added):
        return hunks_between(old, new)
    before = old.count(b"\n", 0, head)
    old_lines, new_lines = len(removed) + bool(cut_removed), len(added) + bool(cut_added)
    return [UnifiedHunk(before + bool(old_lines), old_lines, before + bool(new_lines), new_lines)]


def count_lines(hunks: Iterable[UnifiedHunk]) -> tuple[int, int]:
    """Return how many lines ``hunks`` add and remove."""
    added = removed = 0
    for hunk in hunks:
        added += hunk.new_lines
        removed += hunk.old_lines
    return added, removed

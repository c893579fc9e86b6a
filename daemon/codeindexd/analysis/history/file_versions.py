"""The versions of files in the commits of a repository, and which commits changed them."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from typing import NamedTuple

from codeindexd.analysis.history.line_diff import Comparison, Hunk
from codeindexd.analysis.history.renames import REGULAR_FILES, RemovedFile, former_file
from codeindexd.analysis.history.repository import DIRECTORY, GitRepository, TreeEntry
from codeindexd.analysis.history.skipping import Skips
from codeindexd.errors import FailedError

_MOST_CACHED = 50_000  # of each kind: 10 to 20 MB
_MOST_DIFFS = 10_000  # about 10 MB: few commits change many places of a file


class FileVersion(NamedTuple):
    """A regular file in a commit; ``blob`` is the id of its content."""

    commit: bytes
    path: bytes
    blob: bytes


class VersionsCache:
    """What was read and compared, for several questions about one repository. Bounded."""

    def __init__(self) -> None:
        self.commits: dict[bytes, tuple[tuple[bytes, ...], int]] = {}
        self.trees: dict[bytes, bytes] = {}
        self.entries: dict[tuple[bytes, bytes], tuple[bytes, bytes] | None] = {}
        self.hunks: dict[tuple[bytes, bytes], list[Hunk]] = {}

    def trim(self) -> None:
        """Forget everything if it has become too much."""
        for kept in (self.commits, self.trees, self.entries):
            if len(kept) > _MOST_CACHED:
                kept.clear()
        if len(self.hunks) > _MOST_DIFFS:
            self.hunks.clear()


class FileVersions:
    """Reads the versions of files from the objects of a repository. Nothing is read from its work tree.

    Every method raises MissingObjectError if the repository lacks an object, and FailedError after ``budget_s``.
    """

    def __init__(
        self,
        repository: GitRepository,
        skips: Skips | None = None,
        *,
        cache: VersionsCache | None = None,
        budget_s: float = math.inf,
    ) -> None:
        self._repository = repository
        self._skips = skips
        self._end = time.monotonic() + budget_s
        cache = cache or VersionsCache()
        cache.trim()
        self._commits, self._trees, self._entries, self._hunks = cache.commits, cache.trees, cache.entries, cache.hunks
        self._read = 0

    def parents(self, commit: bytes) -> Sequence[bytes]:
        """Return the ids of the parents; none for the first commits, and at the boundary of a shallow clone."""
        known = self._skips.parents(commit) if self._skips is not None else None
        return known if known is not None else self._commit(commit)[0]

    def commit_time(self, commit: bytes) -> int:
        """Return when a commit was made, in seconds since the epoch."""
        known = self._skips.time(commit) if self._skips is not None else None
        return known if known is not None else self._commit(commit)[1]

    def find(self, commit: bytes, path: bytes) -> FileVersion | None:
        """Return the regular file ``path`` of a commit, or None if there is none."""
        mode, found = self._at(commit, path)
        return FileVersion(commit, path, found) if mode in REGULAR_FILES else None

    def can_be_renamed_to(self, commit: bytes, path: bytes) -> bool:
        """Return True if a file ``path`` of a child of ``commit`` is new there, so that it may have a former name.

        A symbolic link or a submodule that became a file is not new to git: its type was changed.
        """
        return self._at(commit, path)[0] in (b"", DIRECTORY)

    def _at(self, commit: bytes, path: bytes) -> tuple[bytes, bytes]:
        """Return the mode and the id of what a commit has at ``path``; (b"", b"") if there is nothing."""
        mode, found = DIRECTORY, self._tree(commit)
        for name in path.split(b"/"):
            entry = self._entry(found, name) if mode == DIRECTORY else None
            if entry is None:
                return b"", b""
            mode, found = entry
        return mode, found

    def data(self, blob: bytes) -> bytes:
        """Return the content of a blob."""
        return self._repository.blob(blob)

    def differing_lines(self, old: bytes, new: bytes, *, first: int = 0, last: int | None = None) -> Sequence[Hunk]:
        """Return the hunks between two blobs, ignoring white space, as :func:`line_diff.differing_lines` does."""
        found = self._hunks.get((old, new))
        if found is None:
            comparison = Comparison(self.data(old), self.data(new))
            certain = comparison.certain(first, last)
            if certain is not None:
                return certain
            found = self._hunks[old, new] = comparison.hunks(ignore_whitespace=True)
        return found

    def introduced(self, version: FileVersion, *, stop_at_merges: bool = False) -> FileVersion:
        """Return the version in the commit that last changed the file's path or content, as git would follow it.

        A merge is passed if a parent has the same content; with ``stop_at_merges``, only if the first one has.
        """
        commit, path, blob = version
        if self._skips is not None:
            commit = self._skipped(self._skips, version)
        while True:
            self._check_time()  # also because grafts can make a circle
            if self._skips is not None:
                commit = self._skips.to_change(commit, path)
            parents = self.parents(commit)
            for parent in parents[:1] if stop_at_merges else parents:
                found = self.find(parent, path)
                if found is not None and found.blob == blob:
                    commit = parent
                    break
            else:
                return FileVersion(commit, path, blob)

    def _skipped(self, skips: Skips, version: FileVersion) -> bytes:
        """Return a commit before that of a version, which all of its lines of history lead to without a change."""
        commit, path, blob = version
        passed_merge = False
        seen = {commit}
        while True:
            target = skips.to_change(commit, path)
            beyond = skips.past_merge(target, path)
            passed_merge |= beyond != target
            if beyond == commit:
                break
            if beyond in seen:
                return version.commit
            seen.add(beyond)
            commit = beyond
        if passed_merge:  # a merge may have changed the file itself
            found = self.find(commit, path)
            if found is None or found.blob != blob:
                return version.commit
        return commit

    def before(self, version: FileVersion) -> list[FileVersion]:
        """Return the file in each parent that has it, under its former path where the commit renamed it."""
        self._check_time()
        found = []
        for parent in self.parents(version.commit):
            same_path = self.find(parent, version.path)
            former = same_path
            if same_path is None and self.can_be_renamed_to(parent, version.path):
                former = self._renamed_from(parent, version)
            if former is not None:
                found.append(former)
        return found

    def files(self, commit: bytes) -> list[RemovedFile]:
        """Return all regular files of a commit."""
        found: list[RemovedFile] = []
        self._collect_removed(self._tree(commit), None, b"", found)
        return found

    @staticmethod
    def blob_id(data: bytes) -> bytes:
        """Return the id that a content has as a blob."""
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).digest()

    def _renamed_from(self, parent: bytes, version: FileVersion) -> FileVersion | None:
        removed: list[RemovedFile] = []
        self._collect_removed(self._tree(parent), self._tree(version.commit), b"", removed)
        removed.sort()
        former = former_file(version.path, version.blob, self.data(version.blob), removed, self.data)
        return FileVersion(parent, *former) if former is not None else None

    def _collect_removed(self, old: bytes, new: bytes | None, prefix: bytes, removed: list[RemovedFile]) -> None:
        """Add the regular files of the tree ``old`` whose paths the tree ``new`` does not have."""
        if old == new:
            return
        entries = self._repository.tree(new) if new is not None else frozenset[TreeEntry]()
        kept = {name: (mode, found) for mode, name, found in entries}
        for mode, name, found in self._repository.tree(old) - entries:
            now = kept.get(name)
            if mode == DIRECTORY:
                below = now[1] if now is not None and now[0] == DIRECTORY else None
                self._collect_removed(found, below, prefix + name + b"/", removed)
            elif mode in REGULAR_FILES and (now is None or now[0] == DIRECTORY):
                removed.append(RemovedFile(prefix + name, found))

    def _check_time(self) -> None:
        if time.monotonic() > self._end:
            raise FailedError(
                f"the history of the file is too long to be followed: {self._read:,} commits were read",
                hint="that takes much less time once the history is indexed, see: codeindex status",
            )

    def _commit(self, commit: bytes) -> tuple[tuple[bytes, ...], int]:
        """Return the parents and the time of a commit."""
        found = self._commits.get(commit)
        if found is None:
            self._read += 1
            raw = self._repository.commit(commit)
            found = self._commits[commit] = raw.parents, raw.commit_time
            self._trees[commit] = raw.tree
        return found

    def _tree(self, commit: bytes) -> bytes:
        if commit not in self._trees:
            if self._skips is None:  # its parents will be needed as well
                self._commit(commit)
            else:
                self._read += 1
                self._trees[commit] = self._repository.root_tree(commit)
        return self._trees[commit]

    def _entry(self, tree: bytes, name: bytes) -> tuple[bytes, bytes] | None:
        """Return the mode and the id of an entry of a tree, None if it does not exist."""
        key = (tree, name)
        if key not in self._entries:
            self._entries[key] = self._repository.entry(tree, name)
        return self._entries[key]

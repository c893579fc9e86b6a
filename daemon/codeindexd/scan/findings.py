"""The data that the steps of a scan share: its input, and its findings so far."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from msgspec import Struct, field

from codeindexd.scan.git_excludes import GitConfigLocations
from codeindexd.scan.hashing import FileGroup, HashResult
from codeindexd.scan.ignore import Verdict
from codeindexd.scan.merkle import Tree, node_hash, skipped_hash, subtree
from codeindexd.scan.relpath import name_of, parent_of
from codeindexd.scan.rule_files import ReadRuleFile
from codeindexd.scan.size_limits import SizeLimits
from codeindexd.scan.tracked import RepositoryPaths
from codeindexd.types import Entry, FileStat, NodeKind, TreeSource

SPECIAL = Verdict(ignored=True, reason="special", rule="not a regular file, directory or symbolic link")
UNREADABLE = Verdict(ignored=True, reason="unreadable", rule="cannot be read")


class ScanInput(Struct, frozen=True):
    """The input of a scan.

    ``root`` is the open directory of ``root_path``. ``known`` is the tree of the last scan, and ``decided_by_git`` what
    git's index decided in earlier scans, by the top of the repository. ``applied_rules`` are the stats of the ignore
    files whose rules earlier scans applied to everything below their directory. ``read`` reads rule files and may
    record them. After ``most_leaves`` files, if that is a number, no further directory is entered.
    """

    root_path: Path
    root: int
    known: TreeSource
    decided_by_git: Mapping[bytes, RepositoryPaths]
    applied_rules: Mapping[bytes, FileStat]
    size_limits: SizeLimits
    git_locations: GitConfigLocations
    read: ReadRuleFile
    should_stop: Callable[[], bool]
    most_leaves: int | None = None


class Findings(Struct):
    """The findings of a scan so far. The steps add to them in turn: targets, walk, hashes, and finally the tree.

    - ``tops``: the entries of targets by path; ``children``: the entries of walked directories by name. Both lack the
      files in ``to_hash`` until these are hashed.
    - ``directories``: the walked directories, parents first, each with its entry in the last scan's tree.
    - ``errors``: (path, message) of what could not be read.
    - ``unsettled``, ``young``: as in :class:`HashResult`.
    - ``restatted``: directories with a leaf whose stat or rule changed, but not its content.
    - ``watched``: directories that were not walked, but decide about others: with an entry for which they are left
      out, or with the rules of a nested repository.
    - ``linked``: (device, inode) of each file with several names.
    - ``leaves``, ``hashed``: counts of files.
    - ``is_cut``: True if a directory was not entered because of the limit.
    """

    tops: dict[bytes, Entry] = field(default_factory=dict)
    children: dict[bytes, dict[bytes, Entry]] = field(default_factory=dict)
    directories: list[tuple[bytes, Entry | None]] = field(default_factory=list)
    to_hash: list[FileGroup] = field(default_factory=list)
    errors: list[tuple[bytes, str]] = field(default_factory=list)
    unsettled: list[bytes] = field(default_factory=list)
    young: list[bytes] = field(default_factory=list)
    restatted: set[bytes] = field(default_factory=set)
    watched: list[bytes] = field(default_factory=list)
    linked: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    leaves: int = 0
    hashed: int = 0
    read_bytes: int = 0
    is_cut: bool = False

    def add_error(self, path: bytes, error: OSError) -> None:
        """Record that ``path`` could not be read."""
        self.errors.append((path, error.strerror or str(error)))

    def add_hashed(self, result: HashResult) -> None:
        """Add the result of a hashed file."""
        self.hashed += 1
        self.read_bytes += result.read_bytes
        entry = result.entry
        if result.error:
            self.errors.append((result.path, result.error))
            entry = entry or skipped(result.path, UNREADABLE, None)
        if result.restatted:
            self.restatted.add(parent_of(result.path))
        if result.unsettled:
            self.unsettled.append(result.path)
        if result.young:
            self.young.append(result.path)
        if entry is None:
            return
        siblings = self.children.get(parent_of(entry.path))
        if siblings is None:
            self.tops[entry.path] = entry
        else:
            siblings[name_of(entry.path)] = entry

    def keep(self, tree: TreeSource, path: bytes, known: Entry | None) -> Entry:
        """Return the ``known`` entry of a path that cannot be read, after copying everything below it from ``tree``.

        Returns a skipped leaf if the path is not known.
        """
        if known is None:
            return skipped(path, UNREADABLE, None)
        for entry in subtree(tree, known):
            if entry.kind is NodeKind.DIRECTORY:
                self.children[entry.path] = dict(tree.children(entry.path))
        return known

    def tree(self, targets: Collection[bytes]) -> Tree:
        """Compute the hashes of the walked directories bottom-up, and return the tree at and below ``targets``."""
        for path, known in reversed(self.directories):
            digest = node_hash(self.children[path].values())
            same = known is not None and known.hash == digest and known.kind is NodeKind.DIRECTORY
            entry = known if same and known is not None else Entry(path, NodeKind.DIRECTORY, digest)
            if path in self.restatted:
                self.restatted.add(parent_of(path))
            if path in targets:
                self.tops[path] = entry
            else:
                self.children[parent_of(path)][name_of(path)] = entry
        return Tree(self.tops, self.children, restatted=self.restatted)


def skipped(path: bytes, verdict: Verdict, known: Entry | None) -> Entry:
    """Return the leaf of a path that is left out; the ``known`` entry itself if that has the same reason and rule."""
    reason, rule = verdict.reason, verdict.rule
    if known is not None and known.kind is NodeKind.SKIPPED and known.reason == reason and known.rule == rule:
        return known
    return Entry(path, NodeKind.SKIPPED, skipped_hash(reason), None, reason, rule)

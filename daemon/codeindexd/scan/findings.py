"""What the steps of a scan share: its input, and what was found so far."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from codeindexd.scan.git_excludes import GitHome
from codeindexd.scan.hashing import Group, Hashed
from codeindexd.scan.ignore import Verdict
from codeindexd.scan.merkle import Tree, node_hash, skipped_hash, subtree
from codeindexd.scan.relpath import name_of, parent_of
from codeindexd.scan.rule_files import ReadRuleFile
from codeindexd.scan.size_limits import SizeLimits
from codeindexd.scan.tracked import RepositoryPaths
from codeindexd.types import Entry, NodeKind, TreeSource

SPECIAL = Verdict(True, "special", "no regular file, directory or symbolic link")
UNREADABLE = Verdict(True, "unreadable", "cannot be read")


@dataclass(frozen=True, slots=True)
class ScanInput:
    """What a scan works with: the root's path and open descriptor, what is known from last time, limits."""

    root_path: Path
    root: int
    known: TreeSource
    decided_by_git: Mapping[bytes, RepositoryPaths]
    size_limits: SizeLimits
    git_home: GitHome
    read: ReadRuleFile
    should_stop: Callable[[], bool]


@dataclass(slots=True)
class Findings:
    """What was found. The steps add to it in turn: targets, then the walk, then the hashes, at last the tree.

    ``tops`` are the entries of targets by path, ``children`` the entries of walked directories; both lack the files
    in ``to_hash`` until these are hashed. ``directories`` lists what was walked, parents first, with the entry known
    so far. ``restatted`` are directories with a leaf of equal content under another stat or rule. ``watched`` are
    directories that were not walked and yet decide about others: they hold the mark that leaves them out, or the rules
    of a nested repository. ``linked`` are (device, inode) of files with more than one name.
    """

    tops: dict[bytes, Entry] = field(default_factory=dict)
    children: dict[bytes, dict[bytes, Entry]] = field(default_factory=dict)
    directories: list[tuple[bytes, Entry | None]] = field(default_factory=list)
    to_hash: list[Group] = field(default_factory=list)
    errors: list[tuple[bytes, str]] = field(default_factory=list)
    unsettled: list[bytes] = field(default_factory=list)
    young: list[bytes] = field(default_factory=list)
    restatted: set[bytes] = field(default_factory=set)
    watched: list[bytes] = field(default_factory=list)
    linked: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    leaves: int = 0
    hashed: int = 0
    read_bytes: int = 0

    def add_error(self, path: bytes, error: OSError) -> None:
        """Record that ``path`` could not be read."""
        self.errors.append((path, error.strerror or str(error)))

    def add_hashed(self, result: Hashed) -> None:
        """Put a hashed file in its place."""
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
        """Return the known entry of what cannot be read, after copying everything below it from ``tree``."""
        if known is None:
            return skipped(path, UNREADABLE, None)
        for entry in subtree(tree, known):
            if entry.kind is NodeKind.DIRECTORY:
                self.children[entry.path] = dict(tree.children(entry.path))
        return known

    def tree(self, targets: Collection[bytes]) -> Tree:
        """Return the tree at and below ``targets``, after computing the hashes of walked directories bottom-up."""
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
    """Return the leaf of something that is left out; the known entry if it says the same."""
    reason, rule = verdict.reason, verdict.rule
    if known is not None and known.kind is NodeKind.SKIPPED and known.reason == reason and known.rule == rule:
        return known
    return Entry(path, NodeKind.SKIPPED, skipped_hash(reason), None, reason, rule)

"""The scanner of one root: turns hints into a tree of the files on the disk."""

from __future__ import annotations

import errno
import functools
import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct, field

from codeindexd.errors import PathRefusedError
from codeindexd.scan.directory_rules import DirectoryRules, git_rules, ignore_file_stats, root_rules
from codeindexd.scan.findings import SPECIAL, UNREADABLE, Findings, ScanInput, skipped
from codeindexd.scan.git_excludes import GitConfigLocations
from codeindexd.scan.hashing import Hasher
from codeindexd.scan.ignore import IGNORE_FILES, IgnoreRules, Verdict
from codeindexd.scan.merkle import Tree
from codeindexd.scan.relpath import ROOT, name_of, parent_of
from codeindexd.scan.rule_files import ReadRuleFile, RuleFileRecorder, RuleFiles, read_bounded
from codeindexd.scan.safe_read import OPEN_DIRECTORY, closing_descriptor, is_settled, lstat_beneath, open_directory
from codeindexd.scan.size_limits import SizeLimits
from codeindexd.scan.targets import targets_of
from codeindexd.scan.tracked import RepositoryPaths
from codeindexd.scan.walk import Walk
from codeindexd.types import FileStat, TreeSource

NOTHING_DECIDED: Mapping[bytes, RepositoryPaths] = MappingProxyType({})
NOTHING_APPLIED: Mapping[bytes, FileStat] = MappingProxyType({})
_DEFAULT_LIMITS = SizeLimits()
_LINK = Verdict(ignored=True, reason="symlink", rule="symbolic links are not followed")


class ScanStats(Struct, frozen=True):
    """The effort of a scan: leaves found, files hashed, bytes read, seconds taken."""

    files: int = 0
    hashed: int = 0
    bytes: int = 0
    seconds: float = 0.0


class Scan(Struct, frozen=True):
    """The result of a scan; all paths are relative to the root.

    - ``tree`` covers exactly the paths ``below``: the hints, widened as in :func:`targets_of`. Pass both to ``diff``.
    - ``directories`` should be watched: the walked directories, and directories whose files decide what is ignored.
    - ``errors`` are (path, message). Entries that could not be read are in ``tree`` as they were before.
    - ``unsettled`` files changed while they were read; ``young`` ones were modified so recently that a later change
      might not alter their stat. Both must be scanned again soon.
    - ``linked`` are the (device, inode) of files with several names.
    - ``rule_files`` are the rule files that no event of the root covers, in the state in which they were read.
    - ``decided_by_git`` are the paths that git's index decided about, by the top of the repository.
    - ``applied_rules`` are the stats of ignore files whose rules were applied to everything below their directory; a
      later change of such a file must alter its stat.
    - ``is_cut`` says that the scan ended at its limit, so that ``tree`` lacks directories.
    """

    tree: Tree
    below: tuple[bytes, ...]
    directories: list[bytes] = field(default_factory=list)
    errors: list[tuple[bytes, str]] = field(default_factory=list)
    unsettled: list[bytes] = field(default_factory=list)
    young: list[bytes] = field(default_factory=list)
    linked: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    rule_files: RuleFiles = field(default_factory=RuleFiles)
    decided_by_git: Mapping[bytes, RepositoryPaths] = field(default_factory=dict)
    applied_rules: Mapping[bytes, FileStat] = field(default_factory=dict)
    stats: ScanStats = field(default_factory=ScanStats)
    is_cut: bool = False


def _never() -> bool:
    return False


class Scanner:
    """Scans one root. Thread-safe, since nothing is kept between scans.

    ``include``, ``exclude``, ``hidden``, ``gitignore`` and ``defaults`` are as in ``IgnoreRules.for_root``. Files
    over ``size_limits`` are left out. Mounted file systems inside the root are part of it, unless
    they are the kernel's.
    """

    def __init__(
        self,
        root: Path,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        hidden: bool = False,
        gitignore: bool = True,
        defaults: bool = True,
        size_limits: SizeLimits = _DEFAULT_LIMITS,
        threads: int = 8,
        git_locations: GitConfigLocations | None = None,
    ) -> None:
        self._root = root
        self._rules_with_git = functools.partial(
            IgnoreRules.for_root,
            include=tuple(include),
            exclude=tuple(exclude),
            hidden=hidden,
            gitignore=gitignore,
            defaults=defaults,
        )
        self._size_limits = size_limits
        self._threads = threads
        self._git_locations = git_locations or GitConfigLocations.from_environment(os.environ)

    @property
    def root(self) -> Path:
        """The directory that is scanned."""
        return self._root

    def scan(
        self,
        below: Sequence[bytes],
        known: TreeSource,
        *,
        now_ns: int,
        decided_by_git: Mapping[bytes, RepositoryPaths] = NOTHING_DECIDED,
        applied_rules: Mapping[bytes, FileStat] = NOTHING_APPLIED,
        should_stop: Callable[[], bool] = _never,
        most_leaves: int | None = None,
    ) -> Scan:
        """Scan the disk at and below the hints ``below`` (b"" is the whole root); blocking.

        ``known`` is the tree of the last scan: files with an unchanged stat are not read and keep their entry, the same
        object. ``now_ns`` must not be later than the start of the call. ``decided_by_git`` comes from earlier scans;
        for the hint ``.git/index`` of a repository, the paths whose answer has changed since are scanned. So do
        ``applied_rules``; for the hint of an ignore file that has changed since, its directory is scanned.

        With ``most_leaves``, no directory is entered after so many files were found. Use it only if ``known`` is empty:
        to a diff, directories that were not entered look as if they were gone.

        Raises PathRefusedError if the root is not a directory or cannot be opened, ShuttingDownError if
        ``should_stop()``.
        """
        started = time.perf_counter()
        recorder = RuleFileRecorder(self._root)
        findings = Findings()
        with closing_descriptor(self._open_root()) as root:
            scan = self._input(root, known, recorder.read, should_stop, decided_by_git, applied_rules, most_leaves)
            rules = self._directory_rules(scan, findings)
            targets = targets_of(below, scan, rules, findings)
            walk = Walk(scan, rules, findings)
            for target in targets:
                walk.visit(target)
            for result in self._hasher(root, now_ns).run(findings.to_hash, should_stop):
                findings.add_hashed(result)
        walked = {path for path, _ in findings.directories}
        return Scan(
            findings.tree(frozenset(targets)),
            targets,
            directories=[*(path for path, _ in findings.directories), *findings.watched],
            errors=sorted(findings.errors),
            unsettled=sorted(set(findings.unsettled)),
            young=sorted(set(findings.young)),
            linked=findings.linked,
            rule_files=recorder.files,
            decided_by_git={top: tracked.paths for top, tracked in rules.tracked.items()},
            applied_rules={
                path: found
                for path, found in rules.read_stats.items()
                if parent_of(path) in walked and is_settled(found, now_ns)
            },
            stats=ScanStats(findings.leaves, findings.hashed, findings.read_bytes, time.perf_counter() - started),
            is_cut=findings.is_cut,
        )

    @property
    def rule_files(self) -> RuleFiles:
        """The rule files from outside the root that no event of the root covers, in their present state; blocking."""
        recorder = RuleFileRecorder(self._root)
        git_rules(self._root, self._git_locations, recorder.read)
        return recorder.files

    def explain(self, path: bytes) -> Verdict | None:
        """Return why ``path``, or a directory above it, is left out; None if nothing leaves it out. Blocking.

        A path that does not exist is judged as a file of that name. Raises PathRefusedError if the root cannot be
        opened.
        """
        with closing_descriptor(self._open_root()) as root:
            scan = self._input(root, Tree({}, {}), read_bounded, _never)
            rules = self._directory_rules(scan, Findings())
            for end in [at for at in range(len(path) + 1) if path and path[at : at + 1] in (b"/", b"")]:
                current, status = path[:end], lstat_beneath(root, path[:end])
                parent = rules.of(parent_of(current))
                is_dir = stat.S_ISDIR(status.st_mode) if status is not None else end < len(path)
                verdict = parent.judge(name_of(current), current, is_dir)
                if verdict is None and status is not None:
                    verdict = self._verdict_by_kind(root, current, status, parent, rules)
                if verdict is not None or not is_dir:
                    return verdict
        return None

    def _verdict_by_kind(
        self, root: int, path: bytes, status: os.stat_result, parent: IgnoreRules, rules: DirectoryRules
    ) -> Verdict | None:
        if stat.S_ISLNK(status.st_mode):
            return _LINK
        if (verdict := rules.device_verdict(status.st_dev)) is not None:
            return verdict
        try:
            if stat.S_ISDIR(status.st_mode):
                with closing_descriptor(open_directory(root, path)) as descriptor, os.scandir(descriptor) as listing:
                    return rules.content_verdict(parent, path, {os.fsencode(item.name) for item in listing})
        except OSError:
            return UNREADABLE
        if not stat.S_ISREG(status.st_mode):
            return SPECIAL
        return self._size_limits.verdict(path) if status.st_size > self._size_limits.of(path) else None

    def _open_root(self) -> int:
        try:
            return os.open(self._root, OPEN_DIRECTORY)
        except OSError as error:
            exhausted = error.errno in (errno.EMFILE, errno.ENFILE)
            hint = "raise the limit of open files" if exhausted else "check that the directory exists and is readable"
            raise PathRefusedError(f"{self._root} cannot be scanned: {error.strerror}", hint=hint) from error

    def _directory_rules(self, scan: ScanInput, findings: Findings) -> DirectoryRules:
        git = git_rules(self._root, self._git_locations, scan.read)
        stats = ignore_file_stats(scan.root, ROOT, IGNORE_FILES)
        return DirectoryRules(scan, findings, root_rules(scan.root, self._rules_with_git, git), git.tracked, stats)

    def _input(
        self,
        root: int,
        known: TreeSource,
        read: ReadRuleFile,
        should_stop: Callable[[], bool],
        decided: Mapping[bytes, RepositoryPaths] = NOTHING_DECIDED,
        applied_rules: Mapping[bytes, FileStat] = NOTHING_APPLIED,
        most_leaves: int | None = None,
    ) -> ScanInput:
        return ScanInput(
            root_path=self._root,
            root=root,
            known=known,
            decided_by_git=decided,
            applied_rules=applied_rules,
            size_limits=self._size_limits,
            git_locations=self._git_locations,
            read=read,
            should_stop=should_stop,
            most_leaves=most_leaves,
        )

    def _hasher(self, root: int, now_ns: int) -> Hasher:
        return Hasher(
            root,
            limits=self._size_limits,
            threads=self._threads,
            now_ns=now_ns,
            oversized=lambda path: skipped(path, self._size_limits.verdict(path), None),
        )

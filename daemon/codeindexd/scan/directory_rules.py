"""Collects the ignore rules that apply in a directory: from the root down to it, and git's from outside the root."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from codeindexd.errors import EXHAUSTED
from codeindexd.scan.findings import Findings, ScanInput
from codeindexd.scan.git_excludes import (
    GitConfigLocations,
    GitWorkTree,
    exclude_sources,
    linked_git_dir,
    object_id_bytes,
)
from codeindexd.scan.ignore import IGNORE_FILES, PACKAGE_FILES, ExcludeFile, IgnoreRules, Verdict
from codeindexd.scan.kernel_files import kernel_devices
from codeindexd.scan.relpath import ROOT, ancestors, join, parent_of
from codeindexd.scan.rule_files import INDEX, ReadRuleFile, read_bounded
from codeindexd.scan.safe_read import OPEN_FILE, closing_descriptor, file_stat, open_directory
from codeindexd.scan.tracked import TrackedFiles
from codeindexd.types import FileStat

_RULE_NAMES = (*IGNORE_FILES, *PACKAGE_FILES, b".git", b".hg")  # names that the rules of their directory depend on
_WORKTREE = Verdict(ignored=True, reason="worktree", rule="default: linked worktree of the repository around it")
_MOST_IGNORE_BYTES = 8 << 20
_NOT_NOW = frozenset({errno.EIO, *EXHAUSTED})
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES})  # such a directory has no rules


class GitRules(Struct, frozen=True):
    """git's rules from outside the root: exclude files, the ignore files ``above`` it, and what git tracks.

    ``above`` are as in :meth:`IgnoreRules.for_root`. ``tracked`` is None if the root is in no repository.
    """

    sources: list[ExcludeFile]
    above: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    tracked: TrackedFiles | None = None


class DirectoryRules:
    """The rules for the children of each directory of a root; every ignore file is read once per scan.

    ``tracked`` holds the repositories met so far, by the top of their work tree.
    """

    def __init__(
        self,
        scan: ScanInput,
        findings: Findings,
        root_rules: IgnoreRules,
        tracked: TrackedFiles | None,
        root_stats: Mapping[bytes, FileStat],
    ) -> None:
        """``root_stats`` are those of the root's own ignore files before these were read."""
        self._scan = scan
        self._findings = findings
        self.root = root_rules
        self.tracked: dict[bytes, TrackedFiles] = {ROOT: tracked} if tracked else {}
        self._known: dict[bytes, IgnoreRules] = {ROOT: root_rules}
        self.read_stats = dict(root_stats)  # of the ignore files that were read, each taken before that

    def of(self, directory: bytes) -> IgnoreRules:
        """Return the rules for the children of ``directory``. Raises OSError if they exist and cannot be read."""
        rules = self._known.get(directory)
        if rules is None:
            rules = self.of(parent_of(directory))
            rules.verdict(directory, is_dir=True)  # records whether it is kept only for the tracked files in it
            try:
                with closing_descriptor(open_directory(self._scan.root, directory)) as descriptor:
                    names = {name for name in _RULE_NAMES if _has_entry(descriptor, name)}
                    rules = self.enter(rules, directory, descriptor, names)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise  # without its rules, what the directory ignores would be indexed
            self._known[directory] = rules
        return rules

    def device_verdict(self, device: int) -> Verdict | None:
        """Return why directories on the file system ``device`` are left out; None unless it is one of the kernel's."""
        kind = self._kernel_devices.get(device) if device != self._root_device else None
        return None if kind is None else Verdict(True, "special", f"default: the kernel's state, not files ({kind})")

    @functools.cached_property
    def _kernel_devices(self) -> dict[int, str]:
        return kernel_devices()

    @functools.cached_property
    def _root_device(self) -> int:
        return os.fstat(self._scan.root).st_dev

    def content_verdict(self, rules: IgnoreRules, path: bytes, names: Collection[bytes]) -> Verdict | None:
        """Return why the directory ``path`` is left out for the entries ``names`` in it; None if it is kept.

        ``rules`` are those of its parent. Raises OSError if the process has no free file descriptor.
        """
        is_copy = b".git" in names and path and self._is_worktree_of_outer_repository(path)
        return rules.content_verdict(path, names, _WORKTREE if is_copy else None)

    def _is_worktree_of_outer_repository(self, path: bytes) -> bool:
        """Return True if ``path`` is a linked worktree of a repository that contains it: a second copy of its code.

        Only the ``.git`` file is read: no event of the root reports the removal of the worktree's entry in the
        repository.
        """
        git_dir = linked_git_dir(self._scan.root_path / os.fsdecode(path), self._scan.read)
        if git_dir is None or git_dir.parent.name != "worktrees":
            return False
        common = os.path.realpath(git_dir.parent.parent)
        enclosing = [self.tracked[parent] for parent in ancestors(path) if parent in self.tracked]
        return any(os.path.realpath(repository.common) == common for repository in enclosing)

    def enter(self, rules: IgnoreRules, path: bytes, descriptor: int, names: Collection[bytes]) -> IgnoreRules:
        """Return the rules for the children of the open directory ``path``, which contains the entries ``names``.

        ``rules`` are those of its parent; for the root, its own. Raises OSError if an ignore file cannot be read now.
        """
        if not path:
            return rules  # they contain the root's own files from the start
        present = IGNORE_FILES.intersection(names)
        self.read_stats |= ignore_file_stats(descriptor, path, present)
        files = {name: read_ignore_file(descriptor, name) for name in present}
        scan = self._scan
        excludes = tracked = None
        if b".git" in names and (nested := GitWorkTree.at(scan.root_path / os.fsdecode(path), scan.read)):
            excludes = exclude_sources(nested, scan.git_locations, scan.read)
            tracked = self.tracked[path] = _tracked_in(nested, scan.git_locations, scan.read, top=path)
            if (common := _relative_to(scan.root_path, nested.common)) is not None:
                self._findings.watched += [common, common + b"/info", *_directories_above(common)]
        return rules.enter(path, files, excludes, tracked, names=names)


def root_rules(
    root: int,
    rules_with_git: Callable[..., IgnoreRules],
    git: GitRules,
) -> IgnoreRules:
    """Return the rules for the children of the root, an open directory.

    ``rules_with_git`` is :meth:`IgnoreRules.for_root` with the configured options bound. Raises OSError if an ignore
    file of the root cannot be read now.
    """
    rules = rules_with_git(exclude_sources=git.sources, above=git.above, tracked=git.tracked)
    files = {name: read_ignore_file(root, name) for name in IGNORE_FILES}
    return rules.enter(ROOT, files, names={name for name in _RULE_NAMES if _has_entry(root, name)})


def git_rules(root_path: Path, git_locations: GitConfigLocations, read: ReadRuleFile) -> GitRules:
    """Return git's rules from outside the root; ``read`` also records the files that it reads.

    Raises OSError if the process has no free file descriptor.
    """
    repository = GitWorkTree.at(root_path, read)
    if repository is not None:
        sources = exclude_sources(repository, git_locations, read)
        return GitRules(sources, tracked=_tracked_in(repository, git_locations, read))
    repository = GitWorkTree.enclosing(root_path, read)
    sources = exclude_sources(repository, git_locations, read)
    if repository is None:
        return GitRules(sources)
    above = os.fsencode(root_path.relative_to(repository.top)) + b"/"
    tracked = _tracked_in(repository, git_locations, read, above=above)
    if _is_ignored(root_path, repository.top, sources, read):
        return GitRules([], tracked=tracked)  # the user chose an ignored directory as a root: index what is in it
    return GitRules(sources, _ignore_files_above(root_path, repository.top, read), tracked)


def _tracked_in(
    repository: GitWorkTree,
    git_locations: GitConfigLocations,
    read: ReadRuleFile,
    *,
    top: bytes = b"",
    above: bytes = b"",
) -> TrackedFiles:
    """Return what git tracks in a repository, and record its index through ``read`` so that changes are noticed.

    ``top`` and ``above`` are as in :class:`TrackedFiles`.
    """
    read(repository.git_dir / "index", hint=join(top, INDEX))
    return TrackedFiles(
        repository.git_dir,
        repository.common,
        lambda: object_id_bytes(repository, git_locations, read_bounded),
        top=top,
        above=above,
    )


def ignore_file_stats(descriptor: int, directory: bytes, names: Iterable[bytes]) -> dict[bytes, FileStat]:
    """Return the stats of the ignore files ``names`` in the open ``directory``, by their path below the root."""
    found = {}
    for name in names:
        with contextlib.suppress(OSError):
            found[join(directory, name)] = file_stat(os.stat(name, dir_fd=descriptor, follow_symlinks=False))
    return found


def read_ignore_file(directory: int, name: bytes) -> bytes:
    """Return the content of the ignore file ``name`` in an open directory; b"" if it is missing or not readable.

    Like git, this follows no symbolic link. Raises OSError if the file exists and cannot be read now: without it, files
    that it ignores would be indexed.
    """
    try:
        with closing_descriptor(os.open(name, OPEN_FILE, dir_fd=directory)) as descriptor:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return b""
            return os.read(descriptor, _MOST_IGNORE_BYTES)
    except OSError as error:
        if error.errno in _NOT_NOW:
            raise
        return b""


def _ignore_files_above(root: Path, top: Path, read: ReadRuleFile) -> list[tuple[str, bytes, bytes]]:
    """Return git's ignore files from the root's parent up to the work tree's ``top``, as ``GitRules.above``."""
    found: list[tuple[str, bytes, bytes]] = []
    for parent in root.parents:
        content = _gitignore_of(parent, read)
        shown = "../" * len(root.relative_to(parent).parts) + ".gitignore"
        found.append((shown, content, os.fsencode(root.relative_to(parent)) + b"/"))
        if parent == top:
            break
    return found


def _gitignore_of(directory: Path, read: ReadRuleFile) -> bytes:
    """Return the content of a .gitignore above the root; b"" if it is missing, or a link, which git does not follow."""
    return read(directory / ".gitignore", follow=False) or b""


def _is_ignored(root: Path, top: Path, sources: Sequence[ExcludeFile], read: ReadRuleFile) -> bool:
    """Return True if a git rule ignores the root or a directory above it, up to the work tree's ``top``."""
    rules = IgnoreRules.for_root(exclude_sources=sources, hidden=True, defaults=False)
    path, directory = b"", top
    for part in root.relative_to(top).parts:
        content = _gitignore_of(directory, read)
        rules = rules.enter(path, {b".gitignore": content} if content else {})
        path, directory = (path + b"/" if path else b"") + os.fsencode(part), directory / part
        verdict = rules.verdict(path, is_dir=True)
        if verdict is not None and verdict.reason == "ignored":
            return True
    return False


def _has_entry(directory: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False
    return True


def _directories_above(path: bytes) -> Iterator[bytes]:
    """Yield the directories between ``path`` and the root, nearest first; if watched, a replacement is noticed."""
    while path := parent_of(path):
        yield path


def _relative_to(root: Path, path: Path) -> bytes | None:
    """Return ``path`` relative to the root; None if it lies outside."""
    normal = os.path.normpath(path)
    return os.fsencode(os.path.relpath(normal, root)) if normal.startswith(f"{root}/") else None

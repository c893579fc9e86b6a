"""The ignore rules that apply in a directory: those of the root, git's from elsewhere, and those on the way."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from codeindexd.errors import EXHAUSTED
from codeindexd.scan.findings import Findings, ScanInput
from codeindexd.scan.git_excludes import GitHome, Repository, exclude_sources, linked_git_dir, object_id_bytes
from codeindexd.scan.ignore import IGNORE_FILES, PACKAGE_FILES, IgnoreRules, Source, Verdict
from codeindexd.scan.relpath import ROOT, ancestors, join, parent_of
from codeindexd.scan.rule_files import INDEX, ReadRuleFile, read_bounded
from codeindexd.scan.safe_read import OPEN_FILE, open_directory, opened
from codeindexd.scan.tracked import TrackedFiles

_DECISIVE = (*IGNORE_FILES, *PACKAGE_FILES, b".git", b".hg")  # names that the rules of their directory depend on
_WORKTREE = Verdict(True, "worktree", "default: linked worktree of the repository around it")
_MOST_IGNORE_BYTES = 8 << 20
_NOT_NOW = frozenset({errno.EIO, *EXHAUSTED})
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES})  # such a directory has no rules


@dataclass(frozen=True, slots=True)
class GitRules:
    """git's exclude files, the ignore files above the root, and what is tracked; all from outside the root."""

    sources: list[Source]
    above: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    tracked: TrackedFiles | None = None


class DirectoryRules:
    """The rules for the children of any directory below the root, each read once a scan."""

    def __init__(
        self, scan: ScanInput, findings: Findings, root_rules: IgnoreRules, tracked: TrackedFiles | None
    ) -> None:
        self._scan = scan
        self._findings = findings
        self.root = root_rules
        self.tracked: dict[bytes, TrackedFiles] = {ROOT: tracked} if tracked else {}
        self._known: dict[bytes, IgnoreRules] = {ROOT: root_rules}

    def of(self, directory: bytes) -> IgnoreRules:
        """Return the rules for the children of ``directory``. Raises OSError if they exist and cannot be read."""
        rules = self._known.get(directory)
        if rules is None:
            rules = self.of(parent_of(directory))
            rules.verdict(directory, is_dir=True)  # so that the rules inside know if it is kept for tracked files only
            try:
                with opened(open_directory(self._scan.root, directory)) as descriptor:
                    names = {name for name in _DECISIVE if _exists(descriptor, name)}
                    rules = self.enter(rules, directory, descriptor, names)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise  # without its rules, what the directory ignores would be indexed
            self._known[directory] = rules
        return rules

    def marked(self, rules: IgnoreRules, path: bytes, names: Collection[bytes]) -> Verdict | None:
        """Return why the directory ``path``, which holds ``names``, is left out for that; None if it is kept.

        ``rules`` are those of its parent. Raises OSError.
        """
        is_copy = b".git" in names and path and self._is_worktree_of_outer_repository(path)
        return rules.marked(path, names, _WORKTREE if is_copy else None)

    def _is_worktree_of_outer_repository(self, path: bytes) -> bool:
        """Return True if ``path`` is a linked worktree of a repository around it: the same code once more.

        The ``.git`` file alone says so: no event of the root tells when the worktree's entry in the repository goes.
        """
        git_dir = linked_git_dir(self._scan.root_path / os.fsdecode(path), self._scan.read)
        if git_dir is None or git_dir.parent.name != "worktrees":
            return False
        common = os.path.realpath(git_dir.parent.parent)
        around = [self.tracked[place] for place in ancestors(path) if place in self.tracked]
        return any(os.path.realpath(repository.common) == common for repository in around)

    def enter(self, rules: IgnoreRules, path: bytes, descriptor: int, names: Collection[bytes]) -> IgnoreRules:
        """Return the rules for the children of the open directory ``path``, which holds ``names``.

        ``rules`` are those of its parent; of the root, its own. Raises OSError.
        """
        if not path:
            return rules  # they contain the root's own files from the start
        files = {name: read_ignore_file(descriptor, name) for name in IGNORE_FILES if name in names}
        scan = self._scan
        excludes = tracked = None
        if b".git" in names and (nested := Repository.at(scan.root_path / os.fsdecode(path), scan.read)):
            excludes = exclude_sources(nested, scan.git_home, scan.read)
            tracked = self.tracked[path] = _tracked_in(nested, scan.git_home, scan.read, top=path)
            if (place := _relative_to(scan.root_path, nested.common)) is not None:
                self._findings.watched += [place, place + b"/info", *_directories_above(place)]
        return rules.enter(path, files, excludes, tracked, names=names)


def root_rules(
    root: int,
    rules_with_git: Callable[..., IgnoreRules],
    git: GitRules,
) -> IgnoreRules:
    """Return the rules of the root itself. Raises OSError if its ignore files cannot be read now."""
    rules = rules_with_git(exclude_sources=git.sources, above=git.above, tracked=git.tracked)
    files = {name: read_ignore_file(root, name) for name in IGNORE_FILES}
    return rules.enter(ROOT, files, names={name for name in _DECISIVE if _exists(root, name)})


def git_rules(root_path: Path, git_home: GitHome, read: ReadRuleFile) -> GitRules:
    """Return git's rules from outside the root: its exclude files, and the ignore files above the root."""
    repository = Repository.at(root_path, read)
    if repository is not None:
        sources = exclude_sources(repository, git_home, read)
        return GitRules(sources, tracked=_tracked_in(repository, git_home, read))
    repository = Repository.around(root_path, read)
    sources = exclude_sources(repository, git_home, read)
    if repository is None:
        return GitRules(sources)
    above = os.fsencode(root_path.relative_to(repository.top)) + b"/"
    tracked = _tracked_in(repository, git_home, read, above=above)
    if _is_ignored(root_path, repository.top, sources, read):
        return GitRules([], tracked=tracked)  # the user asked for an ignored directory: git's rules do not apply inside
    return GitRules(sources, _ignore_files_above(root_path, repository.top, read), tracked)


def _tracked_in(
    repository: Repository, git_home: GitHome, read: ReadRuleFile, *, top: bytes = b"", above: bytes = b""
) -> TrackedFiles:
    """Return what git tracks in a repository, and have changes of its index noticed."""
    read(repository.git_dir / "index", hint=join(top, INDEX))
    return TrackedFiles(
        repository.git_dir,
        repository.common,
        lambda: object_id_bytes(repository, git_home, read_bounded),
        top=top,
        above=above,
    )


def read_ignore_file(directory: int, name: bytes) -> bytes:
    """Return the content of an ignore file; empty if it is no regular file or may not be read.

    Like git, this follows no symbolic link. Raises OSError if the file should be readable and is not now: without it,
    what it ignores would be indexed.
    """
    try:
        with opened(os.open(name, OPEN_FILE, dir_fd=directory)) as descriptor:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return b""
            return os.read(descriptor, _MOST_IGNORE_BYTES)
    except OSError as error:
        if error.errno in _NOT_NOW:
            raise
        return b""


def _ignore_files_above(root: Path, top: Path, read: ReadRuleFile) -> list[tuple[str, bytes, bytes]]:
    """Return git's ignore files above a root inside a repository, the nearest first."""
    found: list[tuple[str, bytes, bytes]] = []
    for parent in root.parents:
        content = _gitignore_of(parent, read)
        shown = "../" * len(root.relative_to(parent).parts) + ".gitignore"
        found.append((shown, content, os.fsencode(root.relative_to(parent)) + b"/"))
        if parent == top:
            break
    return found


def _gitignore_of(directory: Path, read: ReadRuleFile) -> bytes:
    """Return the content of a .gitignore above the root; empty if there is none, or a link, which git ignores too."""
    return read(directory / ".gitignore", follow=False) or b""


def _is_ignored(root: Path, top: Path, sources: Sequence[Source], read: ReadRuleFile) -> bool:
    """Return True if git ignores the whole root."""
    rules = IgnoreRules.for_root(exclude_sources=sources, hidden=True, defaults=False)
    path, place = b"", top
    for part in root.relative_to(top).parts:
        content = _gitignore_of(place, read)
        rules = rules.enter(path, {b".gitignore": content} if content else {})
        path, place = (path + b"/" if path else b"") + os.fsencode(part), place / part
        verdict = rules.verdict(path, is_dir=True)
        if verdict is not None and verdict.reason == "ignored":
            return True
    return False


def _exists(directory: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False
    return True


def _directories_above(path: bytes) -> Iterator[bytes]:
    """Yield the directories between ``path`` and the root, nearest first; watching them shows a replacement."""
    while path := parent_of(path):
        yield path


def _relative_to(root: Path, place: Path) -> bytes | None:
    """Return ``place`` relative to the root; None if it lies outside."""
    path = os.path.normpath(place)
    return os.fsencode(os.path.relpath(path, root)) if path.startswith(f"{root}/") else None

"""The scanner of one root: hints in, a tree of what is on the disk out."""

from __future__ import annotations

import errno
import functools
import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from codeindexd.errors import PathRefusedError
from codeindexd.scan.git_excludes import GitHome, Repository, exclude_sources
from codeindexd.scan.hashing import Group, Hasher, opened
from codeindexd.scan.ignore import IGNORE_FILES, IgnoreRules, Source, Verdict
from codeindexd.scan.merkle import Tree, node_hash
from codeindexd.scan.relpath import collapse, name_of, parent_of
from codeindexd.scan.rule_files import Notes, Read, RuleFiles, read_bounded
from codeindexd.scan.safe_read import OPEN_DIRECTORY, file_stat, open_directory
from codeindexd.scan.walk import OVERSIZED, SPECIAL, UNREADABLE, Walk, read_ignore_file, skipped
from codeindexd.types import Entry, NodeKind, TreeSource

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES})  # nothing to be asked about in there
_MARKER_FILES = frozenset({b"pyvenv.cfg", b"CACHEDIR.TAG"})
_LINK = Verdict(True, "symlink", "symbolic links are not followed")


@dataclass(frozen=True, slots=True)
class ScanStats:
    """How much a scan looked at: leaves met, files hashed, bytes read, seconds taken."""

    files: int = 0
    hashed: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Scan:
    """What is on the disk at and below the paths ``below``.

    ``below`` are the hints as they were followed: widened to the directory whose rules changed, to the topmost new
    or vanished directory, to an ignored one. Give them to ``diff``. ``tree`` covers exactly these paths.
    ``directories`` are those to be watched: walked ones, and those whose files decide what is ignored. ``errors`` are
    (path, message); what could not be read is in the tree as it was known. ``unsettled`` has to be looked at again in a
    moment. ``linked`` are (device, inode) of the files with more than one name. ``rule_files`` are those that the rules
    rest on and that no event of the root tells of, as they were found.
    """

    tree: Tree
    below: tuple[bytes, ...]
    directories: list[bytes] = field(default_factory=list)
    errors: list[tuple[bytes, str]] = field(default_factory=list)
    unsettled: list[bytes] = field(default_factory=list)
    linked: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    rule_files: RuleFiles = field(default_factory=RuleFiles)
    stats: ScanStats = field(default_factory=ScanStats)


def _never() -> bool:
    return False


class Scanner:
    """Scans one root. Holds no state between scans, so one object may be used from several threads.

    ``include``, ``exclude``, ``hidden``, ``gitignore`` and ``defaults`` are as in ``IgnoreRules.for_root``. Files
    over ``max_file_bytes`` are left out. Mounted file systems inside the root are part of it.
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
        max_file_bytes: int = 2 << 20,
        threads: int = 8,
        git_home: GitHome | None = None,
    ) -> None:
        self._root = root
        self._rules_before_git = functools.partial(
            IgnoreRules.for_root,
            include=tuple(include),
            exclude=tuple(exclude),
            hidden=hidden,
            gitignore=gitignore,
            defaults=defaults,
        )
        self._max_file_bytes = max_file_bytes
        self._threads = threads
        self._git_home = git_home or GitHome.from_environment(os.environ)

    def scan(
        self,
        below: Sequence[bytes],
        known: TreeSource,
        *,
        now_ns: int,
        should_stop: Callable[[], bool] = _never,
    ) -> Scan:
        """Look at the disk at and below ``below`` (``b""`` is everything); blocking.

        ``known`` is the tree of last time: files with an unchanged stat are not read and keep their entry, the very
        same object. ``now_ns`` is a time not after the start of this call. Raises PathRefusedError when the root is
        no directory (any more), ShuttingDownError when ``should_stop`` says so.
        """
        started = time.perf_counter()
        notes = Notes(self._root)
        with opened(self._open_root()) as root:
            walk = Walk(self._root, root, known, self._max_file_bytes, self._git_home, notes.read, should_stop)
            rules = _RulesByDirectory(walk, self._root_rules(root, notes.read))
            found = (_target_if_told(hint, walk, rules) for hint in sorted(collapse(below)))
            targets = tuple(sorted(collapse(target for target in found if target is not None)))
            tops = {target: entry for target in targets if (entry := self._look(target, walk, rules)) is not None}
            hasher = Hasher(
                root,
                max_file_bytes=self._max_file_bytes,
                threads=self._threads,
                now_ns=now_ns,
                oversized=lambda path: skipped(path, OVERSIZED, None),
            )
            hashed = read_bytes = 0
            for result in hasher.run(walk.pending, should_stop):
                hashed += 1
                read_bytes += result.read_bytes
                entry = result.entry
                if result.error:
                    walk.errors.append((result.path, result.error))
                    entry = entry or skipped(result.path, UNREADABLE, None)
                if result.restatted:
                    walk.restatted.add(parent_of(result.path))
                if entry is not None:
                    _settle(entry, walk, tops)
                if result.unsettled:
                    walk.unsettled.append(result.path)
        tree = _finished(walk, tops, targets)
        stats = ScanStats(walk.files, hashed, read_bytes, time.perf_counter() - started)
        directories = [*(path for path, _ in walk.directories), *walk.watched]
        errors, unsettled = sorted(walk.errors), sorted(set(walk.unsettled))
        return Scan(tree, targets, directories, errors, unsettled, walk.linked, notes.files, stats)

    @property
    def rule_files(self) -> RuleFiles:
        """What the rules for the whole root rest on and no event of the root tells of, as it is now; blocking."""
        notes = Notes(self._root)
        self._git_rules(notes.read)
        return notes.files

    def explain(self, path: bytes) -> Verdict | None:
        """Why ``path`` is not indexed, found by walking down from the root; None when no rule stands against it.

        A path that does not exist is judged as a file of that name. Raises PathRefusedError as ``scan`` does.
        """
        with opened(self._open_root()) as root:
            walk = Walk(self._root, root, Tree({}, {}), self._max_file_bytes, self._git_home, read_bounded, _never)
            rules = _RulesByDirectory(walk, self._root_rules(root, read_bounded))
            for end in [at for at in range(len(path) + 1) if path and path[at : at + 1] in (b"/", b"")]:
                current, form = path[:end], _form(root, path[:end])
                parent = rules.of(parent_of(current))
                is_dir = stat.S_ISDIR(form.st_mode) if form is not None else end < len(path)
                verdict = parent.judge(current[current.rfind(b"/") + 1 :], current, is_dir)
                if verdict is None and form is not None:
                    verdict = self._explained_by_form(root, current, form, parent)
                if verdict is not None or not is_dir:
                    return verdict
        return None

    def _explained_by_form(self, root: int, path: bytes, form: os.stat_result, rules: IgnoreRules) -> Verdict | None:
        if stat.S_ISLNK(form.st_mode):
            return _LINK
        try:
            if stat.S_ISDIR(form.st_mode):
                with opened(open_directory(root, path)) as descriptor, os.scandir(descriptor) as listing:
                    return rules.marked(path, {os.fsencode(item.name) for item in listing})
        except OSError:
            return UNREADABLE
        if not stat.S_ISREG(form.st_mode):
            return SPECIAL
        return OVERSIZED if form.st_size > self._max_file_bytes else None

    def _open_root(self) -> int:
        try:
            return os.open(self._root, OPEN_DIRECTORY)
        except OSError as error:
            exhausted = error.errno in (errno.EMFILE, errno.ENFILE)
            hint = "Raise the limit of open files." if exhausted else "Is the directory there and readable?"
            raise PathRefusedError(f"{self._root} cannot be scanned: {error.strerror}", hint=hint) from error

    def _root_rules(self, root: int, read: Read) -> IgnoreRules:
        sources, above = self._git_rules(read)
        rules = self._rules_before_git(exclude_sources=sources, above=above)
        return rules.enter(b"", {name: read_ignore_file(root, name) for name in IGNORE_FILES})

    def _git_rules(self, read: Read) -> tuple[list[Source], list[tuple[str, bytes, bytes]]]:
        """git's rules from elsewhere: its exclude files, and the ignore files above the root."""
        repository = Repository.at(self._root, read)
        if repository is not None or (repository := Repository.around(self._root, read)) is None:
            return exclude_sources(repository, self._git_home, read), []
        sources = exclude_sources(repository, self._git_home, read)
        if _is_ignored(self._root, repository.top, sources, read):
            return [], []  # asked for in spite of git's rules: they count for nothing inside
        return sources, _files_above(self._root, repository.top, read)

    def _look(self, target: bytes, walk: Walk, rules: _RulesByDirectory) -> Entry | None:
        """The entry at ``target``; None when it is gone, was walked, or is waiting to be hashed."""
        known = walk.known.node(target)
        if not target:
            return walk.directory(target, rules.root, known)
        name = target[target.rfind(b"/") + 1 :]
        try:
            parent = rules.of(parent_of(target))
            with opened(open_directory(walk.root, parent_of(target))) as descriptor:
                stat_of = functools.partial(os.stat, name, dir_fd=descriptor)
                form = stat_of(follow_symlinks=False)
                is_dir = stat.S_ISDIR(form.st_mode)
                if (verdict := parent.judge(name, target, is_dir)) is not None:
                    return skipped(target, verdict, known)
                walk.files += not is_dir
                if stat.S_ISREG(form.st_mode):
                    group = Group(parent_of(target))
                    entry = walk.file(target, stat_of, known, group)
                    walk.pending += [group] if group.files else []
                    return entry
                if not is_dir:
                    return walk.other(descriptor, name, target, known, is_link=stat.S_ISLNK(form.st_mode))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            walk.errors.append((target, error.strerror or str(error)))
            return walk.keep(target, known)
        return walk.directory(target, parent, known)


class _RulesByDirectory:
    """The rules for the children of any directory below the root, read once a scan."""

    def __init__(self, walk: Walk, root_rules: IgnoreRules) -> None:
        self._walk = walk
        self.root = root_rules
        self._known: dict[bytes, IgnoreRules] = {b"": root_rules}

    def of(self, directory: bytes) -> IgnoreRules:
        found = self._known.get(directory)
        if found is None:
            found = self.of(parent_of(directory))
            try:
                with opened(open_directory(self._walk.root, directory)) as descriptor:
                    names = {name for name in (*IGNORE_FILES, b".git") if _exists(descriptor, name)}
                    found = self._walk.entered(found, directory, descriptor, names)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise  # without the rules in there what is ignored would be indexed
            self._known[directory] = found
        return found


def _target_if_told(hint: bytes, walk: Walk, rules: _RulesByDirectory) -> bytes | None:
    """The path to look at for a hint; None also when the rules that apply there cannot be read, which is an error."""
    try:
        target = _target(hint, walk, rules)
        return parent_of(target) if target and _has_another_name(walk.root, target) else target
    except OSError as error:
        walk.errors.append((hint, error.strerror or str(error)))
        return None


def _target(hint: bytes, walk: Walk, rules: _RulesByDirectory) -> bytes | None:
    """The path to look at for a hint, or None when it cannot matter."""
    hint_or_none = _without_administration(hint, walk)
    if not hint_or_none:
        return hint_or_none
    parts = hint_or_none.split(b"/")
    current = b""
    for number, name in enumerate(parts, 1):
        parent, current = current, current + b"/" + name if current else name
        form = _form(walk.root, current)
        if form is None or number == len(parts) or not stat.S_ISDIR(form.st_mode):
            return current
        known = walk.known.node(current)
        if known is None or known.kind is not NodeKind.DIRECTORY or rules.of(parent).judge(name, current, True):
            return current
    return current


def _has_another_name(root: int, path: bytes) -> bool:
    """Whether what is found at ``path`` is called otherwise: where case is folded, it was renamed, or asked for so."""
    name = os.fsdecode(path[path.rfind(b"/") + 1 :])
    other = name.swapcase()
    if other == name:
        return False
    try:
        with opened(open_directory(root, parent_of(path))) as directory:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            folded = os.stat(other, dir_fd=directory, follow_symlinks=False)
            return os.path.samestat(found, folded) and name not in os.listdir(directory)  # noqa: PTH208
    except OSError:
        return False


def _without_administration(hint: bytes, walk: Walk) -> bytes | None:
    """A file that holds rules stands for its directory; git's own files for nothing else."""
    parts = hint.split(b"/")
    if b".git" in parts:
        at = parts.index(b".git")
        inside = parts[at + 1 :]
        return b"/".join(parts[:at]) if inside in ([], [b"info"], [b"info", b"exclude"]) else None
    if parts[-1] in _MARKER_FILES:
        return parent_of(hint)
    if parts[-1] in IGNORE_FILES:
        known, form = walk.known.node(hint), _form(walk.root, hint)
        if known is None or form is None or known.stat != file_stat(form):
            return parent_of(hint)
    return hint


def _form(root: int, path: bytes) -> os.stat_result | None:
    """The lstat of a path below the root, no link on the way followed; None when it cannot be had."""
    try:
        with opened(open_directory(root, parent_of(path))) as descriptor:
            return os.stat(path[path.rfind(b"/") + 1 :], dir_fd=descriptor, follow_symlinks=False)
    except OSError:
        return None


def _exists(directory: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False
    return True


def _files_above(root: Path, top: Path, read: Read) -> list[tuple[str, bytes, bytes]]:
    """git's ignore files above a root inside a repository, the nearest first."""
    found: list[tuple[str, bytes, bytes]] = []
    for parent in root.parents:
        content = _gitignore_of(parent, read)
        shown = "../" * len(root.relative_to(parent).parts) + ".gitignore"
        found.append((shown, content, os.fsencode(root.relative_to(parent)) + b"/"))
        if parent == top:
            break
    return found


def _gitignore_of(directory: Path, read: Read) -> bytes:
    """The content of a .gitignore above the root; empty when there is none, or a symbolic link as for git."""
    return read(directory / ".gitignore", follow=False) or b""


def _is_ignored(root: Path, top: Path, sources: Sequence[Source], read: Read) -> bool:
    """Whether git leaves out the whole root: then the user asked for it in spite of that."""
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


def _settle(entry: Entry, walk: Walk, tops: dict[bytes, Entry]) -> None:
    """Put a hashed file in its place."""
    siblings = walk.children.get(parent_of(entry.path))
    if siblings is None:
        tops[entry.path] = entry
    else:
        siblings[entry.path[entry.path.rfind(b"/") + 1 :]] = entry


def _finished(walk: Walk, tops: dict[bytes, Entry], targets: Iterable[bytes]) -> Tree:
    """The tree with the hashes of the walked directories, computed bottom-up."""
    top_paths = frozenset(targets)
    for path, known in reversed(walk.directories):
        inside = walk.children[path]
        digest = node_hash(inside.values())
        same = known is not None and known.hash == digest and known.kind is NodeKind.DIRECTORY
        entry = known if same and known is not None else Entry(path, NodeKind.DIRECTORY, digest)
        if path in walk.restatted:
            walk.restatted.add(parent_of(path))
        if path in top_paths:
            tops[path] = entry
        else:
            walk.children[parent_of(path)][name_of(path)] = entry
    return Tree(tops, walk.children, restatted=walk.restatted)

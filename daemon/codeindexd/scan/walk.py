"""Walking directories below a root: what is there, what the rules leave out, what has to be hashed."""

from __future__ import annotations

import errno
import functools
import os
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from codeindexd.errors import EXHAUSTED, ShuttingDownError
from codeindexd.scan.git_excludes import GitHome, Repository, exclude_sources
from codeindexd.scan.hashing import OPEN_FILE, Group, opened
from codeindexd.scan.ignore import IGNORE_FILES, IgnoreRules, Verdict
from codeindexd.scan.merkle import leaf_hash, skipped_hash, subtree
from codeindexd.scan.relpath import parent_of
from codeindexd.scan.rule_files import Read
from codeindexd.scan.safe_read import OPEN_DIRECTORY, file_stat, open_directory
from codeindexd.types import Entry, NodeKind, TreeSource

_MOST_OPEN = 64  # directories of one descent held open; those further up are opened anew for their next child
_MOST_IGNORE_BYTES = 8 << 20
_NOT_NOW = frozenset({errno.EIO, *EXHAUSTED})

_encoded = functools.partial(str.encode, encoding=sys.getfilesystemencoding(), errors=sys.getfilesystemencodeerrors())

Stat = Callable[..., os.stat_result]

SPECIAL = Verdict(True, "special", "no regular file, directory or symbolic link")
OVERSIZED = Verdict(True, "oversized", "index.max_file_bytes")
UNREADABLE = Verdict(True, "unreadable", "cannot be read")


@dataclass(slots=True)
class _Frame:
    path: bytes
    descriptor: int | None
    rules: IgnoreRules
    waiting: list[tuple[bytes, Entry | None]]

    def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


@dataclass(slots=True)
class Walk:
    """One walk and what it found; ``children`` lacks the files of ``pending`` and the directories themselves.

    ``directories`` lists what was walked, parents first, with the entry known so far. ``restatted`` are directories
    with a leaf of equal content under another stat or rule. ``watched`` are directories that were not walked and yet
    hold what decides about others: the mark that leaves one out, the rules of a nested repository. ``linked`` are files
    with more than one name.
    """

    root_path: Path
    root: int
    known: TreeSource
    max_file_bytes: int
    git_home: GitHome
    read: Read
    should_stop: Callable[[], bool]
    children: dict[bytes, dict[bytes, Entry]] = field(default_factory=dict)
    directories: list[tuple[bytes, Entry | None]] = field(default_factory=list)
    pending: list[Group] = field(default_factory=list)
    errors: list[tuple[bytes, str]] = field(default_factory=list)
    unsettled: list[bytes] = field(default_factory=list)
    restatted: set[bytes] = field(default_factory=set)
    watched: list[bytes] = field(default_factory=list)
    linked: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    files: int = 0

    def directory(self, path: bytes, rules: IgnoreRules, known: Entry | None) -> Entry | None:
        """Walk ``path``; ``rules`` are those of its parent (of the root: its own).

        Returns an entry when the directory is a leaf or kept as it was, None when it was walked or is gone.
        """
        try:
            descriptor = open_directory(self.root, path)
        except OSError as error:
            return self._not_opened(path, known, error)
        stack: list[_Frame] = []
        try:
            top, entry = self._list(path, descriptor, rules, known)
            stack += [top] if top else []
            while stack:
                frame = stack[-1]
                if frame.waiting:
                    self._descend(frame, stack)
                else:
                    stack.pop().close()
        finally:
            for frame in stack:
                frame.close()
        return entry

    def _descend(self, frame: _Frame, stack: list[_Frame]) -> None:
        path, known = frame.waiting.pop()
        name = path[path.rfind(b"/") + 1 :]
        entry: Entry | None
        try:
            if frame.descriptor is None:
                descriptor = open_directory(self.root, path)
            else:
                descriptor = os.open(name, OPEN_DIRECTORY, dir_fd=frame.descriptor)
        except OSError as error:
            entry = self._not_opened(path, known, error)
        else:
            below, entry = self._list(path, descriptor, frame.rules, known)
            stack += [below] if below else []
            if len(stack) > _MOST_OPEN:
                stack[-_MOST_OPEN - 1].close()
        if entry is not None:
            self.children[frame.path][name] = entry

    def _list(
        self, path: bytes, descriptor: int, rules: IgnoreRules, known: Entry | None
    ) -> tuple[_Frame | None, Entry | None]:
        """List one directory. Takes over the descriptor; gives a frame when its subdirectories are to be walked."""
        if self.should_stop():
            os.close(descriptor)
            raise ShuttingDownError("the scan was stopped")
        keep = False
        try:
            with os.scandir(descriptor) as listing:
                items = list(listing)
            names = _encoded("/".join([item.name for item in items])).split(b"/") if items else []
            if (marked := rules.marked(path, names)) is not None:
                self.watched.append(path)
                return None, skipped(path, marked, known)
            rules = self.entered(rules, path, descriptor, names)
            waiting = self._place(path, descriptor, rules, names, items)
            self.directories.append((path, known))
            keep = bool(waiting)
            return _Frame(path, descriptor if keep else None, rules, waiting), None
        except OSError as error:
            return None, self._not_opened(path, known, error)
        finally:
            if not keep:
                os.close(descriptor)

    def _place(
        self,
        path: bytes,
        descriptor: int,
        rules: IgnoreRules,
        names: Sequence[bytes],
        items: Sequence[os.DirEntry[str]],
    ) -> list[tuple[bytes, Entry | None]]:
        """Put the leaves of one directory in their place and return its directories that are to be walked."""
        prefix = path + b"/" if path else b""
        old = self.known.children(path)
        kept: dict[bytes, Entry] = {}
        waiting: list[tuple[bytes, Entry | None]] = []
        group = Group(path)
        suspects = rules.suspects(path, names) if names else ()
        entry: Entry | None
        for name, item in zip(names, items, strict=True):
            known = old.get(name)
            place = known.path if known is not None else prefix + name
            is_file = item.is_file(follow_symlinks=False)
            is_dir = not is_file and item.is_dir(follow_symlinks=False)
            if (is_dir or name in suspects) and (verdict := rules.judge(name, place, is_dir)) is not None:
                entry = skipped(place, verdict, known)
                if known is not None and entry is not known and entry.hash == known.hash:
                    self.restatted.add(path)
            elif is_file:
                entry = self.file(place, item.stat, known, group)
            elif is_dir:
                waiting.append((place, known))
                continue
            else:
                entry = self.other(descriptor, name, place, known, is_link=item.is_symlink())
            if entry is not None:
                kept[name] = entry
        self.files += len(names) - len(waiting)
        self.children[path] = kept
        if group.files:
            self.pending.append(group)
        return waiting

    def file(self, path: bytes, stat_of: Stat, known: Entry | None, group: Group) -> Entry | None:
        """The entry of a regular file when that needs no look at its content; else it joins ``group``."""
        try:
            found = stat_of(follow_symlinks=False)
        except OSError:  # the attempt to read it will say what is wrong
            group.files.append((path, known, None))
            return None
        if found.st_nlink > 1:
            self.linked[path] = (found.st_dev, found.st_ino)
        if found.st_size > self.max_file_bytes:
            return skipped(path, OVERSIZED, known)
        if (
            known is not None
            and (gate := known.stat) is not None
            and gate.mtime_ns == found.st_mtime_ns
            and gate.ctime_ns == found.st_ctime_ns
            and gate.size == found.st_size
            and gate.inode == found.st_ino
            and known.kind is NodeKind.FILE
        ):
            return known
        group.files.append((path, known, file_stat(found)))
        return None

    def other(self, directory: int, name: bytes, path: bytes, known: Entry | None, *, is_link: bool) -> Entry | None:
        """The entry of a symbolic link or of something that has no content; None when it is gone."""
        if not is_link:
            return skipped(path, SPECIAL, known)
        try:
            digest = leaf_hash(os.readlink(name, dir_fd=directory))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:  # no link any more
                self.unsettled.append(path)
                return known
            self.errors.append((path, error.strerror or str(error)))
            return known or skipped(path, UNREADABLE, None)
        if known is not None and known.kind is NodeKind.SYMLINK and known.hash == digest:
            return known
        return Entry(path, NodeKind.SYMLINK, digest)

    def entered(self, rules: IgnoreRules, path: bytes, descriptor: int, names: Collection[bytes]) -> IgnoreRules:
        """The rules for the children of a directory that holds ``names``.

        ``rules`` are those of its parent (of the root: its own).
        """
        if not path:
            return rules  # the root's own files are among them from the start
        files = {name: read_ignore_file(descriptor, name) for name in IGNORE_FILES if name in names}
        repository = None
        if b".git" in names and (nested := Repository.at(self.root_path / os.fsdecode(path), self.read)):
            repository = exclude_sources(nested, self.git_home, self.read)
            if (place := _below(self.root_path, nested.common)) is not None:
                self.watched += [place, place + b"/info", *_above(place)]
        return rules.enter(path, files, repository)

    def _not_opened(self, path: bytes, known: Entry | None, error: OSError) -> Entry | None:
        if error.errno == errno.ENOENT and path:
            return None
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and path:  # replaced by something else a moment ago
            self.unsettled.append(path)
            if known is None:
                return None
        else:
            self.errors.append((path, error.strerror or str(error)))
        return self.keep(path, known)

    def keep(self, path: bytes, known: Entry | None) -> Entry:
        """What was known about ``path`` stays: with all that is below it when it was a directory."""
        if known is None:
            return skipped(path, UNREADABLE, None)
        for entry in subtree(self.known, known):
            if entry.kind is NodeKind.DIRECTORY:
                self.children[entry.path] = dict(self.known.children(entry.path))
        return known


def _above(path: bytes) -> Iterator[bytes]:
    """Every directory above ``path`` but the root: who watches a directory has to watch those, too."""
    while path := parent_of(path):
        yield path


def _below(root: Path, place: Path) -> bytes | None:
    """``place`` relative to the root; None when it lies outside."""
    path = os.path.normpath(place)
    return os.fsencode(os.path.relpath(path, root)) if path.startswith(f"{root}/") else None


def skipped(path: bytes, verdict: Verdict, known: Entry | None) -> Entry:
    """The leaf of something that is left out; the known one where nothing changed."""
    reason, rule = verdict.reason, verdict.rule
    if known is not None and known.kind is NodeKind.SKIPPED and known.reason == reason and known.rule == rule:
        return known
    return Entry(path, NodeKind.SKIPPED, skipped_hash(reason), None, reason, rule)


def read_ignore_file(directory: int, name: bytes) -> bytes:
    """The content of an ignore file; empty when it is no regular file or may not be read.

    Like git, a symbolic link in its place is not followed. Raises OSError when it should be readable and is not now:
    without it, what it ignores would be indexed.
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

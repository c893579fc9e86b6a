"""Walks directories below a root: lists them, applies the ignore rules, and collects the files to hash."""

from __future__ import annotations

import errno
import functools
import os
import stat
import sys
from collections.abc import Callable, Sequence

from msgspec import Struct

from codeindexd.errors import ShuttingDownError
from codeindexd.scan.directory_rules import DirectoryRules
from codeindexd.scan.findings import SPECIAL, UNREADABLE, Findings, ScanInput, skipped
from codeindexd.scan.hashing import FileGroup
from codeindexd.scan.ignore import IgnoreRules
from codeindexd.scan.merkle import leaf_hash
from codeindexd.scan.relpath import name_of, parent_of
from codeindexd.scan.safe_read import OPEN_DIRECTORY, closing_descriptor, file_stat, open_directory
from codeindexd.types import Entry, NodeKind

_MOST_OPEN = 64  # directories on the way down that stay open; those further up are reopened for their next child

_encoded = functools.partial(str.encode, encoding=sys.getfilesystemencoding(), errors=sys.getfilesystemencodeerrors())

Stat = Callable[..., os.stat_result]


class _Frame(Struct):
    """A listed directory, its open descriptor if any, and the (path, known entry) of subdirectories still to walk."""

    path: bytes
    descriptor: int | None
    rules: IgnoreRules
    waiting: list[tuple[bytes, Entry | None]]

    def close(self) -> None:
        """Close the descriptor, if it is open."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


class Walk:
    """Visits targets, walks those that are directories, and adds what it finds to ``findings``."""

    def __init__(self, scan: ScanInput, rules: DirectoryRules, findings: Findings) -> None:
        self._scan = scan
        self._rules = rules
        self._found = findings
        self._limits = scan.size_limits

    def visit(self, target: bytes) -> None:
        """Add the entry at ``target`` to the findings, or walk it if it is a directory.

        Errors become findings. Raises ShuttingDownError if the scan should stop.
        """
        if (entry := self._visit(target)) is not None:
            self._found.tops[target] = entry

    def _visit(self, target: bytes) -> Entry | None:
        """Return the entry at ``target``; None if it is gone, was walked, or has yet to be hashed."""
        scan, found = self._scan, self._found
        known = scan.known.node(target)
        if not target:
            return self._walk_directory(target, self._rules.root, known)
        name = name_of(target)
        try:
            parent = self._rules.of(parent_of(target))
            with closing_descriptor(open_directory(scan.root, parent_of(target))) as descriptor:
                stat_of = functools.partial(os.stat, name, dir_fd=descriptor)
                status = stat_of(follow_symlinks=False)
                is_dir = stat.S_ISDIR(status.st_mode)
                if (verdict := parent.judge(name, target, is_dir)) is not None:
                    return skipped(target, verdict, known)
                found.leaves += not is_dir
                if stat.S_ISREG(status.st_mode):
                    group = FileGroup(parent_of(target))
                    entry = self._check_file(target, stat_of, known, group)
                    found.to_hash += [group] if group.files else []
                    return entry
                if not is_dir:
                    is_link = stat.S_ISLNK(status.st_mode)
                    return self._link_or_special(descriptor, name, target, known, is_link=is_link)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            found.add_error(target, error)
            return found.keep(scan.known, target, known)
        return self._walk_directory(target, parent, known)

    def _walk_directory(self, path: bytes, rules: IgnoreRules, known: Entry | None) -> Entry | None:
        """Walk ``path``. ``rules`` are those of its parent; for the root, its own.

        Returns the entry to store if the directory is left out for its content or cannot be read (then its known
        entry), None if it was walked or is gone.
        """
        try:
            descriptor = open_directory(self._scan.root, path)
        except OSError as error:
            return self._not_opened(path, known, error)
        stack: list[_Frame] = []
        try:
            top, entry = self._list(path, descriptor, rules, known)
            stack += [top] if top else []
            while stack:
                frame = stack[-1]
                if frame.waiting and self._is_full():
                    self._found.is_cut = True
                    break
                if frame.waiting:
                    self._descend(frame, stack)
                else:
                    stack.pop().close()
        finally:
            for frame in stack:
                frame.close()
        return entry

    def _is_full(self) -> bool:
        return self._scan.most_leaves is not None and self._found.leaves >= self._scan.most_leaves

    def _descend(self, frame: _Frame, stack: list[_Frame]) -> None:
        """List the next subdirectory of ``frame``, and push it onto the stack. Closes descriptors beyond a limit."""
        path, known = frame.waiting.pop()
        name = name_of(path)
        entry: Entry | None
        try:
            if frame.descriptor is None:
                descriptor = open_directory(self._scan.root, path)
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
            self._found.children[frame.path][name] = entry

    def _list(
        self, path: bytes, descriptor: int, rules: IgnoreRules, known: Entry | None
    ) -> tuple[_Frame | None, Entry | None]:
        """List one directory, taking ownership of its descriptor, and record its entries.

        Returns a frame if the directory was recorded, and otherwise the entry to store for it, if there is one.
        """
        if self._scan.should_stop():
            os.close(descriptor)
            raise ShuttingDownError("the scan was stopped")
        keep = False
        try:
            if (marked := self._rules.device_verdict(os.fstat(descriptor).st_dev)) is not None:
                return None, skipped(path, marked, known)
            with os.scandir(descriptor) as listing:
                items = list(listing)
            names = _encoded("/".join([item.name for item in items])).split(b"/") if items else []
            if (marked := self._rules.content_verdict(rules, path, names)) is not None:
                self._found.watched.append(path)
                return None, skipped(path, marked, known)
            rules = self._rules.enter(rules, path, descriptor, names)
            waiting = self._record_entries(path, descriptor, rules, names, items)
            self._found.directories.append((path, known))
            keep = bool(waiting)
            return _Frame(path, descriptor if keep else None, rules, waiting), None
        except OSError as error:
            return None, self._not_opened(path, known, error)
        finally:
            if not keep:
                os.close(descriptor)

    def _record_entries(
        self,
        path: bytes,
        descriptor: int,
        rules: IgnoreRules,
        names: Sequence[bytes],
        items: Sequence[os.DirEntry[str]],
    ) -> list[tuple[bytes, Entry | None]]:
        """Record the leaves of one directory and return the (path, known entry) of the subdirectories to walk."""
        prefix = path + b"/" if path else b""
        found = self._found
        old = self._scan.known.children(path)
        kept: dict[bytes, Entry] = {}
        waiting: list[tuple[bytes, Entry | None]] = []
        group = FileGroup(path)
        suspects = rules.suspects(path, names) if names else ()
        entry: Entry | None
        for name, item in zip(names, items, strict=True):
            known = old.get(name)
            child = known.path if known is not None else prefix + name
            is_file = item.is_file(follow_symlinks=False)
            is_dir = not is_file and item.is_dir(follow_symlinks=False)
            if (is_dir or name in suspects) and (verdict := rules.judge(name, child, is_dir)) is not None:
                entry = skipped(child, verdict, known)
                if known is not None and entry is not known and entry.hash == known.hash:
                    found.restatted.add(path)
            elif is_file:
                entry = self._check_file(child, item.stat, known, group)
            elif is_dir:
                waiting.append((child, known))
                continue
            else:
                entry = self._link_or_special(descriptor, name, child, known, is_link=item.is_symlink())
            if entry is not None:
                kept[name] = entry
        found.leaves += len(names) - len(waiting)
        found.children[path] = kept
        if group.files:
            found.to_hash.append(group)
        return waiting

    def _check_file(self, path: bytes, stat_of: Stat, known: Entry | None, group: FileGroup) -> Entry | None:
        """Return the entry of a regular file if its content need not be read; else add it to ``group``, return None."""
        try:
            found = stat_of(follow_symlinks=False)
        except OSError:  # reading it will report what is wrong
            group.files.append((path, known, None))
            return None
        if found.st_nlink > 1:
            self._found.linked[path] = (found.st_dev, found.st_ino)
        if found.st_size > self._limits.file_bytes and found.st_size > self._limits.of(path):
            return skipped(path, self._limits.verdict(path), known)
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

    def _link_or_special(
        self, directory: int, name: bytes, path: bytes, known: Entry | None, *, is_link: bool
    ) -> Entry | None:
        """Return the entry of a symbolic link or special file ``name`` in an open directory; None if it is gone."""
        if not is_link:
            return skipped(path, SPECIAL, known)
        try:
            digest = leaf_hash(os.readlink(name, dir_fd=directory))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:  # it is no longer a link
                self._found.unsettled.append(path)
                return known
            self._found.add_error(path, error)
            return known or skipped(path, UNREADABLE, None)
        if known is not None and known.kind is NodeKind.SYMLINK and known.hash == digest:
            return known
        return Entry(path, NodeKind.SYMLINK, digest)

    def _not_opened(self, path: bytes, known: Entry | None, error: OSError) -> Entry | None:
        """Record that the directory ``path`` could not be opened or listed, and return the entry to store, if any."""
        if error.errno == errno.ENOENT and path:
            return None
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and path:  # replaced by something else a moment ago
            self._found.unsettled.append(path)
            if known is None:
                return None
        else:
            self._found.add_error(path, error)
        return self._found.keep(self._scan.known, path, known)

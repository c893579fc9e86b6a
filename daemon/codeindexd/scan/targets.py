"""Turns hints into targets: the paths that have to be scanned."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from itertools import pairwise

from codeindexd.scan.directory_rules import DirectoryRules
from codeindexd.scan.findings import Findings, ScanInput
from codeindexd.scan.ignore import IGNORE_FILES, PACKAGE_FILES, VENDOR, VENDOR_CONTENT
from codeindexd.scan.relpath import collapse, join, name_of, parent_of
from codeindexd.scan.rule_files import INDEX
from codeindexd.scan.safe_read import closing_descriptor, file_stat, lstat_beneath, open_directory
from codeindexd.types import NodeKind

_MARKER_FILES = frozenset({b"pyvenv.cfg", b"CACHEDIR.TAG"})


def targets_of(hints: Iterable[bytes], scan: ScanInput, rules: DirectoryRules, findings: Findings) -> tuple[bytes, ...]:
    """Return the paths to scan for ``hints``, sorted, none below another.

    A hint is widened to the directory whose rules it may have changed, to the topmost directory that appeared or
    vanished, or to the topmost ignored directory. A hint whose ignore rules cannot be read becomes an error in
    ``findings``.
    """
    targets = set()
    affected: set[bytes] = set()
    for hint in hints:
        try:
            affected.update(_affected_by(hint, scan, rules))
        except OSError as error:
            findings.add_error(hint, error)
    for hint in sorted(collapse(affected)):
        try:
            target = _target_of(hint, scan, rules)
            if target and _has_another_name(scan.root, target):
                target = parent_of(target)
        except OSError as error:
            findings.add_error(hint, error)
        else:
            if target is not None:
                targets.add(target)
    return tuple(sorted(collapse(targets)))


def _affected_by(hint: bytes, scan: ScanInput, rules: DirectoryRules) -> list[bytes]:
    """Return ``hint`` and other paths whose rules it affects.

    For git's index, returns only the paths about which it decides differently now. Raises OSError if rules cannot be
    read.
    """
    if hint != INDEX and not hint.endswith(b"/" + INDEX):
        beside = join(parent_of(hint), VENDOR)
        return [hint, beside] if name_of(hint) in PACKAGE_FILES and _came_or_went(hint, scan) else [hint]
    top = hint[: -len(INDEX)].rstrip(b"/")
    decided = scan.decided_by_git.get(top)
    if decided is None:
        return []
    rules.of(top)
    tracked = rules.tracked.get(top)
    return tracked.changed(decided) if tracked is not None else []


def _target_of(hint: bytes, scan: ScanInput, rules: DirectoryRules) -> bytes | None:
    """Return the path to scan for a hint; None if nothing needs to be. Raises OSError if rules cannot be read."""
    path = _directory_of_rules(hint, scan)
    if not path:
        return path
    parts = path.split(b"/")
    current = b""
    for number, name in enumerate(parts, 1):
        parent, current = current, current + b"/" + name if current else name
        status = lstat_beneath(scan.root, current)
        if status is None or number == len(parts) or not stat.S_ISDIR(status.st_mode):
            return current
        known = scan.known.node(current)
        if known is None or known.kind is not NodeKind.DIRECTORY or rules.of(parent).judge(name, current, is_dir=True):
            return current
    return current


def _directory_of_rules(hint: bytes, scan: ScanInput) -> bytes | None:
    """Return the directory whose rules a hint may have changed.

    Returns None for paths in ``.git`` without rules, and any other hint unchanged.
    """
    parts = hint.split(b"/")
    if b".git" in parts:
        at = parts.index(b".git")
        inside = parts[at + 1 :]
        return b"/".join(parts[:at]) if inside in ([], [b"info"], [b"info", b"exclude"]) else None
    if parts[-1] in _MARKER_FILES:
        return parent_of(hint)
    for at, (name, child) in enumerate(pairwise(parts), 1):
        if name == VENDOR and child in VENDOR_CONTENT and _came_or_went(b"/".join(parts[: at + 1]), scan):
            return b"/".join(parts[:at])
    if parts[-1] == b".hg" and _came_or_went(hint, scan):
        return parent_of(hint)
    if parts[-1] in IGNORE_FILES:
        # Not the known stat: that may be of a later content, which a worker read and no rules were made of yet.
        applied, status = scan.applied_rules.get(hint), lstat_beneath(scan.root, hint)
        if applied is None or status is None or applied != file_stat(status):
            return parent_of(hint)
    return hint


def _came_or_went(path: bytes, scan: ScanInput) -> bool:
    """Return True if ``path`` was not known before or does not exist now."""
    return scan.known.node(path) is None or lstat_beneath(scan.root, path) is None


def _has_another_name(root: int, path: bytes) -> bool:
    """Return True if the directory lists ``path`` in another letter case, on a case-insensitive file system."""
    name = os.fsdecode(name_of(path))
    other = name.swapcase()
    if other == name:
        return False
    try:
        with closing_descriptor(open_directory(root, parent_of(path))) as directory:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            folded = os.stat(other, dir_fd=directory, follow_symlinks=False)
            return os.path.samestat(found, folded) and name not in os.listdir(directory)  # noqa: PTH208
    except OSError:
        return False

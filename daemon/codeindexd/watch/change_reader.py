"""Sorts changes into hints, cookies and stale watches."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Set
from pathlib import Path

from msgspec import Struct, field
from watchfiles import Change

from codeindexd.scan.relpath import ROOT, join, parent_of
from codeindexd.scan.rule_files import INDEX
from codeindexd.watch.stream import Changes

GIT_DIRECTORIES = (b".git", b".git/info")
_GIT_RULES = (b"info/exclude", b"config", b"config.worktree")
_SUBMODULE = re.compile(rb"modules/(.+/)?config")


class ChangeEffects(Struct):
    """What follows from a set of changes."""

    hints: set[bytes] = field(default_factory=set)
    moved: set[bytes] = field(default_factory=set)  # directories whose watches, and those below, may be stale
    cookies: set[str] = field(default_factory=set)  # names in the cookie directory
    root_gone: bool = False


class ChangeReader:
    """Interprets changes for one root. A change of one of the files ``rules`` (absolute paths) hints the whole root."""

    def __init__(self, root: Path, cookie_dirs: Collection[Path], rules: Collection[str] = ()) -> None:
        self._root = os.fspath(root)
        self._prefix = self._root.rstrip("/") + "/"
        self._cookies = frozenset(os.fspath(place) for place in cookie_dirs)
        self.rules = frozenset(rules)

    def rule_directories(self) -> list[str]:
        """Return the rule files' directories that can be watched now. Blocking.

        Others must be left out: a stream does not start if one of its directories is missing.
        """
        places = sorted({str(Path(file).parent) for file in self.rules})
        return [place for place in places if Path(place).is_dir() and os.access(place, os.R_OK)]

    def is_rule_file(self, path: str) -> bool:
        """Return True if a change of ``path`` hints the whole root."""
        return path in self.rules

    def read(self, changes: Changes, covered: Set[bytes], refused: Set[bytes]) -> ChangeEffects:
        """Return what follows from ``changes``, given the ``covered`` and ``refused`` directories of the coverage.

        A change below a directory that is not covered (macOS) becomes a hint on the highest such directory.
        """
        effects = ChangeEffects()
        for change, path in changes:
            if path in self.rules:
                effects.hints.add(ROOT)
            directory, _, name = path.rpartition("/")
            if path == self._root:
                effects.hints.add(ROOT)
                effects.root_gone |= change == Change.deleted
            elif directory in self._cookies:  # before the root, which may be the user's home
                effects.cookies.add(name)
            elif path.startswith(self._prefix):
                relpath = os.fsencode(path[len(self._prefix) :])
                if relpath in refused or (change != Change.modified and relpath in covered):
                    effects.moved.add(relpath)
                self._add_hints(relpath, change, covered, effects.hints)
        return effects

    def _add_hints(self, path: bytes, change: Change, covered: Set[bytes], hints: set[bytes]) -> None:
        """Add the hints for a change at ``path`` to ``hints``; in ``.git``, only for files that affect ignore rules."""
        before, git, rest = (b"/" + path + b"/").partition(b"/.git/")
        top, inside = before[1:], rest[:-1]
        if not git:
            hints.add(_first_uncovered(path, covered))
        elif inside in _GIT_RULES or inside.endswith(b"/info/exclude") or _SUBMODULE.fullmatch(inside):
            hints.add(ROOT)
        elif inside == b"index":
            hints.add(join(top, INDEX))
        elif inside in (b"", b"info", b"HEAD") and change != Change.modified:  # a repository appears or disappears
            if top:
                hints.add(_first_uncovered(top, covered))
            elif inside != b"HEAD":  # replaced whenever a branch is checked out
                hints.add(ROOT)
        elif top and not inside:  # the pointer of a linked worktree
            hints.add(_first_uncovered(path, covered))


def _first_uncovered(path: bytes, covered: Set[bytes]) -> bytes:
    """Return ``path`` if its parent is covered, else the highest directory above it whose parent is covered."""
    parent = parent_of(path)
    while parent and parent not in covered:
        path, parent = parent, parent_of(parent)
    return path

"""From changes to hints: which are below the root, which are cookies, which make watches stale."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Set
from dataclasses import dataclass, field
from pathlib import Path

from watchfiles import Change

from codeindexd.scan.relpath import ROOT, join, parent_of
from codeindexd.scan.rule_files import INDEX
from codeindexd.watch.stream import Changes

GIT_DIRECTORIES = (b".git", b".git/info")
_GIT_RULES = (b"info/exclude", b"config", b"config.worktree")
_SUBMODULE = re.compile(rb"modules/(.+/)?config")


@dataclass
class News:
    """What a set of changes means."""

    hints: set[bytes] = field(default_factory=set)
    moved: set[bytes] = field(default_factory=set)  # watches of these directories and below may be stale
    cookies: set[str] = field(default_factory=set)  # names in the cookie directory
    root_gone: bool = False


class ChangeReader:
    """Reads changes for one root. The files ``rules``, absolute paths, hint the whole root."""

    def __init__(self, root: Path, cookie_dirs: Collection[Path], rules: Collection[str] = ()) -> None:
        self._root = os.fspath(root)
        self._prefix = self._root.rstrip("/") + "/"
        self._cookies = frozenset(os.fspath(place) for place in cookie_dirs)
        self.rules = frozenset(rules)

    def rule_directories(self) -> list[str]:
        """Return the directories of the rules that can be watched now; with one that is gone, no stream would start."""
        places = sorted({str(Path(file).parent) for file in self.rules})
        return [place for place in places if Path(place).is_dir() and os.access(place, os.R_OK)]

    def is_rule_file(self, path: str) -> bool:
        """Return True if a change of ``path`` hints the whole root."""
        return path in self.rules

    def read(self, changes: Changes, covered: Set[bytes], refused: Set[bytes]) -> News:
        """Return what ``changes`` mean; ``covered`` directories are watched, ``refused`` ones could not be.

        An event deeper down (macOS) becomes a hint on the highest directory that is not covered.
        """
        news = News()
        for change, path in changes:
            if path in self.rules:
                news.hints.add(ROOT)
            directory, _, name = path.rpartition("/")
            if path == self._root:
                news.hints.add(ROOT)
                news.root_gone |= change == Change.deleted
            elif directory in self._cookies:  # before the root, which may be the user's home
                news.cookies.add(name)
            elif path.startswith(self._prefix):
                below = os.fsencode(path[len(self._prefix) :])
                if below in refused or (change != Change.modified and below in covered):
                    news.moved.add(below)
                self._below(below, change, covered, news)
        return news

    def _below(self, path: bytes, change: Change, covered: Set[bytes], news: News) -> None:
        """Add the hints of a change below the root; git's own files count only where they decide what is ignored."""
        before, git, rest = (b"/" + path + b"/").partition(b"/.git/")
        top, inside = before[1:], rest[:-1]
        if not git:
            news.hints.add(_first_uncovered(path, covered))
        elif inside in _GIT_RULES or inside.endswith(b"/info/exclude") or _SUBMODULE.fullmatch(inside):
            news.hints.add(ROOT)
        elif inside == b"index":
            news.hints.add(join(top, INDEX))
        elif inside in (b"", b"info", b"HEAD") and change != Change.modified:  # a repository appears or disappears
            if top:
                news.hints.add(_first_uncovered(top, covered))
            elif inside != b"HEAD":  # replaced whenever a branch is checked out
                news.hints.add(ROOT)
        elif top and not inside:  # the pointer of a linked worktree
            news.hints.add(_first_uncovered(path, covered))


def _first_uncovered(path: bytes, covered: Set[bytes]) -> bytes:
    """Return ``path`` if its directory is watched, else the highest directory above it that is not."""
    parent = parent_of(path)
    while parent and parent not in covered:
        path, parent = parent, parent_of(parent)
    return path

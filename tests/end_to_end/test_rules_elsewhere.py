"""Ignore rules outside a root change while the daemon runs: `sync` knows at once, and otherwise it follows soon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.daemons import RealDaemon, until
from support.trees import Link, tree

SOURCE = "def zebra_crossing(street):\n    return street\n"


@pytest.fixture
def outer(tmp_path: Path) -> Path:
    """A repository whose ``pkg`` becomes a root."""
    return tree(tmp_path / "outer", {".git/HEAD": "ref: x\n", ".git/config": "", "pkg/app.py": SOURCE})


def _is_found(daemon: RealDaemon) -> bool:
    return bool(daemon.call("search", query="zebra_crossing")["hits"])


CHANGES: dict[str, Callable[[RealDaemon, Path, str], object]] = {
    "the .gitignore above the root": lambda _, outer, rules: tree(outer, {".gitignore": rules}),
    "the user's excludes file": lambda daemon, _, rules: tree(daemon.home / "config/git", {"ignore": rules}),
    "a file behind a link": lambda daemon, _, rules: tree(daemon.home, {"dotfiles/ignore": rules}),
    "the exclude file of the repository around": lambda _, outer, rules: tree(outer, {".git/info/exclude": rules}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_ignored_follows_rules_from_elsewhere(daemon: RealDaemon, outer: Path, what: str) -> None:
    if what == "a file behind a link":
        tree(daemon.home, {"dotfiles/ignore": "", "config/git/ignore": Link("../../dotfiles/ignore")})
    daemon.call("roots.add", path=str(outer / "pkg"), wait=True)
    assert _is_found(daemon)
    CHANGES[what](daemon, outer, "*.py\n")
    daemon.call("sync")
    assert not _is_found(daemon)
    CHANGES[what](daemon, outer, "*.x\n")
    daemon.call("sync")
    assert _is_found(daemon)
    CHANGES[what](daemon, outer, "*.py\n")
    until(lambda: not _is_found(daemon), what="the rule, unasked")
    assert daemon.call("verify")["ok"]
    assert daemon.call("sync")["how"] == "cookie"

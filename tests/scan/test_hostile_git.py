"""A hostile repository, whose git directory points to files outside it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from codeindexd.scan.git_excludes import GitConfigLocations
from codeindexd.scan.rule_files import read_bounded
from codeindexd.scan.scanner import Scanner
from scan.scans import LATER, NOTHING
from support.trees import Link, tree

SECRET = "*.py machine example.org password tr0ub4dor"


def rules_of(root: Path, home: Path) -> str:
    """Return every rule that a scan records in its tree, as the catalog stores it and ``explain`` shows it."""
    scanner = Scanner(root, git_locations=GitConfigLocations(home, home / ".config", None))
    leaves = scanner.scan([b""], NOTHING, now_ns=time.time_ns() + LATER).tree.leaves()
    return "\n".join(entry.rule for entry in leaves if entry.rule and not entry.rule.startswith("default: "))


HOSTILE = {
    "an excludes file in the home directory": {".git/config": "[core]\nexcludesFile = ~/secret\n"},
    "an excludes file with dots in its path": {".git/config": "[core]\nexcludesFile = ../home/secret\n"},
    "an included configuration": {
        ".git/config": "[include]\npath = ../more\n",
        "more": "[core]\nexcludesFile=~/secret",
    },
    "the configuration of a work tree": {".git/config": "", ".git/config.worktree": "[core]\nexcludesFile = ~/secret"},
    "a link in the place of info/exclude": {".git/config": "", ".git/info/exclude": Link("../../../home/secret")},
    "a link to the secret, inside": {
        ".git/config": "[core]\nexcludesFile = inside\n",
        "inside": Link("../home/secret"),
    },
    "a git directory elsewhere": {".git": "gitdir: ../home/.git\n"},
    "a link in the place of .git": {".git": Link("../home/.git")},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_no_rule_quotes_a_file_that_a_repository_points_to(tmp_path: Path, what: str) -> None:
    lines = f"{SECRET}\n"
    home = tree(tmp_path / "home", {"secret": lines, ".git/HEAD": "ref: x", ".git/info/exclude": lines})
    files = {"x.py machine example.org password tr0ub4dor": "", "a.py": ""}
    ours = {} if ".git" in HOSTILE[what] else {".git/HEAD": "ref: x"}
    root = tree(tmp_path / "root", {**ours, **files, **HOSTILE[what]})
    nested = tree(tmp_path / "outer", {"a.txt": "", "home": Link(str(home))})
    for place in (root, nested):
        rules = rules_of(place, home)
        assert ":1" in rules, "the rule counts, as it does for git"
        assert "tr0ub4dor" not in rules
        if place is root:
            root.rename(nested / "root")


def test_rules_of_the_user_and_of_the_repository_itself_are_quoted(tmp_path: Path) -> None:
    home = tree(tmp_path / "home", {".config/git/ignore": "*.one\n"})
    root = tree(tmp_path / "root", {".git/HEAD": "ref: x", ".git/info/exclude": "*.two\n", "a.one": "", "a.two": ""})
    assert rules_of(root, home).splitlines() == ["~/.config/git/ignore:1: *.one", ".git/info/exclude:1: *.two"]
    tree(root, {".git/config": "[core]\nexcludesFile = rules\n", "rules": "*.one\n"})
    assert f"{root}/rules:1: *.one" in rules_of(root, home)


def test_a_special_file_holds_no_rules(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero"), Path("/dev/tty"), tmp_path / "none"):
        assert read_bounded(path) is None
    root = tree(tmp_path / "root", {".git/HEAD": "x", ".git/config": "[core]\nexcludesFile = /dev/zero\n", "a": ""})
    assert rules_of(root, tmp_path) == ""


def test_a_file_swapped_during_the_check_does_not_count_as_inside(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", {"a": "inside", "link": Link("../b")})
    tree(tmp_path, {"b": "outside"})
    assert read_bounded(root / "a", within=root) == b"inside"
    assert read_bounded(root / "link", within=root) is None
    assert read_bounded(root / "../b", within=root) is None

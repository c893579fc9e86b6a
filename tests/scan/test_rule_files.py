"""Which rule files a scan records because no event of its root covers them, and whether their changes are found."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from codeindexd.scan.git_excludes import GitConfigLocations
from codeindexd.scan.rule_files import RuleFileRecorder, RuleFiles
from codeindexd.scan.scanner import Scan, Scanner
from scan.scans import LATER, NOTHING
from support.trees import Link, tree


def _scanner(root: Path, home: Path) -> Scanner:
    return Scanner(root, git_locations=GitConfigLocations(home, home / ".config", None))


def _scan(root: Path, home: Path, *below: bytes) -> Scan:
    return _scanner(root, home).scan(below or [b""], NOTHING, now_ns=time.time_ns() + LATER)


def _changes(files: RuleFiles) -> bool:
    return bool(files.now().changed_from(files))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tree(tmp_path / "home", {"dotfiles/ignore": "*.o\n", "dotfiles/other": "*.o\n"})


@pytest.fixture
def outer(tmp_path: Path) -> Path:
    """A repository whose part ``pkg`` is a root."""
    return tree(tmp_path / "outer", {".git/HEAD": "ref: x\n", ".git/config": "", "pkg/deep/a.py": "a"})


CHANGES: dict[str, Callable[[Path, Path], object]] = {
    "a .gitignore above the root": lambda _, outer: tree(outer, {".gitignore": "*.py\n"}),
    "the exclude file of the repository around": lambda _, outer: tree(outer, {".git/info/exclude": "*.py\n"}),
    "the configuration of the repository around": lambda _, outer: tree(outer, {".git/config": "[core]\nx = y\n"}),
    "the repository around ends": lambda _, outer: (outer / ".git/HEAD").unlink(),
    "a repository in between begins": lambda _, outer: tree(outer, {"pkg/.git/HEAD": "ref: x\n"}),
    "the user's first excludes file": lambda home, _: tree(home, {".config/git/ignore": "*.py\n"}),
    "the user's first configuration": lambda home, _: tree(home, {".gitconfig": "[core]\nexcludesFile = ~/other\n"}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_changes_outside_of_the_root_are_found(home: Path, outer: Path, what: str) -> None:
    root = outer / "pkg/deep"
    scan = _scan(root, home)
    assert not _changes(scan.rule_files)
    CHANGES[what](home, outer)
    assert _changes(scan.rule_files)
    assert not _changes(_scan(root, home).rule_files)
    assert not _changes(_scanner(root, home).rule_files)


def test_included_and_chosen_files_count_and_links_to_them(home: Path, outer: Path) -> None:
    config = "[core]\nexcludesFile = ~/chosen\n[include]\npath = more\n"
    tree(home, {".gitconfig": config, "chosen": Link("dotfiles/ignore")})
    files = _scan(outer / "pkg", home).rule_files
    tree(home, {"dotfiles/ignore": "*.py\n"})
    assert _changes(files)
    files = _scan(outer / "pkg", home).rule_files
    (home / "chosen").unlink()
    (home / "chosen").symlink_to("dotfiles/other")
    assert _changes(files)
    files = _scan(outer / "pkg", home).rule_files
    tree(home, {"more": "[core]\n"})
    assert _changes(files)


def test_a_file_of_the_tree_that_git_was_told_to_take_rules_from(home: Path, outer: Path) -> None:
    tree(outer, {".git/config": "[core]\nexcludesFile = rules\n", "rules": "*.x\n"})
    files = _scan(outer, home).rule_files
    tree(outer, {"rules": "*.y\n"})
    assert _changes(files)


def test_a_nested_worktree_whose_repository_is_elsewhere(home: Path, outer: Path, tmp_path: Path) -> None:
    tree(tmp_path / "main/.git", {"worktrees/w/HEAD": "x", "worktrees/w/commondir": "../..\n", "HEAD": "x"})
    root = tree(tmp_path / "root", {"w/.git": f"gitdir: {tmp_path}/main/.git/worktrees/w\n", "w/a.py": "a"})
    files = _scan(root, home).rule_files
    tree(tmp_path / "main/.git", {"info/exclude": "*.py\n"})
    assert _changes(files)
    part = _scan(root, home, b"w/a.py").rule_files
    tree(tmp_path / "main/.git", {"worktrees/w/config.worktree": "[core]\nexcludesFile = x\n"})
    assert _changes(part)


def test_files_covered_by_events_are_not_recorded(home: Path, tmp_path: Path) -> None:
    root = tree(tmp_path / "root", {".git/HEAD": "x", "nested/.git/HEAD": "x", "nested/a.py": "a"})
    assert _scan(root, home).rule_files.paths == {f"{home}/.config/git/config", f"{home}/.config/git/ignore"} | {
        f"{home}/.gitconfig"
    }
    linked = tree(tmp_path / "linked", {".git": Link("../root/.git"), "a.py": "a"})
    assert f"{linked}/.git/info/exclude" in _scan(linked, home).rule_files.paths


def test_ordinary_git_commands_change_no_rules(home: Path, outer: Path) -> None:
    files = _scan(outer / "pkg", home).rule_files
    tree(outer, {".git/ORIG_HEAD": "x", ".git/HEAD": "ref: refs/heads/other\n", ".git/config": ""})
    assert not _changes(files)


def test_a_change_within_one_clock_tick_is_found(tmp_path: Path) -> None:
    """Even if the file was read in that tick: content is compared while its stat cannot be trusted."""
    file = tmp_path / "rules"
    for number in range(200):
        file.write_text(f"{number:08}")
        notes = RuleFileRecorder(tmp_path / "root")
        notes.read(file)
        file.write_text(f"{number:07}x")
        assert _changes(notes.files)


def test_the_first_of_two_reads_of_a_changing_file_counts(tmp_path: Path) -> None:
    notes = RuleFileRecorder(tmp_path / "root")
    notes.read(tmp_path / "rules")
    (tmp_path / "rules").write_text("*.o\n")
    assert notes.read(tmp_path / "rules") == b"*.o\n"
    assert _changes(notes.files)


def test_a_reverted_change_is_none(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("*.o\n")
    notes = RuleFileRecorder(tmp_path / "root")
    notes.read(tmp_path / "rules")
    (tmp_path / "rules").unlink()
    (tmp_path / "rules").write_text("*.o\n")
    os.utime(tmp_path / "rules")
    assert not _changes(notes.files)

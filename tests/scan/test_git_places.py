"""Ignore rules from all of git's places: above the root, in worktrees, in the user's configuration."""

from __future__ import annotations

import os
import random
import shutil
import sysconfig
import time
from pathlib import Path

import pytest

from codeindexd.scan.git_excludes import GitConfigLocations
from codeindexd.scan.scanner import Scan, Scanner
from codeindexd.scan.size_limits import SizeLimits
from codeindexd.types import NodeKind
from scan.git_oracle import GitOracle
from scan.scans import LATER, NOTHING, everything, reasons
from support.trees import Link, tree


def _scan(oracle: GitOracle, root: Path | None = None) -> Scan:
    """Scan with git's rules only, as the oracle's user."""
    home = GitConfigLocations.from_environment(oracle.environment)
    scanner = Scanner(
        root or oracle.top, git_locations=home, hidden=True, defaults=False, size_limits=SizeLimits(1 << 40)
    )
    return scanner.scan([b""], NOTHING, now_ns=time.time_ns() + LATER)


def _kept(scan: Scan) -> set[bytes]:
    return {entry.path for entry in scan.tree.leaves() if entry.kind in (NodeKind.FILE, NodeKind.SYMLINK)}


def _untracked(oracle: GitOracle, *, at: Path | None = None) -> set[bytes]:
    arguments = ["-C", str(at)] if at else []
    return set(oracle.git(*arguments, "ls-files", "-z", "--others", "--exclude-standard").split(b"\0")[:-1])


@pytest.fixture
def oracle(tmp_path: Path) -> GitOracle:
    return GitOracle(tmp_path / "top", tmp_path / "home").init()


def test_info_exclude_and_the_users_configuration(oracle: GitOracle) -> None:
    tree(oracle.top, {f"a.{number}": "x" for number in range(8)} | {".git/info/exclude": "*.1\n!*.3\n"})
    tree(oracle.home, {"config/git/ignore": "*.2\n*.3\n"})
    assert _kept(_scan(oracle)) == _untracked(oracle) == {b"a.0", b"a.3", b"a.4", b"a.5", b"a.6", b"a.7"}
    tree(oracle.home, {".gitconfig": '[core]\n\texcludesFile = "~/my \\"own\\"" ; mine\n', 'my "own"': "*.4\n"})
    assert _kept(_scan(oracle)) == _untracked(oracle)
    tree(
        oracle.home,
        {".gitconfig": "[include]\n  path = more/config\n", "more/config": "[CORE] ExcludesFILE=~/fi\\\nve\n"},
    )
    tree(oracle.home, {"five": "*.5\n"})
    assert _kept(_scan(oracle)) == _untracked(oracle)
    assert b"a.5" not in _untracked(oracle)
    tree(oracle.home, {".gitconfig": f'[includeIf "gitdir:{oracle.top}/"]\npath = more/config\n'})
    assert _kept(_scan(oracle)) == _untracked(oracle)
    tree(oracle.home, {".gitconfig": '[includeIf "gitdir:**/elsewhere/"]\npath = more/config\n'})
    assert _kept(_scan(oracle)) == _untracked(oracle)
    tree(oracle.top, {"six": "*.6\n"})
    oracle.git("config", "core.excludesFile", str(oracle.top / "six"))
    assert _kept(_scan(oracle)) == _untracked(oracle)
    oracle.git("config", "core.excludesFile", "")
    assert _kept(_scan(oracle)) == _untracked(oracle)


def test_a_root_inside_a_repository(oracle: GitOracle) -> None:
    tree(oracle.top, {".gitignore": "*.log\n/sub/b.py\n/c.py\nbuild/\n", "sub/.gitignore": "!keep.log\nroot/d.py\n"})
    names = ["a.log", "keep.log", "b.py", "c.py", "d.py", "e.py"]
    tree(
        oracle.top, {f"sub/root/{name}": "x" for name in names} | {"sub/b.py": "", "build/x/f.log": "", "build/x/g": ""}
    )
    scan = _scan(oracle, oracle.top / "sub/root")
    assert _kept(scan) == _untracked(oracle, at=oracle.top / "sub/root") == {b"keep.log", b"b.py", b"c.py", b"e.py"}
    assert {entry.rule for entry in scan.tree.leaves() if entry.rule} == {
        "../../.gitignore:1: *.log",
        "../.gitignore:2: root/d.py",
    }
    # git ignores all of it, but the user asked for it
    assert _kept(_scan(oracle, oracle.top / "build/x")) == {b"f.log", b"g"}


def test_nested_repositories_worktrees_and_submodules(oracle: GitOracle) -> None:
    tree(oracle.top, {".gitignore": "*.log\nforks/\n", "a.py": "1"})
    oracle.git("add", ".")
    oracle.git("-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "one")
    oracle.git("worktree", "add", "-q", "trees/other", "HEAD")
    oracle.git("init", "-q", "nested")
    oracle.git("init", "-q", "forks/ignored")
    (oracle.top / ".git/info/exclude").write_text("*.common\n")
    tree(oracle.top, {"nested/.gitignore": "*.tmp\n", "nested/.git/info/exclude": "*.own\n"})
    for place in ("nested", "trees/other"):
        tree(oracle.top / place, dict.fromkeys(("x.log", "x.tmp", "x.own", "x.common", "x.py"), "x"))
    kept = _kept(_scan(oracle))
    assert {path[7:] for path in kept if path.startswith(b"nested/")} == _untracked(oracle, at=oracle.top / "nested")
    inside = {path[12:] for path in kept if path.startswith(b"trees/other/")}
    assert inside == _untracked(oracle, at=oracle.top / "trees/other") | {b".gitignore", b"a.py"}
    assert b"x.common" not in inside
    assert reasons(_scan(oracle))["forks"] == "ignored"
    modules = GitOracle(oracle.top.parent / "super", oracle.home).init()
    modules.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(oracle.top), "sub")
    tree(modules.top, {"sub/new.log": "x", "sub/new.c": "x", ".git/modules/sub/info/exclude": "*.c\n"})
    assert {b"sub/new.log", b"sub/new.c"}.isdisjoint(_kept(_scan(modules)))


def test_without_a_repository_the_ignore_files_count(tmp_path: Path) -> None:
    tree(tmp_path, {".gitignore": "*.log\n", "a.log": "", "b.py": "", ".git": None})
    assert reasons(everything(tmp_path)) == {".git": "vcs", "a.log": "ignored"}


def test_odd_ignore_files_affect_nothing_else(tmp_path: Path) -> None:
    nodes = {
        f"{place}/{name}": "x" for place in ("noise", "dir", "link", "dangling", "pipe") for name in ("a.py", "b.c")
    }
    tree(tmp_path, nodes)
    (tmp_path / "noise/.gitignore").write_bytes(random.Random(1).randbytes(1 << 20) + b"\n*.c\n")
    tree(tmp_path, {"dir/.gitignore": None, "dir/.codeindexignore/x": "*", "link/.gitignore": Link("../all")})
    tree(tmp_path, {"all": "*\n", "dangling/.gitignore": Link("nowhere"), ".git": "gitdir: nowhere\n"})
    os.mkfifo(tmp_path / "pipe/.gitignore")
    os.mkfifo(tmp_path / "pipe/.codeindexignore")
    scan = everything(tmp_path)
    assert set(nodes) - {os.fsdecode(path) for path in _kept(scan)} == {"noise/b.c"}
    assert scan.errors == []


def test_odd_git_configuration_is_ignored(tmp_path: Path) -> None:
    tree(
        tmp_path / "top",
        {"a.py": "x", ".git/HEAD": "ref: x", ".git/config": b"[core\n\xff\0 = [[\n[core]\nexcludesFile"},
    )
    tree(tmp_path / "home", {".gitconfig": "[include]\npath = .gitconfig\n", "config/git/config": None})
    home = GitConfigLocations(tmp_path / "home", tmp_path / "home/config", None)
    scan = Scanner(tmp_path / "top", git_locations=home).scan([b""], NOTHING, now_ns=time.time_ns())
    assert _kept(scan) == {b"a.py"}


_STYLES = [
    "__pycache__/\n*.py[cod]\n*.so\n/build/\n*.egg-info/\n[Tt]est*/\n!/unittest/test/\n",
    "*\n!*/\n!*.py\n",
    "/*\n!/email\n!/json/\n!/lib2to3\n/lib2to3/*\n!/lib2to3/pgen2\n**/__init__.py\n",
    "**/test/**\n!**/test/*.py\n*.txt\n!Grammar*.txt\nlib2to3/**/fix_[a-m]*.py\n/ctypes/macholib/fetch_*\n",
]


@pytest.mark.parametrize("style", _STYLES)
def test_a_real_tree_keeps_what_git_keeps(oracle: GitOracle, style: str) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    for package in ("email", "json", "unittest", "ctypes", "lib2to3", "logging", "sqlite3"):
        if (library / package).is_dir():
            shutil.copytree(library / package, oracle.top / package)
    tree(
        oracle.top,
        {".gitignore": style, "email/.gitignore": "mime/\n!*.pyc\n", "json/.gitignore": "/*.py\n!/decoder.py\n"},
    )
    assert _kept(_scan(oracle)) == _untracked(oracle)

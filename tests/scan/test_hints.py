"""What hints are widened to, and that scanning below hints gives the same tree as a full walk."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from codeindexd.scan.merkle import Tree, diff
from codeindexd.scan.scanner import Scan
from codeindexd.types import Diff, FileStat, NodeKind
from scan.scans import LATER, everything, reasons, scanner
from support.trees import Link, tree


def _look(
    root: Path, known: Tree, *hints: str, applied_rules: Mapping[bytes, FileStat] | None = None
) -> tuple[Scan, Diff]:
    paths = [os.fsencode(hint) for hint in hints]
    scan = scanner(root).scan(paths, known, now_ns=time.time_ns() + LATER, applied_rules=applied_rules or {})
    return scan, diff(known, scan.tree, below=scan.below)


@pytest.fixture
def known(tmp_path: Path) -> Tree:
    tree(
        tmp_path,
        {
            ".gitignore": "*.log\nout/\n",
            "src/a.py": "a",
            "src/b.log": "b",
            "src/deep/c.py": "c",
            "out/d.py": "d",
            "e.py": "e",
        },
    )
    return everything(tmp_path).tree


def test_a_changed_file_is_one_file(tmp_path: Path, known: Tree) -> None:
    tree(tmp_path, {"src/a.py": "new", "e.py": "not asked for"})
    scan, difference = _look(tmp_path, known, "src/a.py")
    assert [entry.path for entry in difference.modified] == [b"src/a.py"]
    assert (scan.below, scan.directories, scan.stats.files) == ((b"src/a.py",), [], 1)
    assert scan.tree.node(b"e.py") is None
    assert scan.tree.root_hash == b""


def test_a_directory_is_walked(tmp_path: Path, known: Tree) -> None:
    tree(tmp_path, {"src/deep/new.py": "n", "src/deep/c.py": "C"})
    scan, difference = _look(tmp_path, known, "src/deep", "src/deep/c.py")
    assert [entry.path for entry in difference.added] == [b"src/deep/new.py"]
    assert [entry.path for entry in difference.modified] == [b"src/deep/c.py"]
    assert (scan.below, scan.directories) == ((b"src/deep",), [b"src/deep"])


def test_vanished_paths(tmp_path: Path, known: Tree) -> None:
    shutil.rmtree(tmp_path / "src")
    scan, difference = _look(tmp_path, known, "src/deep/c.py", "never/was")
    assert scan.below == (b"never", b"src")
    assert [entry.path for entry in difference.removed if entry.kind is NodeKind.FILE] == [
        b"src/a.py",
        b"src/deep/c.py",
    ]


def test_inside_a_new_directory_everything_is_new(tmp_path: Path, known: Tree) -> None:
    tree(tmp_path, {"src/n/x/y.py": "y", "src/n/lost.py": "written before anyone watched"})
    scan, difference = _look(tmp_path, known, "src/n/x/y.py")
    assert scan.below == (b"src/n",)
    assert b"src/n/lost.py" in [entry.path for entry in difference.added]


@pytest.mark.parametrize("hint", ["out/d.py", "out", "out/deeper/still", "src/b.log"])
def test_ignored_directories_are_not_entered(tmp_path: Path, known: Tree, hint: str) -> None:
    tree(tmp_path, {"out/d.py": "changed", "src/b.log": "changed"})
    scan, difference = _look(tmp_path, known, hint)
    assert not difference
    assert (scan.directories, scan.stats.hashed) == ([], 0)


def test_changed_rules_include_and_exclude_directories(tmp_path: Path, known: Tree) -> None:
    tree(tmp_path, {".gitignore": "*.log\n/src/deep\n"})
    scan, difference = _look(tmp_path, known, ".gitignore")
    assert scan.below == (b"",)
    assert reasons(scan) == {"src/b.log": "ignored", "src/deep": "ignored"}
    assert [entry.path for entry in difference.added] == [b"out", b"out/d.py", b"src/deep"]
    assert [entry.path for entry in difference.removed] == [b"out", b"src/deep", b"src/deep/c.py"]
    scan, _ = _look(tmp_path, scan.tree, ".gitignore", applied_rules=scan.applied_rules)
    assert scan.below == (b".gitignore",)
    tree(tmp_path, {"src/.codeindexignore": "!*.log\n"})
    scan, difference = _look(tmp_path, everything(tmp_path).tree, "src/a.py")
    assert not difference
    (tmp_path / "src/.codeindexignore").unlink()
    assert _look(tmp_path, everything(tmp_path).tree, "src/.codeindexignore")[0].below == (b"src",)


def test_rules_count_as_changed_until_a_walk_has_applied_them(tmp_path: Path, known: Tree) -> None:
    """A worker may have read the file again since the walk: then the catalog knows a content that no rules are from."""
    walk = everything(tmp_path)
    tree(tmp_path, {".gitignore": "*.log\n/src/deep\n"})
    by_a_worker = everything(tmp_path).tree
    scan, _ = _look(tmp_path, by_a_worker, ".gitignore", applied_rules=walk.applied_rules)
    assert scan.below == (b"",)


def test_rules_are_applied_only_where_their_whole_directory_was_walked(tmp_path: Path, known: Tree) -> None:
    tree(tmp_path, {"src/.codeindexignore": "# nothing\n", "src/deep/.ignore": "# nothing\n"})
    assert everything(tmp_path).applied_rules.keys() == {b".gitignore", b"src/.codeindexignore", b"src/deep/.ignore"}
    walked = everything(tmp_path).tree
    assert not _look(tmp_path, walked, "src/a.py")[0].applied_rules
    assert _look(tmp_path, walked, "src/deep/.ignore")[0].applied_rules.keys() == {b"src/deep/.ignore"}
    young = scanner(tmp_path).scan([b""], walked, now_ns=0)
    assert not young.applied_rules, "a later change may leave the stat as it is"


def test_only_the_line_of_a_rule_moved(tmp_path: Path, known: Tree) -> None:
    tree(tmp_path, {".gitignore": "# explained\n*.log\nout/\n"})
    _, difference = _look(tmp_path, known, ".gitignore")
    assert [entry.path for entry in difference.modified] == [b".gitignore"]
    assert [(entry.path, entry.rule) for entry in difference.touched] == [
        (b"out", ".gitignore:3: out/"),
        (b"src/b.log", ".gitignore:2: *.log"),
    ]


def test_gits_own_files_are_no_hints(tmp_path: Path, known: Tree) -> None:
    tree(tmp_path, {"src/.git/HEAD": "ref: refs/heads/main\n", "src/.git/info/exclude": "a.py\n"})
    assert _look(tmp_path, known, "src/.git/HEAD", "src/.git/objects/ab")[0].below == ()
    scan, difference = _look(tmp_path, known, "src/.git/info/exclude")
    assert scan.below == (b"src",)
    assert reasons(scan) == {"src/.git": "vcs", "src/a.py": "ignored"}
    assert [entry.path for entry in difference.added] == [b"src/.git"]
    assert [entry.path for entry in difference.modified] == [b"src/a.py", b"src/b.log"]  # the outer rules end there


def test_files_directories_and_links_replace_each_other(tmp_path: Path, known: Tree) -> None:
    (tmp_path / "e.py").unlink()
    shutil.rmtree(tmp_path / "src/deep")
    tree(tmp_path, {"e.py/inside.py": "i", "src/deep": Link("/")})
    scan, difference = _look(tmp_path, known, "e.py/inside.py", "src/deep/etc/passwd")
    assert scan.below == (b"e.py", b"src/deep")
    assert [(entry.path, entry.kind.name) for entry in difference.added] == [
        (b"e.py", "DIRECTORY"),
        (b"e.py/inside.py", "FILE"),
        (b"src/deep", "SYMLINK"),
    ]


def test_a_directory_becomes_a_virtual_environment(tmp_path: Path, known: Tree) -> None:
    tree(tmp_path, {"src/deep/pyvenv.cfg": "home = /usr\n"})
    scan, difference = _look(tmp_path, known, "src/deep/pyvenv.cfg")
    assert reasons(scan) == {"src/deep": "vendored"}
    assert [entry.path for entry in difference.added] == [b"src/deep"]
    assert not _look(tmp_path, everything(tmp_path).tree, "src/deep/c.py")[1]


def test_explain(tmp_path: Path, known: Tree) -> None:
    tree(tmp_path, {"l": Link("e.py"), "env/pyvenv.cfg": "", "big.txt": "x" * 3_000_000})
    asked = ("src/a.py", "out/d.py", "src/b.log", "l", "env/x/y", "big.txt", "not/there.log", "not/there.py", "", "src")
    explained = {path: scanner(tmp_path).explain(path.encode()) for path in asked}
    assert {path: verdict.reason for path, verdict in explained.items() if verdict} == {
        "out/d.py": "ignored",
        "src/b.log": "ignored",
        "l": "symlink",
        "env/x/y": "vendored",
        "big.txt": "oversized",
        "not/there.log": "ignored",
    }
    assert explained["out/d.py"].rule == ".gitignore:2: out/"  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(12))
def test_hints_lead_to_the_same_tree_as_a_walk(tmp_path: Path, seed: int) -> None:
    """After random edits with a hint each, patching the known tree gives the tree of a full walk."""
    chance = random.Random(seed)
    names = ["a", "b.py", "c.log", "d", ".gitignore", "vendor"]
    tree(tmp_path, {f"{one}/{two}/f.py": one for one in "ad" for two in "ad"})
    known = everything(tmp_path).tree
    for _ in range(25):
        hints = [_edit(tmp_path, "/".join(chance.sample(names, chance.randint(1, 3))), chance) for _ in range(3)]
        scan, difference = _look(tmp_path, known, *hints)
        entries = {entry.path: entry for entry in known.entries()}
        for gone in difference.removed:
            entries.pop(gone.path)
        for move in difference.moved:
            entries.pop(move.source)
        moved = [move.entry for move in difference.moved]
        known = Tree.build([*entries.values(), *difference.added, *difference.modified, *difference.touched, *moved])
        walked = everything(tmp_path).tree
        assert known.root_hash == walked.root_hash, (hints, scan.below)
        assert list(known.entries()) == list(walked.entries())


def _edit(root: Path, path: str, chance: random.Random) -> str:
    """Do something at ``path`` and return the topmost path that an observer would name."""
    place = root / path
    for parent in reversed(place.parents):
        if parent.is_relative_to(root) and parent.is_file():
            parent.unlink()
            parent.mkdir()
            path = str(parent.relative_to(root))
            place = parent / "f.py"
            break
    if place.is_dir() and chance.random() < 0.5:
        shutil.rmtree(place)
    elif place.is_dir():
        (place / "x.py").write_text(str(chance.random()))
        return str((place / "x.py").relative_to(root))
    elif place.exists() and chance.random() < 0.5:
        place.unlink()
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        content = chance.choice(["*.log\n", "b.py\n/a\n", "!vendor\n", ""]) if place.name == ".gitignore" else "same"
        place.write_text(content if chance.random() < 0.7 else f"{content}# {chance.random()}\n")
    return path


@pytest.mark.parametrize(
    ("file", "hint"),
    [
        ("app/go.mod", "app/go.mod"),
        ("app/vendor/modules.txt", "app/vendor/modules.txt"),
        ("app/vendor/bundle/gems/a.rb", "app/vendor/bundle"),
        ("app/vendor/bundle/gems/a.rb", "app/vendor/bundle/gems/a.rb"),
    ],
)
def test_a_vendor_directory_becomes_vendored_and_a_source_again(tmp_path: Path, file: str, hint: str) -> None:
    tree(tmp_path, {"app/vendor/Vendor.java": "class Vendor {}", "app/vendor/x/y.go": "package x", "app/a.go": "a"})
    known = everything(tmp_path).tree
    assert known.node(b"app/vendor/Vendor.java") is not None
    tree(tmp_path, {file: "new"})
    scan, _ = _look(tmp_path, known, hint)
    assert reasons(scan).get("app/vendor") == "vendored"
    known = everything(tmp_path).tree
    assert reasons(everything(tmp_path))["app/vendor"] == "vendored"
    shutil.rmtree(tmp_path / "app/vendor/bundle", ignore_errors=True)
    (tmp_path / file).unlink(missing_ok=True)
    scan, _ = _look(tmp_path, known, hint)
    assert scan.tree.node(b"app/vendor/Vendor.java") is not None


def test_an_edited_package_file_is_one_file(tmp_path: Path) -> None:
    tree(tmp_path, {"go.mod": "module a", "vendor/a.go": "package a", "b.go": "package b"})
    known = everything(tmp_path).tree
    tree(tmp_path, {"go.mod": "module b"})
    assert _look(tmp_path, known, "go.mod")[0].below == (b"go.mod",)

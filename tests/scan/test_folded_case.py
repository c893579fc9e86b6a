"""File systems that ignore case, as on macOS: an old name in other case is not a second file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codeindexd.scan.merkle import Tree, diff
from codeindexd.types import Diff
from scan.scans import LATER, everything, scanner
from support.trees import tree


@pytest.fixture
def _folding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every lookup in a directory ignore case."""

    def folded(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(path: Any, *arguments: Any, dir_fd: int | None = None, **options: Any) -> Any:
            if dir_fd is not None:
                name = os.fsdecode(path)
                path = next((one for one in os.listdir(dir_fd) if one.lower() == name.lower()), path)  # noqa: PTH208
            return call(path, *arguments, dir_fd=dir_fd, **options)

        return run

    monkeypatch.setattr(os, "stat", folded(os.stat))
    monkeypatch.setattr(os, "open", folded(os.open))


def _look(root: Path, known: Tree, *hints: bytes) -> Diff:
    scan = scanner(root).scan(hints, known, now_ns=time.time_ns() + LATER)
    return diff(known, scan.tree, below=scan.below)


@pytest.mark.usefixtures("_folding")
@pytest.mark.parametrize("place", ["", "src/", "src/deep/"])
def test_a_file_renamed_in_case_only_is_moved(tmp_path: Path, place: str) -> None:
    root = tree(tmp_path, {f"{place}Foo.py": "x", f"{place}other.py": "y"})
    known = everything(root).tree
    (root / f"{place}Foo.py").rename(root / f"{place}foo.py")
    for hints in ([b"Foo.py", b"foo.py"], [b"Foo.py"], [b"foo.py", b"FOO.PY"]):
        difference = _look(root, known, *(place.encode() + hint for hint in hints))
        assert [(move.source, move.entry.path) for move in difference.moved] == [
            (f"{place}Foo.py".encode(), f"{place}foo.py".encode())
        ]
        assert difference.added == difference.modified == ()


@pytest.mark.usefixtures("_folding")
def test_a_directory_renamed_in_case_only_is_moved_with_its_content(tmp_path: Path) -> None:
    root = tree(tmp_path, {"src/Deep/a.py": "x", "src/Deep/er/b.py": "y", "src/c.py": "z"})
    known = everything(root).tree
    (root / "src/Deep").rename(root / "src/deep")
    difference = _look(root, known, b"src/Deep", b"src/deep", b"src/Deep/a.py")
    assert {move.source for move in difference.moved} == {b"src/Deep/a.py", b"src/Deep/er/b.py"}
    assert not [entry for entry in difference.added if entry.path.endswith(b".py")]


@pytest.mark.usefixtures("_folding")
def test_a_file_that_kept_its_name_is_scanned_alone(tmp_path: Path) -> None:
    root = tree(tmp_path, {"src/Foo.py": "x", "src/123": "y", "src/z.py": "z"})
    known = everything(root).tree
    tree(root, {"src/Foo.py": "changed", "src/123": "too", "src/z.py": "not asked for"})
    scan = scanner(root).scan([b"src/Foo.py", b"src/123"], known, now_ns=time.time_ns() + LATER)
    assert set(scan.below) == {b"src/Foo.py", b"src/123"}


def test_two_files_that_differ_in_case_are_two(tmp_path: Path) -> None:
    root = tree(tmp_path, {"readme": "x", "README": "y"})
    known = everything(root).tree
    (root / "readme").unlink()
    scan = scanner(root).scan([b"readme"], known, now_ns=time.time_ns() + LATER)
    assert scan.below == (b"readme",)

"""Disk errors and a lack of file descriptors: whatever cannot be read stays as it was known."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from codeindexd.errors import PathRefusedError
from endurance.faults import unreadable_medium
from scan.scans import everything, reasons, scanner
from support.limits import no_open_files
from support.trees import tree

may_mount = pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounts, which only root may do")


@may_mount
@pytest.mark.parametrize("hint", [b"", b"sub", b"sub/deeper", b"sub/deeper/secret.py", b"sub/new.py"])
def test_what_is_ignored_stays_ignored_when_the_rules_cannot_be_read(tmp_path: Path, hint: bytes) -> None:
    root = tree(
        tmp_path / "root",
        {"sub/.gitignore": "secret.py\n", "sub/secret.py": "x", "sub/deeper/secret.py": "x", "sub/a.py": "x"},
    )
    first = everything(root)
    ignored = {"sub/secret.py": "ignored", "sub/deeper/secret.py": "ignored"}
    assert reasons(first) == ignored
    (root / "sub/new.py").write_text("found later")
    with unreadable_medium(root / "sub/.gitignore"):
        during = scanner(root).scan([hint], first.tree, now_ns=0)
    assert not [entry for entry in during.tree.leaves() if entry.path.endswith(b"secret.py") and not entry.reason]
    assert [error for _, error in during.errors] == ["Input/output error"]
    assert reasons(everything(root, first.tree)) == ignored


@may_mount
def test_a_file_that_gives_errors_stays_as_it_was_known(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", {"a.py": "x", "b.py": "x"})
    first = everything(root)
    with unreadable_medium(root / "a.py"):
        during = everything(root, first.tree)
    assert during.tree.root_hash == first.tree.root_hash
    assert during.errors == [(b"a.py", "Input/output error")]


def test_without_file_descriptors_nothing_is_scanned(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", {"a.py": "x", ".gitignore": "b.py\n", "b.py": "x"})
    first = everything(root)
    with no_open_files(), pytest.raises(PathRefusedError, match="open files"):
        everything(root, first.tree)

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codeindexd.scan.safe_read import open_beneath, read_beneath, read_ranges
from support.trees import Link, tree


def test_reads_a_file_with_its_stat(tmp_path: Path) -> None:
    root = tree(tmp_path, {"a/b.txt": "hello"})
    contents = read_beneath(os.fsencode(root), b"a/b.txt", max_bytes=100)
    assert contents.data == b"hello"
    assert contents.steady
    assert contents.stat.inode == (root / "a/b.txt").stat().st_ino


def test_a_file_beyond_its_bound_is_cut_one_byte_after_it(tmp_path: Path) -> None:
    root = tree(tmp_path, {"big": "x" * 50})
    assert len(read_beneath(os.fsencode(root), b"big", max_bytes=10).data) == 11


@pytest.mark.parametrize("path", [b"inside", b"directory/secret", b"../outside/secret", b"a/../../outside/secret", b""])
def test_nothing_outside_the_root_is_ever_opened(tmp_path: Path, path: bytes) -> None:
    tree(tmp_path / "outside", {"secret": "s"})
    root = tree(
        tmp_path / "root", {"inside": Link("../outside/secret"), "directory": Link("../outside"), "a/x": "", "ok": "1"}
    )
    with pytest.raises(OSError, match=r".*"):
        open_beneath(os.fsencode(root), path)
    assert read_beneath(os.fsencode(root), b"ok", max_bytes=9).data == b"1"


def test_a_fifo_neither_blocks_nor_reads(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        open_beneath(os.fsencode(tmp_path), b"pipe")


def test_ranges_beyond_the_end_are_shortened(tmp_path: Path) -> None:
    root = tree(tmp_path, {"f": "0123456789"})
    assert read_ranges(os.fsencode(root), b"f", [(0, 3), (8, 20), (50, 60)]) == [b"012", b"89", b""]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    root = tree(tmp_path, {"a/b": "x", "link": Link("a")})
    before = len(list(Path("/dev/fd").iterdir()))
    for path in (b"a/b", b"link/b", b"a/missing", b"a"):
        for _ in range(5):
            try:
                read_beneath(os.fsencode(root), path, max_bytes=9)
            except OSError:
                continue
    assert len(list(Path("/dev/fd").iterdir())) == before

"""How much space the stores take: what ``du`` says."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from codeindexd.daemon.disk_usage import tree_bytes


@pytest.mark.skipif(shutil.which("du") is None, reason="needs du")
def test_it_is_what_du_says(tmp_path: Path) -> None:
    top = tmp_path / "top"
    for number in range(20):
        (top / f"d{number}/deep").mkdir(parents=True)
        (top / f"d{number}/file").write_bytes(b"x" * 5000 * number)
    os.link(top / "d19/file", top / "d1/same")
    os.link(top / "d19/file", top / "d2/same")
    with (top / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    (top / "link").symlink_to("d1")
    (top / "gone").symlink_to("nowhere")
    kibibytes = subprocess.run(["du", "-sk", str(top)], capture_output=True, check=True).stdout.split()[0]
    assert tree_bytes(top) == int(kibibytes) * 1024
    assert tree_bytes(tmp_path / "absent") == 0


def test_a_file_that_two_roots_share_counts_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    empty = tree_bytes(tmp_path)
    (tmp_path / "one/segment").write_bytes(b"x" * 100_000)
    alone = tree_bytes(tmp_path) - empty
    assert alone >= 100_000
    (tmp_path / "two/segment").hardlink_to(tmp_path / "one/segment")
    assert tree_bytes(tmp_path) - empty == alone
    assert tree_bytes(tmp_path / "two") >= alone
    (tmp_path / "two/own").write_bytes(b"x" * 100_000)
    assert tree_bytes(tmp_path) - empty == 2 * alone

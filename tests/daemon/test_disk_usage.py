"""How much space the stores take."""

from __future__ import annotations

from pathlib import Path

from codeindexd.daemon.disk_usage import tree_bytes


def test_a_file_that_two_roots_share_counts_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one/segment").write_bytes(b"x" * 100_000)
    alone = tree_bytes(tmp_path)
    assert alone >= 100_000
    (tmp_path / "two/segment").hardlink_to(tmp_path / "one/segment")
    assert tree_bytes(tmp_path) == alone
    assert tree_bytes(tmp_path / "two") == alone
    (tmp_path / "two/own").write_bytes(b"x" * 100_000)
    assert tree_bytes(tmp_path) == 2 * alone

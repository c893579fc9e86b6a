"""The tracked files of real repositories, compared with ``git ls-files``."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from codeindexd.scan.git_index import IndexFormatError, TrackedPaths, read_index

NAMES = [b"a.py", b"src/b.py", b"src/deep/c d.py", b"\xff\xfe.txt", b"x" * 200, b"src/" + b"y" * 250 + b"/z"]


def git(top: Path, *arguments: str, **config: str) -> str:
    """Run git in ``top`` with nothing of this machine's configuration, and return what it prints."""
    environment = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(top.parent), "GIT_CONFIG_GLOBAL": os.devnull}
    options = [word for key, value in config.items() for word in ("-c", f"{key.replace('_', '.')}={value}")]
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    done = subprocess.run(
        ["git", *identity, *options, *arguments], cwd=top, env=environment, capture_output=True, check=True
    )
    return os.fsdecode(done.stdout)


def repository(top: Path, *options: str) -> Path:
    top.mkdir()
    git(top, "init", "-q", *options)
    for name in NAMES:
        path = top / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n")
    return top


def tracked(top: Path, hash_bytes: int = 20) -> TrackedPaths:
    directory = top / ".git"
    return read_index(
        (directory / "index").read_bytes(),
        lambda name: (directory / f"sharedindex.{name.decode()}").read_bytes(),
        hash_bytes=hash_bytes,
    )


def listed(top: Path) -> set[bytes]:
    return {os.fsencode(name) for name in git(top, "ls-files", "-z").split("\0") if name}


@pytest.mark.parametrize("version", [2, 3, 4])
def test_every_version_lists_what_git_lists(tmp_path: Path, version: int) -> None:
    top = repository(tmp_path / "r")
    git(top, "add", "-A")
    if version == 3:  # git writes version 3 by itself once an entry needs its second flags word
        (top / "later.py").write_text("x\n")
        git(top, "add", "--intent-to-add", "later.py")
    else:
        git(top, "update-index", f"--index-version={version}")
    assert (top / ".git/index").read_bytes()[7] == version
    assert tracked(top).files == listed(top)


def test_directories_are_those_above_tracked_files(tmp_path: Path) -> None:
    top = repository(tmp_path / "r")
    git(top, "add", "-A")
    assert tracked(top).directories == {b"", b"src", b"src/deep", b"src/" + b"y" * 250}


def test_a_sha256_repository_is_read(tmp_path: Path) -> None:
    top = repository(tmp_path / "r", "--object-format=sha256")
    git(top, "add", "-A")
    assert tracked(top, hash_bytes=32).files == listed(top)


def test_a_split_index_is_put_together(tmp_path: Path) -> None:
    top = repository(tmp_path / "r")
    git(top, "add", "-A")
    git(top, "update-index", "--split-index")
    assert list((top / ".git").glob("sharedindex.*"))
    assert tracked(top).files == listed(top)
    git(top, "rm", "-q", "--cached", "src/b.py")
    (top / "new.py").write_text("x\n")
    (top / "a.py").write_text("changed, so that its entry replaces the shared one\n")
    git(top, "add", "-A", "a.py", "new.py")
    assert tracked(top).files == listed(top)
    assert b"src/b.py" not in tracked(top).files


def test_many_entries_of_a_split_index_are_put_together(tmp_path: Path) -> None:
    top = repository(tmp_path / "r")
    for number in range(300):
        (top / f"f{number:03}.py").write_text("x\n")
    git(top, "add", "-A")
    git(top, "update-index", "--split-index")
    git(top, "rm", "-q", "--cached", *(f"f{number:03}.py" for number in [*range(64, 200), 3, 250]))
    assert tracked(top).files == listed(top)


def test_a_sparse_checkout_lists_what_is_there(tmp_path: Path) -> None:
    top = repository(tmp_path / "r")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "first")
    (top / "lib").mkdir()
    (top / "lib/kept.py").write_text("x\n")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "second")
    git(top, "sparse-checkout", "set", "--cone", "--sparse-index", "lib")
    found = tracked(top).files
    assert b"lib/kept.py" in found
    assert b"a.py" in found, "files at the top are part of every cone"
    assert not any(path.startswith(b"src/") for path in found)


def test_submodules_and_conflicts(tmp_path: Path) -> None:
    top = repository(tmp_path / "r")
    git(top, "add", "-A")
    git(top, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor/sub")
    assert b"vendor/sub" not in tracked(top).files
    blob = hashlib.sha1(b"blob 2\0x\n").hexdigest()
    stages = "".join(f"100644 {blob} {stage}\tboth.py\n" for stage in (1, 2, 3))
    subprocess.run(["git", "update-index", "--index-info"], cwd=top, input=stages.encode(), check=True)
    assert b"both.py" in tracked(top).files


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damage_is_an_error_and_nothing_else(noise: bytes, cut: int) -> None:
    entry = bytes(60) + (4).to_bytes(2, "big") + b"a.py" + bytes(8)
    whole = b"DIRC" + (2).to_bytes(4, "big") + (1).to_bytes(4, "big") + entry[:72] + bytes(20)
    for data in (noise, whole[:cut], whole[:30] + noise, b"DIRC" + noise):
        try:
            read_index(data, lambda name: b"")
        except IndexFormatError:
            continue

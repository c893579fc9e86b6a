"""What stores share: locks, atomic replacement, translated errors, and the clean-shutdown marker."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from codeindexd.errors import AlreadyRunningError, CodeindexError, FailedError, StoreDamagedError, StoreFullError
from codeindexd.storage.durable import (
    CLEAN_MARKER,
    lock_directory,
    replace_file,
    storing,
    take_clean_marker,
    write_clean_marker,
    write_fully,
)
from support.limits import largest_file


@pytest.mark.parametrize(
    ("number", "ours"),
    [
        (errno.ENOSPC, StoreFullError),
        (errno.EDQUOT, StoreFullError),
        (errno.EROFS, StoreFullError),
        (errno.EACCES, StoreFullError),
        (errno.EIO, StoreDamagedError),
        (errno.ENOENT, StoreDamagedError),
        (errno.EMFILE, StoreFullError),
        (errno.ENODEV, FailedError),
    ],
)
def test_errors_are_translated_by_what_they_mean_for_the_store(number: int, ours: type[CodeindexError]) -> None:
    with pytest.raises(ours, match="the thing"), storing("thing"):
        raise OSError(number, os.strerror(number))


def test_one_process_at_a_time_holds_the_lock(tmp_path: Path) -> None:
    lock = lock_directory(tmp_path / "a" / "store", "thing")
    assert (tmp_path / "a" / "store").stat().st_mode & 0o777 == 0o700
    with pytest.raises(AlreadyRunningError, match="thing"):
        lock_directory(tmp_path / "a" / "store", "thing")
    os.close(lock)
    os.close(lock_directory(tmp_path / "a" / "store", "thing"))


def test_a_lock_that_is_a_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CodeindexError):
        lock_directory(tmp_path, "thing")
    assert not (tmp_path / "elsewhere").exists()


def test_replacing_is_atomic(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")
    assert path.stat().st_mode & 0o777 == 0o600
    with largest_file(10), pytest.raises(OSError, match="File too large"):
        replace_file(path, bytes(100))
    assert path.read_bytes() == b"old"
    replace_file(path, b"newer")
    assert path.read_bytes() == b"newer"


def test_writing_at_an_offset(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    write_fully(descriptor, b"", 0)
    write_fully(descriptor, memoryview(b"abc"), 2)
    os.close(descriptor)
    assert (tmp_path / "file").read_bytes() == b"\0\0abc"


def test_a_clean_marker_vouches_for_unchanged_files_once(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    write_clean_marker(tmp_path, ["a", "b", "c"])
    (tmp_path / "b").write_text("B")
    (tmp_path / "c").unlink()
    assert take_clean_marker(tmp_path) == frozenset()  # a missing file invalidates the whole marker
    write_clean_marker(tmp_path, ["a", "b"])
    (tmp_path / "b").write_text("longer")
    assert take_clean_marker(tmp_path) == {"a"}
    assert take_clean_marker(tmp_path) == frozenset()
    write_clean_marker(tmp_path, ["a", "missing"])
    assert not (tmp_path / CLEAN_MARKER).exists()
    for odd in ("", "[]", "{", '{"a": 3}'):
        (tmp_path / CLEAN_MARKER).write_text(odd)
        assert take_clean_marker(tmp_path) == frozenset()

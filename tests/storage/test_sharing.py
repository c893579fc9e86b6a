"""Files with a second name, and files that must not be written through one."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from codeindexd.storage.sharing import create_file, share_files


def places(tmp_path: Path) -> tuple[Path, Path]:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "file").write_bytes(b"content")
    return source, target


def test_a_shared_file_takes_no_space(tmp_path: Path) -> None:
    source, target = places(tmp_path)
    share_files(source, target, ["file"])
    assert (target / "file").samefile(source / "file")


def test_creating_a_file_never_writes_into_the_one_that_had_its_name(tmp_path: Path) -> None:
    source, target = places(tmp_path)
    share_files(source, target, ["file"])
    descriptor = create_file(target / "file")
    os.write(descriptor, b"other")
    os.close(descriptor)
    assert (source / "file").read_bytes() == b"content"
    assert (target / "file").read_bytes() == b"other"
    assert (target / "file").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [errno.EPERM, errno.EMLINK, errno.EXDEV, errno.EOPNOTSUPP])
def test_what_cannot_be_linked_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    source, target = places(tmp_path)
    monkeypatch.setattr(os, "link", refuse)
    share_files(source, target, ["file"])
    assert not (target / "file").samefile(source / "file")
    assert (target / "file").read_bytes() == b"content"
    assert (target / "file").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    source, target = places(tmp_path)
    with pytest.raises(FileNotFoundError):
        share_files(source, target, ["file", "gone"])

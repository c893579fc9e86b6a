from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from codeindexd.roots.presence import Presence, PresenceCheck
from codeindexd.roots.registry import RootSpec


def presence(tmp_path: Path) -> Presence:
    root = tmp_path / "root"
    root.mkdir()
    status = root.stat()
    return Presence(RootSpec("id", root, status.st_dev, status.st_ino), tmp_path / "missing")


def test_an_unchanged_directory_is_the_same(tmp_path: Path) -> None:
    here = presence(tmp_path)
    assert [here.check(), here.check()] == [PresenceCheck.SAME, PresenceCheck.SAME]


def test_missing_since_survives_a_restart_until_the_root_is_back(tmp_path: Path) -> None:
    here = presence(tmp_path)
    here.spec.path.rename(tmp_path / "aside")
    assert here.check() is PresenceCheck.MISSING
    since = here.missing_since
    assert since is not None
    again = Presence(here.spec, tmp_path / "missing")
    assert again.check() is PresenceCheck.MISSING
    assert again.missing_since == since, "the thirty days do not start again"
    (tmp_path / "aside").rename(here.spec.path)
    assert again.check() is PresenceCheck.BACK
    assert again.missing_since is None
    assert not (tmp_path / "missing").exists()


def test_a_recreated_root_keeps_its_id(tmp_path: Path) -> None:
    here = presence(tmp_path)
    (tmp_path / "keeps the inode busy").mkdir()
    shutil.move(here.spec.path, tmp_path / "old")
    here.spec.path.mkdir()
    assert here.check() is PresenceCheck.REPLACED
    assert here.spec.id == "id"
    assert here.check() is PresenceCheck.SAME


def test_a_file_at_the_path_is_a_missing_root(tmp_path: Path) -> None:
    here = presence(tmp_path)
    here.spec.path.rmdir()
    here.spec.path.write_text("x")
    assert here.check() is PresenceCheck.MISSING


def test_a_missing_root_has_a_problem_that_says_why(tmp_path: Path) -> None:
    here = presence(tmp_path)
    assert here.problem is None
    path = here.spec.path
    path.rename(tmp_path / "aside")
    said = []
    for change in (lambda: None, lambda: path.symlink_to("aside"), path.unlink, lambda: path.write_text("x")):
        change()
        here.check()
        assert here.problem is not None
        said.append(here.problem.message.removeprefix(f"{path} is missing: "))
        assert (
            here.problem.hint == f"bring it back, add it at its new place, or delete its index: codeindex remove {path}"
        )
    assert said == [
        "there is no such directory",
        "its path leads over a symbolic link now",
        "there is no such directory",
        "it is not a directory now",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a tmpfs, which only root may do")
def test_an_empty_mount_point_is_a_missing_root(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "tmpfs", str(place)]
    subprocess.run(mount, check=True)
    try:
        (place / "a.py").write_text("x")
        status = place.stat()
        here = Presence(RootSpec("id", place, status.st_dev, status.st_ino), tmp_path / "missing")
        assert here.check() is PresenceCheck.SAME
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert here.check() is PresenceCheck.MISSING
    (place / "b.py").write_text("y")
    assert here.check() is PresenceCheck.REPLACED, "a directory with files is a root again"


def test_a_root_is_missing_although_no_marker_can_be_written(tmp_path: Path) -> None:
    here = presence(tmp_path)
    here = Presence(here.spec, tmp_path / "no such directory/missing")
    here.spec.path.rename(tmp_path / "aside")
    assert here.check() is PresenceCheck.MISSING
    (tmp_path / "aside").rename(here.spec.path)
    assert here.check() is PresenceCheck.BACK


@pytest.mark.parametrize("part", ["root", "root/above/deep"])
def test_a_link_at_the_path_is_a_missing_root(tmp_path: Path, part: str) -> None:
    """Even a link to the same directory: paths behind links are never indexed."""
    (tmp_path / "root/above/deep").mkdir(parents=True)
    place = tmp_path / part
    status = place.stat()
    here = Presence(RootSpec("id", place, status.st_dev, status.st_ino), tmp_path / "missing")
    assert here.check() is PresenceCheck.SAME
    moved = tmp_path / "root"
    moved.rename(tmp_path / "elsewhere")
    moved.symlink_to(tmp_path / "elsewhere")
    assert here.check() is PresenceCheck.MISSING
    moved.unlink()
    (tmp_path / "elsewhere").rename(moved)
    assert here.check() is PresenceCheck.BACK


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENAMETOOLONG, errno.ENOTCONN])
def test_an_error_that_says_nothing_about_absence_is_no_missing_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    here = presence(tmp_path)

    def fail(_path: Path) -> os.stat_result:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "lstat", fail)
    with pytest.raises(OSError, match=os.strerror(number)):
        here.check()
    assert not here.is_missing
    assert here.missing_since is None

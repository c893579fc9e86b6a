"""The directories of a user: where they are, and that they are private."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from codeindexd.daemon.paths import Paths, private_directory
from codeindexd.errors import ConfigError, FailedError


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    places = {f"XDG_{name}": str(tmp_path / name.lower()) for name in ("CONFIG_HOME", "STATE_HOME", "CACHE_HOME")}
    places["XDG_RUNTIME_DIR"] = str(tmp_path / "run")
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    return places


def test_paths_follow_the_platform_conventions(environ: dict[str, str], tmp_path: Path) -> None:
    paths = Paths.of_user(environ)
    assert paths.config_file == tmp_path / "config_home/codeindexd/config.toml"
    assert paths.socket == tmp_path / "run/codeindexd/codeindexd.sock"
    assert paths.roots_file == tmp_path / "state_home/codeindexd/roots.json"
    assert paths.vectors == tmp_path / "cache_home/codeindexd/vectors.db"


def test_created_directories_are_private_and_the_cache_is_tagged(environ: dict[str, str]) -> None:
    paths = Paths.of_user(environ)
    paths.create()
    paths.create()
    for directory in (paths.runtime, paths.state, paths.cache, paths.roots, paths.cookies):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert (paths.cache / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert not paths.config.exists()


def test_the_socket_variable_moves_only_the_socket(environ: dict[str, str], tmp_path: Path) -> None:
    paths = Paths.of_user({**environ, "CODEINDEXD_SOCKET": str(tmp_path / "x.sock")})
    assert paths.socket == tmp_path / "x.sock"
    assert paths.runtime == tmp_path / "run/codeindexd"
    with pytest.raises(ConfigError, match="too long"):
        Paths.of_user({**environ, "CODEINDEXD_SOCKET": "/" + "x" * 200})


def test_an_own_directory_that_is_open_to_others_is_made_private(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    private_directory(tmp_path / "open")
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o700


def test_a_file_instead_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FailedError, match="cannot use"):
        private_directory(tmp_path / "file")


def test_paths_that_everybody_could_replace_are_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(FailedError, match="is writable by everybody"):
        private_directory(shared / "ours")
    with pytest.raises(FailedError, match="is writable by everybody"):
        private_directory(shared / "deeper" / "ours")
    (tmp_path / "link").symlink_to(shared)
    with pytest.raises(FailedError, match="is writable by everybody"):
        private_directory(tmp_path / "link" / "ours")
    shared.chmod(0o1777)
    private_directory(shared / "ours")
    private_directory(tmp_path / "link" / "ours")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_paths_that_another_user_could_replace_are_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "ours").mkdir(parents=True)
    os.chown(theirs, 61234, 61234)
    with pytest.raises(FailedError, match=r"another user \(uid 61234\), who could replace"):
        private_directory(theirs / "ours")
    os.chown(theirs, os.geteuid(), os.getegid())
    os.chown(theirs / "ours", 61234, 61234)
    with pytest.raises(FailedError, match=r"ours belongs to another user \(uid 61234\)"):
        private_directory(theirs / "ours")
    (theirs / "link").symlink_to(theirs / "ours")
    with pytest.raises(FailedError, match=r"link belongs to another user \(uid 61234\)"):
        private_directory(theirs / "link")


def test_a_directory_moved_to_another_disk_by_its_owner_stays_usable(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir(mode=0o755)
    (tmp_path / "ours").symlink_to(tmp_path / "big")
    private_directory(tmp_path / "ours")
    assert stat.S_IMODE((tmp_path / "big").stat().st_mode) == 0o700


def test_directories_above_the_home_directory_are_not_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "all/me").mkdir(parents=True)
    (tmp_path / "all").chmod(0o777)
    monkeypatch.setenv("HOME", str(tmp_path / "all/me"))
    private_directory(tmp_path / "all/me/.cache/ours")
    (tmp_path / "all/me/.cache").chmod(0o777)
    with pytest.raises(FailedError, match="is writable by everybody"):
        private_directory(tmp_path / "all/me/.cache/ours")

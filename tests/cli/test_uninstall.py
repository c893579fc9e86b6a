"""``codeindex uninstall``: nothing of ours is left, and nothing of anybody else is touched."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codeindexd.cli import service_manager
from codeindexd.cli.codeindex import run
from codeindexd.cli.terminal import Terminal
from support.places import DAEMON


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh home at a short path, since it has a socket, without a service manager."""
    place = Path(tempfile.mkdtemp(prefix="cix"))
    for name in [name for name in os.environ if name.startswith(("XDG_", "CODEINDEX"))]:
        monkeypatch.delenv(name)
    (place / "run").mkdir(mode=0o700)
    (place / "project/.git").mkdir(parents=True)
    (place / "project/a.py").write_text("def f(): pass\n")
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place / "run"))
    monkeypatch.setenv("PYTHONPATH", str(DAEMON))
    monkeypatch.chdir(place / "project")
    yield place
    shutil.rmtree(place)


def codeindex(*words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run(list(words), dict(os.environ), Terminal(out, err, os.environ))
    return code, out.getvalue(), err.getvalue()


def result(*words: str) -> dict[str, Any]:
    return dict(json.loads(codeindex("uninstall", "--json", *words)[1]))


def files(home: Path) -> set[str]:
    """Return all files, and all directories that are not the shared ones of the user."""
    found = {str(path.relative_to(home)) for path in home.rglob("*")}
    shared = {".cache", ".config", ".local", ".local/state", "Library", "Library/Caches"}
    return found - shared - {".config/systemd", ".config/systemd/user", ".config/systemd/user/default.target.wants"}


@pytest.mark.processes
def test_a_purge_leaves_nothing(home: Path) -> None:
    (home / ".cursor").mkdir()
    before = files(home)
    assert codeindex("add")[0] == 0
    assert codeindex("search", "f")[0] == 0
    assert codeindex("config", "init")[0] == 0
    assert codeindex("agents", "install", "cursor", "--yes")[0] == 0
    assert codeindex("agents", "install", "claude-code", "agents-md", "--project", "--yes")[0] == 0
    command = [sys.executable, "-m", "codeindexd.cli.codeindex", "mcp"]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    _install_units()
    assert len(files(home) - before) > 20

    kept = result("--dry-run")
    assert (kept["deleted"], kept["kept"]) == ([], [])
    assert "did not make" not in codeindex("uninstall", "--dry-run")[2]
    code, out, _ = codeindex("uninstall", "--purge", "--yes")
    assert code == 0
    assert "the running daemon (pid " in out
    assert "codeindexd.service" in out
    assert f"{home}/.cursor/mcp.json" in out
    assert f"{home}/project/AGENTS.md" in out
    assert "to remove the package itself: " in out
    assert files(home) == before
    assert "nothing is set up" in codeindex("uninstall", "--purge", "--yes")[1]


def _install_units() -> None:
    """Write the files of the service and the link that enables it, as a manager would."""
    [unit, *others] = service_manager.Systemd(os.environ).rendered().items()
    for path, text in (unit, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    if sys.platform == "linux":
        wants = unit[0].parent / "default.target.wants"
        wants.mkdir()
        (wants / unit[0].name).symlink_to(unit[0])


@pytest.fixture(autouse=True)
def no_manager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide this machine's service manager."""
    (tmp_path / "bin").mkdir()
    for name in ("git", "env"):
        if (found := shutil.which(name)) is not None:
            (tmp_path / "bin" / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def directories(home: Path) -> tuple[Path, Path, Path]:
    cache, state, config = (home / name / "codeindexd" for name in (".cache", ".local/state", ".config"))
    for directory in (cache, state, config):
        directory.mkdir(parents=True)
    (cache / "roots/some").mkdir(parents=True)
    (cache / "roots/some/catalog.db").write_text("x")
    (state / "roots.json").write_text("{}")
    (config / "config.toml").write_text("")
    return cache, state, config


@pytest.mark.skipif(sys.platform != "linux", reason="the directories of Linux")
def test_foreign_files_in_our_directories_are_kept_and_named(home: Path) -> None:
    cache, state, config = directories(home)
    for directory in (cache, state, config):
        (directory / "notes.txt").write_text("mine")
    removed = result("--purge", "--yes")
    assert set(removed["kept"]) == {str(directory / "notes.txt") for directory in (cache, state, config)}
    assert removed["deleted"] == []
    assert {path.name for path in home.rglob("*") if path.is_file()} == {"notes.txt", "a.py"}


@pytest.mark.skipif(sys.platform != "linux", reason="the directories of Linux")
def test_links_are_removed_and_not_followed(home: Path) -> None:
    cache, _, _ = directories(home)
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("mine")
    shutil.rmtree(cache / "roots")
    (cache / "roots").symlink_to(elsewhere)
    (cache / "vectors.db").symlink_to(elsewhere / "precious")
    assert result("--purge", "--yes")["failures"] == []
    assert not cache.exists()
    assert (elsewhere / "precious").read_text() == "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="the directories of Linux")
def test_a_cache_on_another_disk_is_emptied(home: Path) -> None:
    cache, _, _ = directories(home)
    cache.rename(home / "disk")
    cache.symlink_to(home / "disk")
    assert result("--purge", "--yes")["failures"] == []
    assert not cache.is_symlink()
    assert list((home / "disk").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the directories of Linux")
def test_of_a_configuration_kept_elsewhere_only_the_link_is_removed(home: Path) -> None:
    _, _, config = directories(home)
    config.rename(home / "dotfiles")
    config.symlink_to(home / "dotfiles")
    removed = result("--purge", "--yes")
    assert (removed["failures"], removed["kept"]) == ([], [])
    assert not config.is_symlink()
    assert (home / "dotfiles/config.toml").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the directories of Linux")
def test_one_of_our_directories_may_be_inside_another_or_equal_to_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "x"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "x"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "x/codeindexd"))
    (home / "x/codeindexd/roots/some").mkdir(parents=True)
    (home / "x/codeindexd/roots/some/catalog.db").write_bytes(b"x" * 500_000)
    (home / "x/codeindexd/codeindexd").mkdir()
    (home / "x/codeindexd/codeindexd/config.toml").write_text("")
    assert f"directory: {home}/x/codeindexd (0.5 MB)" in codeindex("uninstall", "--purge", "--dry-run")[1]
    removed = result("--purge", "--yes")
    assert (removed["failures"], removed["kept"]) == ([], [])
    assert list((home / "x").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the directories of Linux")
def test_what_cannot_be_deleted_is_a_failure_and_not_said_to_be_foreign(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, state, config = directories(home)

    def busy(path: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", busy)
        removed = result("--purge", "--yes")
    assert [one["message"] for one in removed["failures"]] == [
        f"cannot delete {cache / 'roots'}: Device or resource busy"
    ]
    assert removed["kept"] == []
    assert removed["deleted"] == [str(state), str(config)]


def _hang_up(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it was shut down
        while True:
            listener.accept()[0].close()


@pytest.mark.skipif(sys.platform != "linux", reason="the directories of Linux")
def test_a_socket_at_which_another_program_answers_is_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directories(home)
    monkeypatch.setenv("CODEINDEXD_SOCKET", str(home / "other.sock"))
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(home / "other.sock"))
        other.listen()
        answering = threading.Thread(target=_hang_up, args=[other])
        answering.start()
        result("--purge", "--yes")
        assert (home / "other.sock").exists()
        other.shutdown(socket.SHUT_RDWR)
        answering.join()
    result("--purge", "--yes")
    assert not (home / "other.sock").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the directories of Linux")
def test_without_purge_the_indexes_and_the_configuration_stay(home: Path) -> None:
    directories(home)
    before = files(home)
    code, out, _ = codeindex("uninstall", "--yes")
    assert code == 0
    assert "to delete them: --purge" in out
    assert files(home) == before


def test_it_asks(home: Path) -> None:
    directories(home)
    code, out, err = codeindex("uninstall", "--purge")
    assert (code, "this will be removed" in out, "--yes" in err) == (2, True, True)
    code, out, _ = codeindex("uninstall", "--purge", "--json")
    assert (code, json.loads(out)["error"]["message"]) == (2, "--json cannot ask for confirmation")

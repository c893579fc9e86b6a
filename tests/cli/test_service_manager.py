"""The installed files: the shipped units with this installation's program, otherwise unchanged."""

from __future__ import annotations

import plistlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from codeindexd.cli import service_manager
from codeindexd.daemon.activation import LAUNCHD_SOCKET
from codeindexd.errors import FailedError
from support.places import PROJECT


@pytest.fixture
def odd_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An installation in a directory whose name must be quoted in unit files."""
    directory = tmp_path / "my 100% $HOME; env"
    directory.mkdir()
    (directory / "codeindexd").touch()
    monkeypatch.setattr(sys, "executable", str(directory / "python"))
    return directory / "codeindexd"


def test_only_the_program_is_changed_in_the_unit() -> None:
    files = service_manager.Systemd({"HOME": "/home/me"}).rendered()
    directory = Path("/home/me/.config/systemd/user")
    assert files.keys() == {directory / "codeindexd.service", directory / "codeindexd.socket"}
    shipped = (PROJECT / "systemd/codeindexd.service").read_text().splitlines()
    rendered = files[directory / "codeindexd.service"].decode().splitlines()
    differing = [line for line, original in zip(rendered, shipped, strict=True) if line != original]
    assert differing == [f"ExecStart={' '.join(service_manager.program())}"]
    assert files[directory / "codeindexd.socket"] == (PROJECT / "systemd/codeindexd.socket").read_bytes()


def test_a_relative_directory_for_configuration_is_ignored() -> None:
    files = service_manager.Systemd({"HOME": "/home/me", "XDG_CONFIG_HOME": "relative"}).rendered()
    assert {file.parent for file in files} == {Path("/home/me/.config/systemd/user")}


def test_the_program_is_the_script_beside_the_interpreter(odd_program: Path) -> None:
    assert service_manager.program() == (str(odd_program),)


def test_without_a_script_the_interpreter_runs_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert service_manager.program() == (str(tmp_path / "python"), "-P", "-m", "codeindexd")


def test_odd_program_paths_are_quoted_for_systemd(odd_program: Path) -> None:
    files = service_manager.Systemd({"XDG_CONFIG_HOME": "/c"}).rendered()
    unit = files[Path("/c/systemd/user/codeindexd.service")].decode()
    [line] = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert line == f'ExecStart="{str(odd_program).replace("%", "%%")}"', "systemd expands no variable in the program"


def test_the_agent_names_program_and_socket() -> None:
    manager = service_manager.Launchd({"HOME": "/Users/me", "CODEINDEXD_SOCKET": "/tmp/me/sock"})
    [(path, text)] = manager.rendered().items()
    assert path == Path("/Users/me/Library/LaunchAgents/io.github.codeindexd.plist")
    agent = plistlib.loads(text)
    shipped = plistlib.loads((PROJECT / "launchd/io.github.codeindexd.plist").read_bytes())
    assert agent["Label"] == path.stem
    assert agent["ProgramArguments"] == list(service_manager.program())
    assert agent["Sockets"] == {LAUNCHD_SOCKET: {"SockPathName": "/tmp/me/sock", "SockPathMode": 0o600}}
    assert agent["Umask"] == 0o077
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent.keys() == shipped.keys()


def test_a_file_that_is_not_shipped_is_an_error() -> None:
    with pytest.raises(FailedError, match="missing from this installation"):
        service_manager.shipped("systemd", "other.service")


def test_without_systemd_the_hint_names_an_alternative(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    with pytest.raises(FailedError, match="systemd is not installed") as caught:
        service_manager.Systemd(environ).check()
    assert "autostart" in caught.value.hint


def test_the_wheel_contains_the_units(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=PROJECT,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for directory, name in [("systemd", "codeindexd.service"), ("launchd", "io.github.codeindexd.plist")]:
            assert archive.read(f"codeindexd/service/{directory}/{name}") == service_manager.shipped(directory, name)

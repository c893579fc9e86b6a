"""The user's installed service, from a client's point of view: starts it, and finds which program it runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from codeindexd.protocol.places import given_directory

SYSTEMD_UNIT = "codeindexd.service"
_START_TIMEOUT_S = 30.0
_SHOW_TIMEOUT_S = 5.0
_HEAD_BYTES = 4096  # of a script; its interpreter is named there


def start(environ: Mapping[str, str]) -> bool:
    """Start the service; return False if it is not installed or cannot be started."""
    if sys.platform == "darwin":
        return any(
            _succeeds(["launchctl", "kickstart", f"gui/{os.getuid()}/{agent.stem}"], os.environ) for agent in _agents()
        )
    return _has_unit(environ) and _succeeds(["systemctl", "--user", "start", SYSTEMD_UNIT], environ)


def is_installed(environ: Mapping[str, str]) -> bool:
    """Return True if the user has a service for the daemon."""
    return bool(_agents()) if sys.platform == "darwin" else _has_unit(environ)


def foreign_program(environ: Mapping[str, str]) -> str:
    """Return the program that the service would start if it belongs to another installation, else ""."""
    for program in _programs(environ):
        if not _is_ours(program):
            return program
    return ""


def _programs(environ: Mapping[str, str]) -> list[str]:
    """Return the programs of the installed services, as their manager understands the unit files."""
    if sys.platform == "darwin":
        return [program for agent in _agents() if (program := _program_of(agent))]
    if not _has_unit(environ):
        return []
    command = ["systemctl", "--user", "show", SYSTEMD_UNIT, "--property=ExecStart"]
    try:
        done = subprocess.run(
            command,
            env=dict(environ),
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=_SHOW_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []  # then the manager cannot start a service either
    return re.findall(r"(?m)^ExecStart=\{ path=(.*?) ; argv\[\]=", done.stdout)


def _is_ours(program: str) -> bool:
    """Return True if ``program`` is this interpreter, or a script that this interpreter runs.

    Compares the interpreters' directories: an interpreter has several names in its directory, and the interpreters of
    virtual environments are links to a shared file.
    """
    interpreter = program
    if not Path(program).name.startswith("python"):
        try:
            with Path(program).open("rb") as script:
                found = re.search(rb"(/[^\n\"']*/)python", script.read(_HEAD_BYTES))
        except OSError:
            return False
        if found is None:
            return False
        interpreter = os.fsdecode(found[1]) + "python"
    return os.path.realpath(Path(interpreter).parent) == os.path.realpath(Path(sys.executable).parent)


def _has_unit(environ: Mapping[str, str]) -> bool:
    home = Path(environ.get("HOME") or Path.home())
    config = Path(given_directory(environ, "XDG_CONFIG_HOME") or home / ".config")
    data = Path(given_directory(environ, "XDG_DATA_HOME") or home / ".local/share")
    system = [Path("/etc/systemd/user"), Path("/usr/local/lib/systemd/user"), Path("/usr/lib/systemd/user")]
    directories = [config / "systemd/user", data / "systemd/user", *system]
    return any((directory / SYSTEMD_UNIT).exists() for directory in directories)


def _agents() -> list[Path]:
    return list((Path.home() / "Library" / "LaunchAgents").glob("*codeindexd*.plist"))


def _program_of(agent: Path) -> str:
    import plistlib

    try:
        return str(plistlib.loads(agent.read_bytes())["ProgramArguments"][0])
    except (OSError, ValueError, KeyError, IndexError, TypeError, plistlib.InvalidFileException):
        return ""


def _succeeds(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(command, env=dict(environ), capture_output=True, timeout=_START_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0

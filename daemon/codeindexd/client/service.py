"""The user's service, as far as a client is concerned: starting it, and whose daemon it starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

SYSTEMD_UNIT = "codeindexd.service"
_START_S = 30.0
_ASK_S = 5.0
_HEAD = 4096  # bytes of a script, in which its interpreter stands


def start(environ: Mapping[str, str]) -> bool:
    """Whether the user's service manager took the job; False where the service is not installed."""
    if sys.platform == "darwin":
        return any(
            _runs(["launchctl", "kickstart", f"gui/{os.getuid()}/{agent.stem}"], os.environ) for agent in _agents()
        )
    return _has_unit(environ) and _runs(["systemctl", "--user", "start", SYSTEMD_UNIT], environ)


def foreign_program(environ: Mapping[str, str]) -> str:
    """The program of another installation that the service would start in place of ours; "" where there is none."""
    for program in _programs(environ):
        if not _is_ours(program):
            return program
    return ""


def _programs(environ: Mapping[str, str]) -> list[str]:
    """What the installed services run, as their manager understands it."""
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
            timeout=_ASK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []  # it cannot start one either
    return re.findall(r"(?m)^ExecStart=\{ path=(.*?) ; argv\[\]=", done.stdout)


def _is_ours(program: str) -> bool:
    """Whether ``program`` is this interpreter, or a script that this interpreter runs, by their directories: an
    interpreter has several names there, and environments share the file that these lead to."""
    interpreter = program
    if not Path(program).name.startswith("python"):
        try:
            with Path(program).open("rb") as script:
                found = re.search(rb"(/[^\n\"']*/)python", script.read(_HEAD))
        except OSError:
            return False
        if found is None:
            return False
        interpreter = os.fsdecode(found[1]) + "python"
    return os.path.realpath(Path(interpreter).parent) == os.path.realpath(Path(sys.executable).parent)


def _has_unit(environ: Mapping[str, str]) -> bool:
    home = Path(environ.get("HOME") or Path.home())
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
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


def _runs(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(command, env=dict(environ), capture_output=True, timeout=_START_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0

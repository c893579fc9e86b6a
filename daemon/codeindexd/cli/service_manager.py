"""Installs, removes and describes the systemd user units or the launchd agent.

The installed files are the project's files in ``systemd/`` and ``launchd/``, with the path of the installed program.
"""

from __future__ import annotations

import contextlib
import os
import plistlib
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import codeindexd
from codeindexd import protocol
from codeindexd.cli import installed_by
from codeindexd.errors import FailedError
from codeindexd.protocol.places import given_directory
from codeindexd.storage.durable import replace_file

SERVICE = "codeindexd.service"
SOCKET = "codeindexd.socket"
LABEL = "io.github.codeindexd"
_MANAGER_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class ServiceOutcome:
    """The result of an action: the ``files`` installed or removed, whether any ``changed``, and notes for the user."""

    manager: str
    files: tuple[Path, ...]
    changed: bool
    running: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The state of the service. ``current`` is True if the files equal this version's.

    ``detail`` is the manager's description.
    """

    manager: str
    installed: bool
    current: bool
    enabled: bool
    running: bool
    files: tuple[Path, ...]
    detail: str = ""


def install(environ: Mapping[str, str] = os.environ) -> ServiceOutcome:
    """Install and enable the service, and start it unless another daemon is running. Idempotent.

    Raises FailedError if this user has no service manager or a file cannot be written, or if our environment is
    temporary, so that the service would soon have no program.
    """
    if installed_by.runner():
        message = f"this installation is temporary: {installed_by.installer().value} made it"
        raise FailedError(message, hint="install it first, for example: uv tool install codeindexd")
    manager = _manager(environ)
    manager.check()
    files = manager.rendered()
    changed = [path for path, text in files.items() if _read(path) != text]
    for path in changed:
        _write(path, files[path])
    notes = manager.enable(changed=bool(changed))
    return ServiceOutcome(manager.name, tuple(files), bool(changed), manager.is_running(), tuple(notes))


def uninstall(environ: Mapping[str, str] = os.environ) -> ServiceOutcome:
    """Stop, disable and remove the service; the index is kept. Idempotent. Raises FailedError."""
    manager = _manager(environ)
    files = [path for path in manager.rendered() if path.exists()]
    if files:
        manager.check()
        manager.disable()
        for path in files:
            path.unlink(missing_ok=True)
        manager.reload_after_removal()
    return ServiceOutcome(manager.name, tuple(files), bool(files), running=False)


def installed_files(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return the files of the service that exist. Raises FailedError if a file of this installation is missing."""
    return tuple(path for path in _manager(environ).rendered() if path.exists())


def remove(environ: Mapping[str, str] = os.environ) -> None:
    """Remove the service as :func:`uninstall` does, or if no manager answers, only its files. Raises FailedError."""
    try:
        uninstall(environ)
    except FailedError:
        manager = _manager(environ)
        try:
            for path in (*manager.rendered(), *manager.links()):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise FailedError(
                f"cannot remove {error.filename}: {error.strerror}", hint="check its permissions"
            ) from None


def status(environ: Mapping[str, str] = os.environ) -> ServiceStatus:
    """Return the state of the service. Raises FailedError if a file of this installation is missing."""
    manager = _manager(environ)
    files = manager.rendered()
    existing = [path for path in files if path.exists()]
    try:
        manager.check()
    except FailedError as error:
        return ServiceStatus(
            manager.name,
            installed=bool(existing),
            current=False,
            enabled=False,
            running=False,
            files=tuple(existing),
            detail=error.message,
        )
    return ServiceStatus(
        manager.name,
        installed=len(existing) == len(files),
        current=all(_read(path) == text for path, text in files.items()),
        enabled=manager.is_enabled(),
        running=manager.is_running(),
        files=tuple(existing),
        detail=manager.describe(),
    )


# the managers


class Systemd:
    """The user manager of systemd."""

    name = "systemd"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        config = given_directory(environ, "XDG_CONFIG_HOME") or str(_home(environ) / ".config")
        self._directory = Path(config) / "systemd" / "user"

    def rendered(self) -> dict[Path, bytes]:
        """Return the contents of the unit files, by installation path."""
        service = shipped("systemd", SERVICE).decode()
        service = re.sub(r"(?m)^ExecStart=.*$", lambda _match: f"ExecStart={_exec_start(program())}", service)
        return {self._directory / SERVICE: service.encode(), self._directory / SOCKET: shipped("systemd", SOCKET)}

    def links(self) -> list[Path]:
        """Return the links that enable the units."""
        return [link for name in (SERVICE, SOCKET) for link in self._directory.glob(f"*.wants/{name}")]

    def check(self) -> None:
        """Raise FailedError if no user manager answers."""
        if not shutil.which("systemctl", path=self._environ.get("PATH")):
            raise FailedError(
                "systemd is not installed",
                hint="add `codeindexd` to your session's autostart, or do nothing: clients start it when needed",
            )
        answer = self._systemctl("show", "--property=Version", "--value")
        if answer.returncode:
            raise FailedError(
                f"no systemd user manager answers: {_last_line(answer.stderr)}",
                hint="log in again, which sets XDG_RUNTIME_DIR, or enable lingering: sudo loginctl enable-linger $USER",
            )

    def enable(self, *, changed: bool) -> list[str]:
        """Enable both units, and start them unless a daemon is running; return notes for the user."""
        if changed:
            self._systemctl_checked("daemon-reload")
        self._systemctl_checked("enable", SERVICE)
        if not self.is_running() and not self._is_active(SOCKET) and _is_answering(self._environ):
            return ["another daemon is running; the service takes over when it ends"]
        self._systemctl_checked("restart" if changed and self.is_running() else "start", SERVICE)
        return []

    def disable(self) -> None:
        """Stop and disable both units."""
        self._systemctl_checked("disable", "--now", SERVICE, SOCKET)

    def reload_after_removal(self) -> None:
        """Make the manager notice that the files have been removed."""
        self._systemctl_checked("daemon-reload")
        self._systemctl("reset-failed", SERVICE)

    def is_enabled(self) -> bool:
        """Return True if the service starts with the session."""
        return self._systemctl("is-enabled", "--quiet", SERVICE).returncode == 0

    def is_running(self) -> bool:
        """Return True if the service is running."""
        return self._is_active(SERVICE)

    def describe(self) -> str:
        """Return the state, process id and status text of the service."""
        shown = self._systemctl("show", SERVICE, "--property=ActiveState,SubState,MainPID,StatusText").stdout
        values = dict(line.partition("=")[::2] for line in shown.splitlines())
        text = f"{values.get('ActiveState')} ({values.get('SubState')})"
        if values.get("MainPID", "0") != "0":
            text += f", pid {values['MainPID']}"
        return f"{text}: {values['StatusText']}" if values.get("StatusText") else text

    def _is_active(self, unit: str) -> bool:
        return self._systemctl("is-active", "--quiet", unit).returncode == 0

    def _systemctl_checked(self, *arguments: str) -> None:
        answer = self._systemctl(*arguments)
        if answer.returncode:
            raise FailedError(
                f"systemctl --user {' '.join(arguments)} failed: {_last_line(answer.stderr)}",
                hint=f"see `systemctl --user status {SERVICE}` and `journalctl --user -u {SERVICE}`",
            )

    def _systemctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _run(["systemctl", "--user", "--no-ask-password", "--no-pager", *arguments], self._environ)


class Launchd:
    """launchd, in the domain of the user's desktop session."""

    name = "launchd"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._path = _home(environ) / "Library" / "LaunchAgents" / f"{LABEL}.plist"
        self._domain = f"gui/{os.getuid()}"

    def rendered(self) -> dict[Path, bytes]:
        """Return the content of the agent file, by installation path."""
        agent = plistlib.loads(shipped("launchd", f"{LABEL}.plist"))
        agent["ProgramArguments"] = list(program())
        agent["Sockets"]["Listener"]["SockPathName"] = protocol.socket_path(self._environ)
        return {self._path: plistlib.dumps(agent)}

    def links(self) -> list[Path]:
        """Return nothing: an agent is enabled by its file."""
        return []

    def check(self) -> None:
        """Raise FailedError if launchd has no session of this user."""
        answer = self._launchctl("print", self._domain)
        if answer.returncode:
            raise FailedError(
                f"launchd has no session of this user: {_last_line(answer.stderr)}",
                hint="run this in a terminal of your desktop session, not over ssh",
            )

    def enable(self, *, changed: bool) -> list[str]:
        """Load the agent, or reload it if it changed; return notes for the user."""
        if not changed and self.is_enabled():
            return []
        if not self.is_enabled() and _is_answering(self._environ):
            return ["another daemon is running; the service takes over at your next login"]
        with contextlib.suppress(OSError):
            Path(protocol.socket_path(self._environ)).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._launchctl("bootout", f"{self._domain}/{LABEL}")
        answer = self._launchctl("bootstrap", self._domain, str(self._path))
        if answer.returncode:
            raise FailedError(
                f"launchctl bootstrap failed: {_last_line(answer.stderr)}",
                hint=f"see `launchctl print {self._domain}/{LABEL}`",
            )
        return []

    def disable(self) -> None:
        """Unload the agent, which stops it."""
        self._launchctl("bootout", f"{self._domain}/{LABEL}")

    def reload_after_removal(self) -> None:
        """Do nothing: launchd keeps no state of a removed agent."""

    def is_enabled(self) -> bool:
        """Return True if the agent is loaded."""
        return self._launchctl("print", f"{self._domain}/{LABEL}").returncode == 0

    def is_running(self) -> bool:
        """Return True if the agent's process is running."""
        return "state = running" in self._launchctl("print", f"{self._domain}/{LABEL}").stdout

    def describe(self) -> str:
        """Return the state, process id and last exit code of the agent."""
        shown = self._launchctl("print", f"{self._domain}/{LABEL}").stdout
        facts = re.findall(r"(?m)^\s*(state|pid|last exit code) = (.+)$", shown)
        return ", ".join(f"{name} {value}" for name, value in facts)

    def _launchctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _run(["launchctl", *arguments], self._environ)


def _manager(environ: Mapping[str, str]) -> Systemd | Launchd:
    if sys.platform == "darwin":
        return Launchd(environ)
    return Systemd(environ)


def program() -> tuple[str, ...]:
    """Return the command that runs this installation's daemon: its script, or if there is none the interpreter's."""
    script = Path(sys.executable).parent / "codeindexd"
    return (str(script),) if script.exists() else (sys.executable, "-P", "-m", "codeindexd")


def shipped(directory: str, name: str) -> bytes:
    """Return a file of the project's ``systemd/`` or ``launchd/``, from the wheel or a checkout. Raises FailedError."""
    code = Path(codeindexd.__file__).resolve().parent
    for place in (code / "service" / directory / name, code.parents[1] / directory / name):
        with contextlib.suppress(FileNotFoundError):
            return place.read_bytes()
    raise FailedError(f"{directory}/{name} is missing from this installation", hint="reinstall codeindexd")


def _exec_start(command: Sequence[str]) -> str:
    """Return a command in the syntax of ExecStart (systemd.service(5)). Raises FailedError if it cannot express it."""
    program, *arguments = command
    if re.search(r"[\x00-\x1f\x7f\"'\\]", program):
        hint = "install codeindexd at a path without quotes, backslashes and control characters"
        raise FailedError(f"systemd cannot start {program!r}", hint=hint)
    words = [program, *(text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$") for text in arguments)]
    return " ".join(f'"{text}"' if re.search(r"[\s\"'\\;]", text) else text for text in words).replace("%", "%%")


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or Path.home())


def _is_answering(environ: Mapping[str, str]) -> bool:
    """Return True if a daemon listens at the socket. Raises FailedError if it is another user's process."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        path = protocol.socket_path(environ)
        if probe.connect_ex(path):
            return False
        protocol.check_peer(probe, path)
        return True


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _write(path: Path, text: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text)
    except OSError as error:
        raise FailedError(f"cannot write {path}: {error.strerror}", hint="check its permissions") from error


def _run(command: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of the service manager; its exit code is not checked. Raises FailedError if it cannot be run."""
    try:
        return subprocess.run(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_MANAGER_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FailedError(
            f"cannot run {command[0]}: {error}", hint="check that the service manager is running"
        ) from error


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2] or "it gave no reason"

"""A real ``systemd --user``, booted for a test where PID 1 need not be systemd, with a home of its own.

Needs root (to write control groups) and Debian's packages systemd and dbus-user-session. The manager keeps uid 0 but
gives up every capability, so that units have the limits of an ordinary user's manager but can still read an interpreter
in root's home. There is no journald: the output of services is in the manager's log.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.daemons import until

_BOOTED = Path("/run/systemd/system")
_CGROUPS = [Path("/sys/fs/cgroup") / name for name in ("systemd", "unified", "")]
_MANAGERS = [Path("/usr/lib/systemd/systemd"), Path("/lib/systemd/systemd")]


def why_not() -> str:
    """Return what is missing for a user manager, or "" when nothing is."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "needs root"
    for program in ("systemctl", "systemd-analyze", "setpriv", "dbus-daemon"):
        if not shutil.which(program):
            return f"needs {program}"
    if not any(path.exists() for path in _MANAGERS):
        return "needs systemd"
    return "" if any((path / "cgroup.procs").exists() for path in _CGROUPS) else "needs control groups"


class UserManager:
    """A running manager: ``run`` commands in its session."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.runtime = home / "run"
        self.log_file = home / "manager.log"
        self.runtime.mkdir(mode=0o700)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a session of this manager."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return kept | {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime)}

    @property
    def log(self) -> str:
        """What the manager and its services printed."""
        return self.log_file.read_text(errors="replace")

    def run(self, *command: str, check: bool = True, **more: str) -> str:
        """Run a command in the session and return its output. Raises AssertionError with all output when it fails."""
        done = subprocess.run(
            command,
            env=self.environment | more,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = f"{' '.join(command)}: {done.stdout}{done.stderr}\n--- manager:\n{self.log[-3000:]}"
        assert not check or done.returncode == 0, said
        return done.stdout.strip()

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        """Run ``systemctl --user``."""
        return self.run("systemctl", "--user", *arguments, check=check)

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.systemctl("show", unit, f"--property={name}", "--value")


@contextmanager
def user_manager() -> Iterator[UserManager]:
    """Start a manager in a short temporary home; it and everything it started end with the block."""
    home = Path(tempfile.mkdtemp(prefix="cis"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        stack.enter_context(_one_at_a_time())
        if not _BOOTED.exists():
            _BOOTED.mkdir(parents=True)  # how systemd's programs recognise a system that runs systemd
            stack.callback(_BOOTED.rmdir)
        groups = stack.enter_context(_control_groups(f"codeindexd-test-{os.getpid()}"))
        manager = UserManager(home)
        stack.enter_context(_booted(manager, groups))
        yield manager


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for the managers of other test processes: the mark of a booted system belongs to the whole machine."""
    with (Path(tempfile.gettempdir()) / "codeindexd-user-manager.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _control_groups(name: str) -> Iterator[list[Path]]:
    groups = [path / name for path in _CGROUPS if (path / "cgroup.procs").exists()]
    for group in groups:
        group.mkdir()
    try:
        yield groups
    finally:
        for group in groups:
            until(lambda group=group: _emptied(group), what=f"the end of {group}")  # type: ignore[misc]


def _emptied(group: Path) -> bool:
    """Kill what is left in a control group that we created, and remove it."""
    for directory, _, _ in os.walk(group, topdown=False):
        for pid in (Path(directory) / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        with contextlib.suppress(OSError):
            Path(directory).rmdir()
    return not group.exists()


@contextmanager
def _booted(manager: UserManager, groups: list[Path]) -> Iterator[None]:
    def enter() -> None:
        for group in groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    program = next(str(path) for path in _MANAGERS if path.exists())
    powerless = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
    with manager.log_file.open("wb") as log:
        process = subprocess.Popen(
            [*powerless, program, "--user"],
            env=manager.environment | {"SYSTEMD_LOG_TARGET": "console"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=enter,
            start_new_session=True,
            cwd=manager.home,
        )
    try:
        until(lambda: _is_up(manager, process), timeout_s=60, what="the user manager")
        yield
    finally:
        manager.systemctl("exit", check=False)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_up(manager: UserManager, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, f"the user manager ended: {manager.log[-3000:]}"
    return manager.systemctl("is-system-running", check=False) in ("running", "degraded")

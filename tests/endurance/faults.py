"""Real faults under a real daemon: what it reports, whether it answers, and how soon it is fresh again.

A :class:`Scene` is a daemon over a small root, with a cache on a disk of its own where a fault needs one. Nothing here
is a mock: disks are full, limits are reached, files cannot be read. Most of it needs root, for mounts and limits.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.daemons import RawClient, RealDaemon, real_daemon, until
from support.trees import tree

HERE = Path(__file__).parent
FILES = 24
_WORKERS = "[workers]\nnice = 0\ncount = 1\n"
# uid 0 without these meets permissions like anybody else, and can still read an interpreter in root's home
ORDINARY = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-sys_resource", "--inh-caps=-all", "--"]


class Scene:
    """A daemon over a root of small files."""

    def __init__(self, daemon: RealDaemon, root: Path) -> None:
        self.daemon = daemon
        self.root = root
        self.client: RawClient
        self.said = ""
        self.wanted: dict[str, str] = {}  # name of a function -> file it is in
        self.gone: set[str] = set()
        self._round = 0
        for number in range(FILES):
            self.write(f"p{number % 4}/steady{number}.py", f"steady_{number}")

    @property
    def pid(self) -> int:
        """Of the daemon."""
        assert self.daemon.process is not None
        return self.daemon.process.pid

    @property
    def cache(self) -> Path:
        """Where the stores are."""
        return self.daemon.home / "cache/codeindexd"

    def start(self) -> None:
        """Start the daemon and index the root."""
        self.daemon.start()
        self.client = self.daemon.client()
        self.client.call("roots.add", path=str(self.root), wait=True).result  # noqa: B018 - raises
        until(lambda: self.state == "fresh", what="the first index")

    def revive(self) -> None:
        """Start the daemon again if it ended, as a service manager does."""
        self.daemon.start()
        self.client = self.daemon.client()

    def write(self, path: str, name: str, functions: int = 3) -> None:
        """Write a file with a function of that name, and more."""
        more = "".join(
            f"\n\ndef {name}_part{n}(value):\n    return 'words of part {n}', value\n" for n in range(functions)
        )
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"def {name}(value):\n    return '{name} of {path}'\n{more}")
        self.wanted[name] = path

    def change(self, functions: int = 40) -> None:
        """Do what a user may do meanwhile: new files, a save, a removal, a move, a directory."""
        self._round += 1
        part = f"r{self._round}"
        for number in range(8):
            self.write(f"new{part}/new{number}.py", f"fresh_{part}_{number}", functions)
        self.write(f"p1/steady{4 * self._round + 1}.py", f"saved_{part}", functions)
        self.gone.add(f"steady_{4 * self._round + 1}")
        (self.root / f"p2/steady{4 * self._round + 2}.py").unlink()
        self.gone.add(f"steady_{4 * self._round + 2}")
        (self.root / f"p3/steady{4 * self._round + 3}.py").rename(self.root / f"moved{part}.py")
        self.wanted[f"steady_{4 * self._round + 3}"] = f"moved{part}.py"
        for name in self.gone:
            self.wanted.pop(name, None)

    @property
    def status(self) -> dict[str, Any]:
        """Return what ``status`` says about the root; a refusal counts as a problem."""
        try:
            reply = self.client.call("status")
        except ConnectionError:
            return {"state": "degraded", "problems": [{"message": "the daemon ended", "hint": "it is started again"}]}
        if "error" in reply:
            problem = {"message": reply["error"]["message"], "hint": reply["error"]["data"]["hint"]}
            return {"state": "degraded", "problems": [problem]}
        entry: dict[str, Any] = reply["result"]["roots"][0]
        return entry

    @property
    def state(self) -> str:
        """Return the root's state, and note what it reports."""
        status = self.status
        for problem in status["problems"]:
            self.said = f"{problem['message']} ({problem['hint']})"
        return str(status["state"])

    def degraded(self) -> bool:
        """Return True if the root reports a problem and a remedy."""
        return self.state == "degraded" and any(problem["hint"] for problem in self.status["problems"])

    def answers(self) -> bool:
        """Return True if untouched code is still found, over an old connection."""
        try:
            reply = self.client.call("search", query="steady_0")
        except ConnectionError:
            return False
        return "result" in reply and any(hit["path"] == "p0/steady0.py" for hit in reply["result"]["hits"])

    def caught_up(self) -> bool:
        """Return True if the root is fresh and has every change, without a request."""
        return self.state == "fresh" and self.complete()

    def complete(self) -> bool:
        """Return True if every change is indexed."""
        return all(self.found(name) == path for name, path in self.wanted.items())

    def found(self, name: str) -> str:
        """Return the file that holds the definition of ``name``."""
        reply = self.client.call("symbol", name=name)
        definitions = reply["result"]["definitions"] if "result" in reply else []
        return str(definitions[0]["path"]) if definitions else ""

    def differences(self) -> list[Any]:
        """Return what a sync, a verification and a search for removed code still find wrong."""
        self.client.call("sync").result  # noqa: B018 - raises
        found = [name for name in self.gone if self.found(name)]
        verified = self.client.call("verify").result
        return found + [one for root in verified["roots"] for one in root["differences"]]


@dataclass(frozen=True)
class Fault:
    """One fault: how the scene is set up for it, and what happens while the context ``strikes`` is open.

    ``disk``: which directory of the daemon's home is a tmpfs of ``disk_mb`` megabytes; ``shim``: below which of them
    system calls can be made to fail; ``prefix``: what runs the daemon. ``says`` must occur in what the root says
    meanwhile, or, if it is ``silent``, in the reply that ``during`` noted or in the log. ``answers``:
    queries must go on. ``fatal``: the daemon may end of it, and is started again by its service manager (here: by the
    test). ``bound_s``: from the end of the fault until everything is in, on a quiet machine.
    """

    name: str
    strikes: Callable[[Scene], AbstractContextManager[None]]
    says: str
    disk: str = ""
    disk_mb: int = 64
    prefix: tuple[str, ...] = ()
    shim: str = ""
    fast: bool = False
    silent: bool = False
    fatal: bool = False
    answers: bool = True
    bound_s: float = 15.0
    during: Callable[[Scene], None] = Scene.change


@dataclass(frozen=True)
class Outcome:
    """The outcome of one fault."""

    fault: str
    said: str
    answered: bool
    recovery_s: float
    differences: list[Any]


def suffer(fault: Fault) -> Outcome:
    """Put a daemon through one fault. Raises AssertionError if it reports nothing or does not recover."""
    with staged(fault) as scene, told(scene):
        with fault.strikes(scene):
            fault.during(scene)
            if fault.silent:
                until(lambda: fault.says in scene.said + scene.daemon.log, timeout_s=60, what=f"{fault.says!r} said")
            else:
                until(lambda: scene.degraded() and fault.says in scene.said, timeout_s=60, what=f"{fault.says!r} said")
            answered = scene.answers()
            assert scene.daemon.process is not None
            assert fault.fatal or scene.daemon.process.poll() is None, scene.daemon.log[-3000:]
        began = time.monotonic()
        if scene.daemon.process.poll() is not None:
            scene.revive()
        until(scene.caught_up, timeout_s=180, what="recovery")
        seconds = time.monotonic() - began
        return Outcome(fault.name, scene.said, answered, seconds, scene.differences())


@contextmanager
def told(scene: Scene) -> Iterator[None]:
    """Add the daemon's log to every failure inside the block."""
    try:
        yield
    except Exception as error:
        error.add_note(f"said: {scene.said}\n{scene.daemon.log[-4000:]}")
        raise


@contextmanager
def staged(fault: Fault) -> Iterator[Scene]:
    """Yield a scene prepared for the fault, with a fresh root."""
    with ExitStack() as stack:
        daemon = stack.enter_context(real_daemon(_WORKERS, start=False))
        if fault.disk:
            stack.enter_context(small_disk(daemon.home / fault.disk, fault.disk_mb))
        if fault.disk == "logs":
            (daemon.home / "daemon.log").symlink_to(daemon.home / "logs/daemon.log")
        daemon.prefix = list(fault.prefix)
        if fault.shim:
            library = compiled_shim(daemon.home)
            daemon.extra = {
                "LD_PRELOAD": str(library),
                "FAIL_BELOW": str(daemon.home / fault.shim),
                "FAIL_HOW": str(daemon.home / "how"),
            }
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cixroot")))
        root.chmod(0o755)
        scene = Scene(daemon, tree(root / "root", {"README.md": "# Faults\n"}))
        scene.start()
        yield scene


# -- what can be made to happen -------------------------------------------------------------------------------------


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    """Mount a tmpfs of a few megabytes, for a few hundred files, at ``place``."""
    place.mkdir(mode=0o700, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700,nr_inodes=500", "tmpfs", str(place)], check=True
    )
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Write until nothing more fits, and return the file to delete."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 65536):
            pass
        while file.write(b"\0"):
            pass
    return ballast


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Leave no room on ``disk`` inside the block."""
    ballast = fill(disk)
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def limited(pid: int, what: int, value: int) -> Iterator[None]:
    """Set the soft limit ``what`` of a running process to ``value`` inside the block."""
    soft, hard = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (value, hard))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, what, (soft, hard))


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    """Give ``path`` the permission ``bits`` inside the block."""
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before & 0o7777)


@contextmanager
def failing(scene: Scene, how: str) -> Iterator[None]:
    """Make system calls fail inside the block as ``how`` says (see failing_calls.c)."""
    switch = scene.daemon.home / "how"
    switch.with_suffix(".new").write_text(how)
    switch.with_suffix(".new").rename(switch)
    try:
        yield
    finally:
        switch.unlink()


@contextmanager
def unreadable_medium(path: Path) -> Iterator[None]:
    """Reading ``path`` gives EIO inside the block: the memory of a process is mounted over it, and page 0 is empty."""
    subprocess.run(["mount", "--bind", f"/proc/{os.getpid()}/mem", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@contextmanager
def process_limit(pid: int, spare: int) -> Iterator[None]:
    """Let the process and its children start at most ``spare`` threads or processes inside the block."""
    group = Path("/sys/fs/cgroup/pids") / f"faults{pid}"
    group.mkdir()
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            (group / "tasks").write_text(task.name)
        now = int((group / "pids.current").read_text())
        (group / "pids.max").write_text(str(now + spare))
        yield
    finally:
        for task in (group / "tasks").read_text().split():
            with contextlib.suppress(OSError):
                (group.parent / "tasks").write_text(task)
        with contextlib.suppress(OSError):
            group.rmdir()


def compiled_shim(directory: Path) -> Path:
    """Build the library that makes system calls fail, and return its path."""
    library = directory / "failing_calls.so"
    source = HERE / "failing_calls.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"], check=True)
    return library


def why_not() -> str:
    """Return what is missing for these faults, or "" if nothing is."""
    if os.geteuid() != 0:
        return "needs root, for mounts and limits"
    for program in ("gcc", "setpriv", "mount"):
        if not shutil.which(program):
            return f"needs {program}"
    return ""

"""Ways to lose events, and storms of them: how soon does a real daemon's tree equal the disk again, unasked?

What the disk holds is found by a scan of this process, so nothing here rests on the daemon's own events.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scan.scans import LATER, NOTHING
from support.daemons import RawClient, RealDaemon, real_daemon, until
from support.trees import tree

_INOTIFY = Path("/proc/sys/fs/inotify")


class Field:
    """A daemon over one root; ``files`` says how large storms are."""

    def __init__(self, daemon: RealDaemon, root: Path, files: int) -> None:
        self.daemon = daemon
        self.root = root
        self.files = files
        self.markers = 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one request, with a timeout long enough for a storm."""
        client = RawClient(self.daemon.socket, timeout_s=900.0)
        try:
            return client.call(method, **params).result
        finally:
            client.close()

    def add(self) -> None:
        """Index the root."""
        self.call("roots.add", path=str(self.root))
        self.settle()

    def write(self, below: str, count: int, text: str = "") -> None:
        """Write ``count`` small files, a hundred per directory."""
        for number in range(count):
            place = self.root / below / f"d{number // 100}"
            if not number % 100:
                place.mkdir(parents=True, exist_ok=True)
            (place / f"f{number}.py").write_text(f"def {below}_{number}():\n    return {number}  # {text}\n")

    def expected(self) -> str:
        """Return the root hash of what is on the disk now."""
        from codeindexd.scan.scanner import Scanner

        scan = Scanner(self.root).scan([b""], NOTHING, now_ns=time.time_ns() + LATER)
        return scan.tree.node(b"").hash.hex()

    def settle(self, timeout_s: float = 600.0) -> float:
        """Wait until the daemon's tree equals the disk and is committed, without a request, and return the seconds."""
        began = time.monotonic()
        wanted = self.expected()

        def there() -> bool:
            status = self.call("status")["roots"][0]
            return (
                status["root_hash"] == wanted
                and status["state"] in ("fresh", "degraded")
                and not status["pending_files"]
            )

        until(there, timeout_s=timeout_s, what="the tree of the disk")
        return time.monotonic() - began

    def marked(self) -> float:
        """Check that a sync begun now finds a file written now, and return the seconds."""
        self.markers += 1
        name = f"marker_number_{self.markers}"
        (self.root / f"{name}.py").write_text(f"def {name}():\n    return 1\n")
        began = time.monotonic()
        self.call("sync", timeout_s=600)
        seconds = time.monotonic() - began
        found = self.call("symbol", name=name)["definitions"]
        assert [hit["path"] for hit in found] == [f"{name}.py"], (
            f"sync did not bring in what was written before it: {found}"
        )
        return seconds

    @contextmanager
    def stopped(self, seconds: float = 0.0) -> Iterator[None]:
        """Suspend the daemon inside the block, for at least so many seconds."""
        assert self.daemon.process is not None
        self.daemon.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        try:
            yield
            until(lambda: time.monotonic() - began >= seconds, timeout_s=seconds + 10)
        finally:
            self.daemon.process.send_signal(signal.SIGCONT)


@dataclass(frozen=True)
class Storm:
    """``brews`` prepares a storm, ``breaks`` causes it; then the daemon has ``bound_s`` seconds on a quiet machine."""

    name: str
    breaks: Callable[[Field], None]
    brews: Callable[[Field], None] = lambda _: None
    bound_s: float = 5.0
    config: str = ""
    queue: int = 0  # events that the kernel holds back for a watcher
    says: str = ""  # must be in the log: that it was noticed
    aside: bool = True  # a sync in the middle is possible


@dataclass(frozen=True)
class Calm:
    """The outcome of a storm: seconds until the tree was right and of a sync in the middle, and what verify found."""

    storm: str
    settled_s: float
    sync_s: float
    differences: list[object]


def weather(storm: Storm, files: int) -> Calm:
    """Put a daemon through one storm. Raises AssertionError if it is not noticed or something stays wrong."""
    with ExitStack() as stack:
        if storm.queue:
            stack.enter_context(kernel_limit("max_queued_events", storm.queue))
        config = "[workers]\nnice = 0\n" + storm.config
        daemon = stack.enter_context(real_daemon(config))
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cixroot")))
        field = Field(daemon, tree(base / "root", {"README.md": "# Storms\n"}), files)
        storm.brews(field)
        field.add()
        sync_s = 0.0
        failures: list[BaseException] = []

        def blow() -> None:
            try:
                storm.breaks(field)
            except BaseException as error:  # noqa: BLE001 - raised below, where it is seen
                failures.append(error)

        thread = threading.Thread(target=blow)
        thread.start()
        try:
            sync_s = field.marked() if storm.aside else 0.0
        finally:
            thread.join()
        assert not failures, failures
        settled_s = field.settle(timeout_s=4 * storm.bound_s + 20)
        assert storm.says in daemon.log, f"{storm.says!r} is not in the log: {daemon.log[-3000:]}"
        verified = field.call("verify")
        return Calm(storm.name, settled_s, sync_s, [one for root in verified["roots"] for one in root["differences"]])


@contextmanager
def kernel_limit(name: str, value: int) -> Iterator[None]:
    """Set the inotify limit ``name`` to ``value`` inside the block."""
    before = (_INOTIFY / name).read_text()
    (_INOTIFY / name).write_text(str(value))
    try:
        yield
    finally:
        (_INOTIFY / name).write_text(before)


def why_not() -> str:
    """Return what is missing for these storms, or "" if nothing is."""
    return "" if os.geteuid() == 0 and os.access(_INOTIFY / "max_user_watches", os.W_OK) else "needs root, for limits"


# -- storms ---------------------------------------------------------------------------------------------------------


def _overflow(field: Field) -> None:
    with field.stopped():
        field.write("old", 400, "rewritten")


def _overflow_unseen(field: Field) -> None:
    """Fill the queue with events of one file, so that those of another are lost without a trace."""
    with field.stopped(1.0):
        for _ in range(400):
            (field.root / "busy.tmp").write_text("x")
            (field.root / "busy.tmp").unlink()
        (field.root / "silent.py").write_text("def silently_written():\n    return 1\n")


def _overflow_by_readers(field: Field) -> None:
    with field.stopped(1.0):
        for place in sorted(field.root.rglob("*.py")):
            place.read_bytes()
        (field.root / "silent.py").write_text("def silently_written():\n    return 1\n")


def _touched(field: Field) -> None:
    for place in (field.root / "old").rglob("*.py"):
        os.utime(place)


def _created(field: Field) -> None:
    field.write("new", field.files)


def _rewritten(field: Field) -> None:
    field.write("old", field.files, "rewritten")


def _renamed(field: Field) -> None:
    (field.root / "old").rename(field.root / "renamed")


def _removed(field: Field) -> None:
    shutil.rmtree(field.root / "old")


def _git(field: Field, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "gc.auto=0"]
    subprocess.run(["git", *who, *arguments], cwd=field.root, check=True, capture_output=True)


def _two_branches(field: Field) -> None:
    _git(field, "init", "-q", "-b", "one")
    field.write("common", field.files // 2)
    _git(field, "add", "-A")
    _git(field, "commit", "-qm", "one")
    _git(field, "checkout", "-qb", "two")
    shutil.rmtree(field.root / "common")
    field.write("other", field.files // 2)
    _git(field, "add", "-A")
    _git(field, "commit", "-qm", "two")


def _checkouts(field: Field) -> None:
    for branch in ("one", "two", "one"):
        _git(field, "checkout", "-q", branch)


def _asleep(field: Field) -> None:
    with field.stopped(6.0):
        field.write("meanwhile", 50)
        shutil.rmtree(field.root / "old/d0")
        (field.root / "old/d1").rename(field.root / "moved")


def _stopped_long(field: Field) -> None:
    with field.stopped(3.0):
        field.write("new", field.files)


def _without_watches(field: Field) -> None:
    with kernel_limit("max_user_watches", 20):
        field.write("new", 3000)
        until(lambda: field.call("status")["roots"][0]["problems"], what="a word about the watches")
        (field.root / "new/d7/f700.py").write_text("def written_unwatched():\n    return 1\n")
    until(lambda: not field.call("status")["roots"][0]["problems"], timeout_s=150, what="watches again")


def _polled(field: Field) -> None:
    field.write("new", 200)


def _old(field: Field) -> None:
    field.write("old", field.files)


def _old_few(field: Field) -> None:
    field.write("old", 400)


STORMS = [
    Storm("queue overflown by many files", _overflow, _old_few, queue=64, says="events_may_be_lost"),
    Storm("queue overflown by one file", _overflow_unseen, queue=64, says="events_may_be_lost"),
    Storm("files read while stopped", _overflow_by_readers, _old_few, queue=64),
    Storm("stopped for 6 s", _asleep, _old_few),
    Storm("stopped while files are made", _stopped_long, bound_s=120),
    Storm("files touched", _touched, _old, bound_s=30),
    Storm("files created", _created, bound_s=120),
    Storm("files rewritten", _rewritten, _old, bound_s=120),
    Storm("a directory of them renamed", _renamed, _old, bound_s=60),
    Storm("a directory of them removed", _removed, _old, bound_s=60),
    Storm("git checkouts", _checkouts, _two_branches, bound_s=60),
    Storm("watches exhausted, then enough", _without_watches, bound_s=30),
    Storm("polled", _polled, config='[watch]\nbackend = "poll"\n', bound_s=45, aside=False),
]

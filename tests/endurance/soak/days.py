"""A working day, from the first save to the evening, compressed to minutes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from endurance.soak.editing import Editor
from endurance.soak.places import Places, text_files
from support.daemons import RealDaemon
from support.processes import family

# What a day of eight hours has, more rather than less.
A_DAY = {"save": 450, "switch": 18, "rename": 8, "install": 1, "uninstall": 1, "visit": 2, "leave": 2, "suspend": 1}
_BRANCHES = 6
_CHANGED_BY_A_BRANCH = (20, 120)
_SUSPENDED_S = (3.0, 6.0)


@dataclass
class Suspensions:
    """The times at which the whole daemon was suspended, so that missing answers are not blamed on it."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    since: float | None = None

    def touch(self, began: float, ended: float) -> bool:
        """Return True if a suspension overlaps the span (monotonic seconds)."""
        if self.since is not None and ended >= self.since:
            return True
        return any(began <= end and ended >= start for start, end in self.spans)


class Days:
    """Spends one day after the other in ``places``; everything done is counted in ``counts``."""

    def __init__(self, daemon: RealDaemon, places: Places, chosen: random.Random, counts: Counter[str]) -> None:
        self._daemon = daemon
        self._places = places
        self._random = chosen
        self._counts = counts
        self._editor = Editor(places.roots, chosen, counts)
        self._branches: list[str] = ["main"]
        self._installed: list[Path] = []
        self._visited: list[Path] = []
        self._number = 0
        self.suspensions = Suspensions()
        self._actions: dict[str, Callable[[], None]] = {
            "save": self._editor.save,
            "switch": self._switch,
            "rename": lambda: self._editor.rename_directory(self._random.choice(places.roots)),
            "install": self._install,
            "uninstall": self._uninstall,
            "visit": self._visit,
            "leave": self._leave,
            "suspend": self._suspend,
        }

    def spend(self, seconds: float) -> float:
        """Do a day's work, spread evenly over ``seconds``, and return the share that fitted in."""
        self._number += 1
        self._new_branch()
        plan = [name for name, count in A_DAY.items() for _ in range(count)]
        self._random.shuffle(plan)
        began = time.monotonic()
        for done, name in enumerate(plan):
            now = time.monotonic() - began
            if now >= seconds:
                return done / len(plan)
            time.sleep(max(0.0, seconds * done / len(plan) - now))
            self.act(name)
        return 1.0

    def act(self, name: str) -> None:
        """Do one of the actions in ``A_DAY``."""
        self._actions[name]()

    # branches

    def _commit_all(self) -> None:
        self._places.git("add", "-A")
        self._places.git("commit", "-q", "-m", f"work {self._counts['branch switches']}")
        self._editor.forget(self._places.service)

    def _new_branch(self) -> None:
        """Merge yesterday's work, and begin a branch that touches some dozens of files."""
        self._commit_all()
        latest = self._branches[-1]
        self._places.git("checkout", "-q", "-f", "main")
        if latest != "main" and not self._places.git("merge", "-q", "-X", "theirs", "--no-edit", latest):
            self._places.git("merge", "--abort")
        name = f"day-{self._number}"
        self._places.git("checkout", "-q", "-B", name)
        self._branches = [*self._branches[-_BRANCHES:], name]
        files = text_files(self._places.service)
        for path in self._random.sample(files, min(len(files), self._random.randint(*_CHANGED_BY_A_BRANCH))):
            with path.open("r+b") as file:
                text = file.read().replace(b"self", b"this", self._random.randint(1, 3))
                file.seek(0)
                file.truncate()
                file.write(text)
        self._commit_all()
        self._counts["branches"] += 1

    def _switch(self) -> None:
        self._commit_all()
        self._counts["branch switches"] += self._places.git("checkout", "-q", "-f", self._random.choice(self._branches))
        self._editor.forget(self._places.service)

    # packages

    def _install(self) -> None:
        """Install a package file by file: half the time where it is indexed, half where it is ignored."""
        package = self._random.choice(self._places.packages)
        parent = self._random.choice(["third_party", ".venv/lib"])
        target = self._places.monolith / parent / f"{package.directory.name}-{self._number}"
        self._counts["files installed"] += package.copy(target)
        self._counts["packages installed"] += 1
        self._installed.append(target)
        self._editor.forget(self._places.monolith)

    def _uninstall(self) -> None:
        if len(self._installed) > 2:
            target = self._installed.pop(0)
            shutil.rmtree(target, ignore_errors=True)
            self._counts["packages removed"] += 1
            self._editor.forget(self._places.monolith)

    # roots that come and go

    def _visit(self) -> None:
        package = self._random.choice(self._places.packages)
        root = self._places.base / f"visit-{self._number}-{self._counts['roots added']}"
        package.copy(root, 300)
        self._daemon.call("roots.add", path=str(root), wait=self._random.random() < 0.5)
        self._counts["roots added"] += 1
        self._visited.append(root)

    def _leave(self) -> None:
        if self._visited:
            root = self._visited.pop(0)
            if self._random.random() < 0.3:  # some are deleted first
                shutil.rmtree(root)
            self._daemon.call("roots.remove", path=str(root))
            shutil.rmtree(root, ignore_errors=True)
            self._counts["roots removed"] += 1

    # the lid is closed

    def _suspend(self) -> None:
        """Suspend all processes of the daemon for a while, and change some files meanwhile."""
        assert self._daemon.process is not None
        self.suspensions.since = began = time.monotonic()
        stopped = family(self._daemon.process.pid)
        for pid in stopped:
            _signal(pid, signal.SIGSTOP)
        time.sleep(self._random.uniform(*_SUSPENDED_S))
        for _ in range(20):
            self._editor.save()
        for pid in reversed(stopped):
            _signal(pid, signal.SIGCONT)
        self.suspensions.spans.append((began, time.monotonic() + 1.0))
        self.suspensions.since = None
        self._counts["suspensions"] += 1

    def leave_all(self) -> None:
        """Remove temporary roots on the last evening."""
        while self._visited:
            self._leave()


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return

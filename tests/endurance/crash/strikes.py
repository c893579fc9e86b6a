"""Signals at random moments to the worker processes of a real daemon, or to its model's process."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from endurance.crash.tree import RealTree
from support.daemons import RealDaemon, real_daemon, until
from support.processes import family, open_files

WORKERS = "codeindexd.workers"
MODEL = "codeindexd.analysis.embedding.transformer_process"
_FATAL = (signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM)
_STOPPED_S = (0.02, 1.5)
_PAUSE_S = {WORKERS: 0.12, MODEL: 8.0}  # between two strikes, on average: a worker starts in 0.2 s, a model in seconds
_ROUND_S = 600.0
_FILES_MORE = 24  # descriptors that may have come and not gone: readers, the files of a history, an idle worker


class Striker:
    """A daemon over a changing tree whose processes of one kind get signals while they work.

    ``kind`` is `WORKERS` or `MODEL`. ``differences`` stays empty as long as all is well.
    """

    def __init__(self, daemon: RealDaemon, tree: RealTree, chance: random.Random, kind: str) -> None:
        self.strikes: Counter[str] = Counter()
        self.differences: list[str] = []
        self.quarantined = 0
        self.recovered_s: list[float] = []
        self._daemon = daemon
        self._tree = tree
        self._chance = chance
        self._kind = kind
        daemon.call("roots.add", path=str(tree.path))

    def round(self, strikes: int, *, leave_stopped: bool = False) -> None:
        """Send ``strikes`` signals while there is work, then let the daemon recover and check the result.

        ``leave_stopped``: one more process is stopped for good; the daemon has to get rid of it.
        """
        done, deadline = 0, time.monotonic() + _ROUND_S
        while done < strikes:
            assert time.monotonic() < deadline, f"only {done} of {strikes} strikes met somebody in {_ROUND_S} s"
            if self._settled():
                self._change_much()
            done += self._strike()
            time.sleep(self._chance.expovariate(1 / _PAUSE_S[self._kind]))
        if leave_stopped:
            self._stop_one_for_good()
        began = time.monotonic()
        until(self._settled, timeout_s=240, what="the end of the work")
        if self._count_quarantined():
            self._daemon.call("reindex", path=str(self._tree.path))
        until(self._healthy, timeout_s=90, what="another try at the files that had cost two workers")
        self.recovered_s.append(time.monotonic() - began)
        verified = until(self._verified, timeout_s=90, what="a worker for verify")
        if not verified["ok"]:
            self.differences.append(f"verify: {str(verified['roots'])[:1000]}")

    def _verified(self) -> dict[str, Any] | None:
        """Return the result of ``verify``; None while the pool pauses after the deaths of many workers."""
        client = self._daemon.client()
        reply = client.call("verify")
        client.close()
        paused = "error" in reply and reply["error"]["data"]["name"] == "worker"
        return None if paused else reply.result

    def _change_much(self) -> None:
        """Rewrite every third file, so that there is something to chunk, embed and commit."""
        for file in sorted(self._tree.path.rglob("*.py"))[self._chance.randrange(3) :: 3]:
            with file.open("a") as out:
                number = self._chance.getrandbits(48)
                out.write(f"\n\ndef made_{number:x}(first, second):\n    return first * {number} + second\n")
        for _ in range(3):
            self._tree.edit()

    def _victims(self) -> list[int]:
        assert self._daemon.process is not None
        found = []
        for pid in family(self._daemon.process.pid)[1:]:
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if self._kind.encode() in command:
                found.append(pid)
        return found

    def _strike(self) -> int:
        """Send one signal; return 1 if a process got it."""
        victims = self._victims()
        if not victims:
            return 0
        victim = self._chance.choice(victims)
        dice = self._chance.random()
        try:
            if dice < 0.75:
                chosen = self._chance.choice(_FATAL)
                os.kill(victim, chosen)
                self.strikes[chosen.name] += 1
            else:
                os.kill(victim, signal.SIGSTOP)
                time.sleep(self._chance.uniform(*_STOPPED_S))
                os.kill(victim, signal.SIGCONT)
                self.strikes["SIGSTOP for a moment"] += 1
        except ProcessLookupError:
            return 0
        return 1

    def _stop_one_for_good(self) -> None:
        """Stop a process for good while it has work: an idle one may sleep as long as it likes."""

        def stopped() -> bool:
            if self._settled():
                self._change_much()
            for victim in self._victims():
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGSTOP)
                    return True
            return False

        until(stopped, timeout_s=60, what="a process to stop")  # after many deaths there is a pause before the next
        self.strikes["SIGSTOP for good"] += 1

    def _status(self) -> dict[str, Any]:
        root: dict[str, Any] = self._daemon.call("status")["roots"][0]
        return root

    def _settled(self) -> bool:
        root = self._status()
        return root["state"] == "fresh" and not root["pending_vectors"]

    def _healthy(self) -> bool:
        return self._settled() and not self._status()["failed_files"]

    def _count_quarantined(self) -> int:
        """Return how many files are blamed for the death of two workers, which we caused; they wait for a reindex."""
        failures = self._status()["failures"]
        self.quarantined += len(failures)
        for failure in failures:
            if "ended its worker 2 times" not in failure["error"]:
                self.differences.append(f"failed, but not for what was done to it: {failure}")
        return len(failures)


@contextmanager
def striker(config: str, *, kind: str, seed: int, files: int) -> Iterator[Striker]:
    """Yield a fresh daemon and tree; at the end no descriptor may have leaked."""
    chance = random.Random(seed)
    with real_daemon(config) as daemon:
        yield (running := Striker(daemon, RealTree(daemon.home / "tree", chance, files=files), chance, kind))
        assert daemon.process is not None
        daemon.process.poll()
        assert daemon.process.returncode is None, daemon.log[-3000:]
        children = len(family(daemon.process.pid)) - 1
        held = open_files(daemon.process.pid) - 4 * children
        if held > (allowed := _at_rest(config) + _FILES_MORE):
            running.differences.append(f"{held} descriptors beside those of the children, {allowed} at most at rest")


def _at_rest(config: str) -> int:
    """Return how many descriptors an untouched daemon with one root has."""
    with real_daemon(config) as daemon:
        (daemon.home / "tree").mkdir()
        daemon.call("roots.add", path=str(daemon.home / "tree"), wait=True)
        assert daemon.process is not None
        return open_files(daemon.process.pid)

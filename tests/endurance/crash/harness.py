"""Kills a real daemon again and again while its tree is edited, and checks the result of every start."""

from __future__ import annotations

import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from codeindexd.storage.recovery import TRUST_MARKER
from endurance.crash.steps import BY_NAME
from endurance.crash.stores import Computed, left_over, positions, vectors_whole
from endurance.crash.tree import RealTree
from support.daemons import RealDaemon, until
from support.places import PYTHONPATH

CONFIG = "[workers]\nnice = 0\ncount = 1\n"
_IDENTITIES = ("a0", "b1")
_POWER_LOSSES = 0.15  # of all deaths: the catalog's log loses its unsynced end, as in a power loss


class FaultyDaemon(RealDaemon):
    """A daemon that dies where it is told to; see ``endurance.crash.daemon``."""

    identities = _IDENTITIES

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {
            "PYTHONPATH": PYTHONPATH,
            "TMPDIR": str(self.home / "tmp"),
            "CRASH_IDENTITIES": ",".join(self.identities),
        }

    def launch(self, step: str = "none", passing: int = 0) -> None:
        """Start the process, deadly at a step, without waiting for it to answer."""
        (self.home / "tmp").mkdir(exist_ok=True)
        (self.home / "computed").unlink(missing_ok=True)
        with (self.home / "daemon.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "endurance.crash.daemon", "--log-format", "json"],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.home,
                text=True,
            )  # type: ignore[assignment]
        self.arm(step, passing)

    def arm(self, step: str, passing: int) -> None:
        """Make a step fatal from now on."""
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(f"{step} {passing}", file=self.process.stdin, flush=True)  # type: ignore[arg-type]
        assert self.process.stdout.readline() == "armed\n", self.log[-3000:]  # type: ignore[comparison-overlap]

    @property
    def dead(self) -> bool:
        """Whether the process ended. Raises AssertionError if it was not killed."""
        assert self.process is not None
        status = self.process.poll()
        assert status in (None, -9), f"the daemon ended by itself ({status}): {self.log[-5000:]}"
        return status is not None

    def bury(self) -> None:
        """Close the pipes to a dead process."""
        assert self.process is not None
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self._hang_up()

    def computed(self) -> list[tuple[str, str]]:
        """Return (model identity, embed hash) of every chunk that a model was run on since the start."""
        lines = (self.home / "computed").read_text().splitlines()
        return [(identity, digest) for identity, digest in map(str.split, lines)]


@dataclass
class Tally:
    """The results so far. ``differences`` is empty unless something is wrong."""

    kills: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)  # "lexical behind", ...
    edits: Counter[str] = field(default_factory=Counter)
    power_losses: int = 0
    answered_s: list[float] = field(default_factory=list)
    synced_s: list[float] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


class Crasher:
    """One daemon and one tree. Methods raise AssertionError if the daemon ends on its own or does not start."""

    def __init__(self, home: Path, *, seed: int, files: int, patience_s: float) -> None:
        self.chance = random.Random(seed)
        self.tally = Tally()
        self._patience_s = patience_s  # for a step to be reached
        self.tree = RealTree(home / "tree", self.chance, files=files)
        self.daemon = FaultyDaemon(home, CONFIG)
        self._second = home / "second"
        self._held: Computed = set()
        self._pruned = False
        self._second_added = False
        self.daemon.launch()
        until(self._answers, timeout_s=60, what="the first answer")
        added = self.daemon.call("roots.add", path=str(self.tree.path), wait=True)
        self.root_id: str = added["roots"][0]["id"]
        self._check("the first index")

    def _answers(self) -> bool:
        return self.daemon._answers()

    # ways to die

    def kill_at_random(self) -> None:
        """Edit, and kill at some moment while the edits are indexed."""
        for _ in range(self.chance.randint(1, 6)):
            self._edit()
        time.sleep(self.chance.uniform(0, 0.25))
        self.daemon.process.kill()  # type: ignore[union-attr]
        self._died("a random moment")

    def kill_at(self, step: str) -> bool:
        """Bring the daemon to a step and let it die there; return False if it was not reached (then it is killed)."""
        passing = self.chance.choice((1, 1, 1, 2, 3))
        when = BY_NAME[step].when
        if when in ("start", "catch_up", "switch"):
            return self._kill_while_starting(step, when)
        self.daemon.arm(step, passing)
        self._pruned |= when == "prune"
        deadline = time.monotonic() + self._patience_s
        while not self.daemon.dead and time.monotonic() < deadline:
            if when == "roots":
                self._change_roots()
            else:
                for _ in range(4 if when == "quiet" else 1):
                    self._edit()
            self._pause(when)
        return self._dead_or_killed(step)

    def _kill_while_starting(self, step: str, when: str) -> bool:
        if when == "catch_up":
            before = "dense.apply.before" if step.startswith("catch_up.dense") else "lexical.commit.before"
            if not self.kill_at(before):
                return False
        else:
            self.kill_at_random()
        if when == "switch":
            self.daemon.identities = self.daemon.identities[::-1]  # type: ignore[assignment]
        self.daemon.launch(step, 1)
        deadline = time.monotonic() + self._patience_s
        while not self.daemon.dead and time.monotonic() < deadline:
            time.sleep(0.01)
        return self._dead_or_killed(step)

    def _dead_or_killed(self, step: str) -> bool:
        reached = self.daemon.dead
        if not reached:
            self.tally.missed[step] += 1
            self.daemon.process.kill()  # type: ignore[union-attr]
        self._died(step if reached else "a random moment")
        return reached

    def _edit(self) -> None:
        self.tally.edits[self.tree.edit()] += 1

    def _pause(self, when: str) -> None:
        """Give the daemon a little time, and more where it needs a quiet time."""
        deadline = time.monotonic() + (1.0 if when in ("quiet", "prune") else self.chance.uniform(0.0, 0.15))
        while not self.daemon.dead and time.monotonic() < deadline:
            time.sleep(0.01)

    def _change_roots(self) -> None:
        """Add the second root, a copy of the tree that takes over its index, or remove it; the daemon may die of it."""
        try:
            if self._second_added:
                self.daemon.call("roots.remove", path=str(self._second))
            else:
                shutil.rmtree(self._second, ignore_errors=True)
                shutil.copytree(self.tree.path, self._second, symlinks=True)
                (self._second / "other.py").write_text("def other_root():\n    return 2\n")
                self.daemon.call("roots.add", path=str(self._second), wait=False)
            self._second_added = not self._second_added
        except (OSError, AssertionError):
            pass

    # afterwards

    def _died(self, how: str) -> None:
        self.daemon.bury()
        self.tally.kills[how] += 1
        if not self._pruned:
            self._check_computed(f"until {how}")
        self._pruned = False
        place = self.daemon.home / "cache/codeindexd/roots" / self.root_id
        if self.chance.random() < _POWER_LOSSES:
            self.tally.power_losses += lose_unsynced_end(place / "catalog.db", self.chance)
            (place / TRUST_MARKER).unlink(missing_ok=True)  # names the boot, which a power loss ends
        for name, position in (positions(place, self.root_id) or {}).items():
            self.tally.found[f"{name} {position.word}"] += 1
        self._held = vectors_whole(self.daemon.home / "cache/codeindexd/vectors.db")

    def recover(self, how: str) -> None:
        """Start again, compare everything, and add what differs to the tally."""
        began = time.monotonic()
        self.daemon.launch()
        until(self._answers, timeout_s=60, what="an answer after the kill")
        self.tally.answered_s.append(time.monotonic() - began)
        self._check(how)
        self.tally.synced_s.append(time.monotonic() - began)
        roots = {root["path"] for root in self.daemon.call("roots.list")["roots"]}
        self._second_added = str(self._second) in roots
        if str(self.tree.path) not in roots:
            self._differs(how, "the root is forgotten")

    def _check(self, how: str) -> None:
        self.daemon.call("sync", path=str(self.tree.path), timeout_s=60)
        until(self._caught_up, timeout_s=60, what="a quiet daemon")
        verified = self.daemon.call("verify")
        if not verified["ok"]:
            self._differs(how, f"verify: {verified['roots']}")
        computed = self._check_computed(how)
        metric = sum(
            float(value)
            for value in re.findall(
                r"^codeindexd_chunks_embedded_total\S* (\S+)$", self.daemon.call("metrics")["text"], re.MULTILINE
            )
        )
        if metric != computed:
            self._differs(how, f"{computed} chunks embedded, the metric says {metric:g}")
        self._check_files(how)

    def _check_files(self, how: str) -> None:
        """Check that merges in progress finish, and that replaced files are removed without another commit."""
        try:
            until(self._nothing_left_over, timeout_s=40)
        except AssertionError:
            self._differs(how, f"left behind: {left_over(self.daemon.home)}")

    def _nothing_left_over(self) -> bool:
        return not left_over(self.daemon.home)

    def _caught_up(self) -> bool:
        roots = self.daemon.call("status")["roots"]
        return all(
            root["state"] == "fresh"
            and not root["pending_vectors"]
            and root["history"]["state"] in ("complete", "unavailable")
            for root in roots
        )

    def _check_computed(self, how: str) -> int:
        computed = self.daemon.computed()
        if again := self._held.intersection(computed):
            self._differs(how, f"{len(again)} vectors that were committed were computed again, such as {min(again)}")
        return len(computed)

    def _differs(self, how: str, what: str) -> None:
        difference = f"after {sum(self.tally.kills.values())} kills, {how}: {what}"
        print(f"DIFFERENCE {difference}", flush=True)
        self.tally.differences.append(difference)


def lose_unsynced_end(database: Path, chance: random.Random) -> bool:
    """Cut the write-ahead log where a power loss may: after what was already checkpointed and synced."""
    log, index = (database.with_name(database.name + suffix) for suffix in ("-wal", "-shm"))
    try:
        shared = index.read_bytes()
        frames, folded = struct.unpack_from("=I", shared, 16)[0], struct.unpack_from("=I", shared, 96)[0]
        frame = 24 + struct.unpack_from("=H", shared, 14)[0]
    except (OSError, struct.error):
        return False
    if frames <= folded or log.stat().st_size < 32 + frames * frame:
        return False
    os.truncate(log, 32 + chance.randrange(folded, frames) * frame)
    index.unlink()
    return True


@contextmanager
def crasher(*, seed: int, files: int = 220, patience_s: float = 12.0) -> Iterator[Crasher]:
    """Yield a daemon to kill, in a short temporary directory that is removed at the end."""
    home = Path(tempfile.mkdtemp(prefix="cix"))
    made: list[Crasher] = []
    try:
        made.append(Crasher(home, seed=seed, files=files, patience_s=patience_s))
        yield made[0]
    finally:
        end = made[0].daemon if made else RealDaemon(home)
        if end.process is not None and end.process.poll() is None:
            end.process.kill()
        if made:
            made[0].daemon.bury()
        end.end()

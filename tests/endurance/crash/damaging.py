"""Damages the files of a stopped real daemon, starts it, and reports who noticed."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from endurance.crash.damage import Harm, files_of, inflict, store_of
from endurance.crash.harness import CONFIG, FaultyDaemon
from endurance.crash.stores import Computed, vectors_whole
from endurance.crash.tree import RealTree
from support.daemons import until

_NOTICED = {
    "catalog_rebuilt", "projection_rebuilt", "catching_up", "vector_store_damaged", "vector_store_repaired",
    "damaged_vectors_skipped", "root_list_broken", "root_list_read_from_copy",
    "root_failed", "index_rebuilt",
}  # fmt: skip
_EXAMINED = "index_differs_from_disk"
OUTCOMES = ("at open", "by the examination", "harmless", "undetected")


class ExaminedDaemon(FaultyDaemon):
    """A daemon that verifies an index at once after a kill, instead of after a minute."""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"CRASH_EXAMINE": "1"}


class Damager:
    """One home that is damaged, repairs itself, and is damaged again. Nothing is ever restored by hand."""

    def __init__(self, home: Path, *, seed: int, files: int) -> None:
        self.chance = random.Random(seed)
        self.table: dict[str, Counter[str]] = defaultdict(Counter)
        self.differences: list[str] = []
        self._error = ""
        self._older = home / "older"
        self.tree = RealTree(home / "tree", self.chance, files=files)
        self.daemon = ExaminedDaemon(home, CONFIG)
        self._start()
        self.daemon.call("roots.add", path=str(self.tree.path), wait=True)
        self.age()

    def age(self) -> None:
        """Keep copies of all files as old versions, then create some history: edits, segments, deletions."""
        shutil.rmtree(self._older, ignore_errors=True)
        for top in ("cache", "state"):
            shutil.copytree(self.daemon.home / top, self._older / top)
        for _ in range(4):
            for _ in range(5):
                self.tree.edit()
            self._settle()

    def stop(self, *, cleanly: bool) -> list[str]:
        """Stop the daemon and return the files that can be damaged."""
        self._settle()
        process = self.daemon.process
        assert process is not None
        process.terminate() if cleanly else process.kill()
        assert process.wait(30) == (0 if cleanly else -9), self.daemon.log[-3000:]
        self.daemon.bury()
        return list(files_of(self.daemon.home))

    def harm(self, harm: Harm, *, cleanly: bool) -> str | None:
        """Damage one file of the stopped home, start, and return one of OUTCOMES; None without anything to damage."""
        changed = inflict(harm, self.daemon.home, self._older)
        whole = vectors_whole(self.daemon.home / "cache/codeindexd/vectors.db")
        try:
            self._start()
            self._settle()
            outcome = self._outcome()
        except AssertionError as error:
            self._restart_after(error)
            outcome = "undetected"
        if not changed:
            return None
        self.table[store_of(harm.file)][outcome] += 1
        where = f"{harm}, stopped {'cleanly' if cleanly else 'by a kill'}"
        if outcome == "undetected":
            self._differs(where, self._error)
        else:
            self._check_others(harm, where, whole)
        return outcome

    def _start(self) -> None:
        self.daemon.launch()
        until(self.daemon._answers, timeout_s=120, what="the first answer")

    def _settle(self) -> None:
        until(self._quiet, timeout_s=300, what="a quiet daemon")

    def _quiet(self) -> bool:
        roots = self.daemon.call("status")["roots"]
        if not roots or any(root["state"] != "fresh" or root.get("pending_vectors") for root in roots):
            return False
        return "result" in self.daemon.client().call("sync", path=str(self.tree.path), timeout_s=60)

    def _outcome(self) -> str:
        if not self._verified():
            until(self._verified, timeout_s=300, what="a verified index, mended by itself")
        said = self._said()
        if _EXAMINED in {line["event"] for line in said if not line.get("asked")}:
            return "by the examination"
        return "at open" if any(line["event"] in _NOTICED for line in said) else "harmless"

    def _verified(self) -> bool:
        answer = self.daemon.client().call("verify")
        return bool("result" in answer and answer.result["ok"])

    def _said(self) -> list[dict[str, Any]]:
        lines = (line for line in self.daemon.log.splitlines() if line.startswith("{"))
        return [json.loads(line) for line in lines]

    def _restart_after(self, error: AssertionError) -> None:
        """Begin with an empty cache, so that unrepaired damage does not affect later tests."""
        self._error = f"{error}; the daemon's log: {self.daemon.log[-3000:]}"
        process = self.daemon.process
        assert process is not None
        process.kill()
        self.daemon.bury()
        shutil.rmtree(self.daemon.home / "cache")
        self._start()
        if not self.daemon.call("roots.list")["roots"]:
            self.daemon.call("roots.add", path=str(self.tree.path), wait=True)
        self._settle()

    def _check_others(self, harm: Harm, where: str, whole: Computed) -> None:
        """Check that nothing undamaged was rebuilt."""
        if again := whole.intersection(self.daemon.computed()):
            self._differs(where, f"{len(again)} vectors that were whole were computed again")
        rebuilt = {line["store"] for line in self._said() if line["event"] == "projection_rebuilt"}
        touched = {store for store in rebuilt if f"/{store}" not in harm.file and "catalog.db" not in harm.file}
        if touched:
            self._differs(where, f"{touched} made again")

    def _differs(self, where: str, what: str) -> None:
        print(f"DIFFERENCE {where}: {what}", flush=True)
        self.differences.append(f"{where}: {what}")


@contextmanager
def damager(*, seed: int, files: int = 60) -> Iterator[Damager]:
    """Yield a daemon to damage, in a short temporary directory that is removed at the end."""
    home = Path(tempfile.mkdtemp(prefix="cix"))
    made: list[Damager] = []
    try:
        made.append(Damager(home, seed=seed, files=files))
        yield made[0]
    finally:
        for one in made:
            if one.daemon.process is not None and one.daemon.process.poll() is None:
                one.daemon.process.kill()
            one.daemon.bury()
        shutil.rmtree(home, ignore_errors=True)

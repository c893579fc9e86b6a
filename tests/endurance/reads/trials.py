"""Readers of their own writes, readers of all writes, and disturbances."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from endurance.reads.journal import Journal
from endurance.reads.writers import Area, Expectation
from support.daemons import RawClient, RealDaemon

_CHURN_PAUSE_S = 0.1
_READ_PAUSE_S = 0.05
_BURST_FILES = 1500  # with four events each more than the watcher trusts
_LIMIT = 20
_NOT_INDEXED = 1


class Trials:
    """Writes and searches below ``root``, which ``daemon`` indexes; ``faults`` collects every wrong answer."""

    def __init__(self, daemon: RealDaemon, root: Path, seed: int, *, told_every: int = 1000) -> None:
        self._daemon = daemon
        self._root = root
        self._seed = seed
        self._told_every = told_every
        self._journal = Journal()
        self._left = 0
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._words: list[str] = ["value"]
        self._areas: list[Area] = []
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.synced_ms: list[float] = []

    def run(self, trials: int, *, clients: int = 4, churners: int = 2, readers: int = 2, bulk: int = 1) -> None:
        """Run until ``clients`` found ``trials`` writes again; ``churners`` write and ``readers`` search meanwhile."""
        self._left = trials
        beside = [
            *[threading.Thread(target=self._run, args=(self._churn, number)) for number in range(churners)],
            *[threading.Thread(target=self._run, args=(self._read, number)) for number in range(readers)],
            *[threading.Thread(target=self._run, args=(self._index_others, number)) for number in range(bulk)],
        ]
        own = [threading.Thread(target=self._run, args=(self._read_own_writes, n)) for n in range(clients)]
        for thread in [*beside, *own]:
            thread.start()
        try:
            for thread in own:
                thread.join()
        finally:
            self._stopping.set()
        for thread in beside:
            thread.join()
        for area in self._areas:
            area.close()

    def _area(self, root: Path, name: str, journal: Journal, chosen: random.Random) -> Area:
        area = Area(root, name, journal, chosen)
        self._areas.append(area)
        return area

    def _run(self, work: Callable[[int], None], number: int) -> None:
        try:
            work(number)
        except (AssertionError, OSError) as error:
            self._fault(f"{work.__name__} {number} ended: {error}")
            self._stopping.set()

    # own writes

    def _read_own_writes(self, number: int) -> None:
        chosen = random.Random(f"{self._seed}-own-{number}")
        area = self._area(self._root, f"own{number}", self._journal, chosen)
        client = self._daemon.client()
        while self._take():
            if chosen.random() < 0.002:
                self._burst(number)
            expected = area.step()
            words = [word for word, _ in expected.present][-3:] + list(expected.absent)[-2:]
            self._words = [*self._words[-50:], *words]
            began = time.monotonic()
            synced, how = chosen.random() < 0.5, "search"
            if not synced:  # the other way, which says how it was done
                how = client.call("sync", path=str(self._root)).result["how"]
                self.counts[f"sync by {how}"] += 1
            answer = self._search(client, f'"{words[0]}"' if words else "value", sync=synced)
            if synced:
                self.synced_ms.append((time.monotonic() - began) * 1000)
            for word in words[1:]:  # as phrases, which nothing that is merely alike can crowd out
                answer["hits"] += self._search(client, f'"{word}"')["hits"]
            self.counts["trials"] += 1
            if self.counts["trials"] % self._told_every == 0:
                print(f"{self.counts['trials']} trials, {len(self.faults)} faults", flush=True)
            self.counts[f"after {expected.kind}"] += 1
            self._judge_own(expected, answer, f"client {number}, {expected.kind}, synced by {how}")

    def _take(self) -> bool:
        with self._guard:
            self._left -= 1
            return self._left >= 0 and not self._stopping.is_set()

    def _judge_own(self, expected: Expectation, answer: dict[str, Any], who: str) -> None:
        for word, path in expected.present[-3:]:
            found = {hit["path"] for hit in answer["hits"] if word in hit["snippet"]}
            if found != {path}:
                self._fault(f"{who}: {word} found in {found} instead of {path}")
        for word in expected.absent:
            if stale := [hit["path"] for hit in answer["hits"] if word in hit["snippet"]]:
                self._fault(f"{who}: {word} is gone and still found in {stale}")

    def _search(self, client: RawClient, query: str, *, sync: bool = False) -> dict[str, Any]:
        return self._ask(client, "search", query=query, roots=[str(self._root)], limit=_LIMIT, sync=sync)

    def _ask(self, client: RawClient, method: str, **params: Any) -> dict[str, Any]:
        """Search, and compare every hit with what was on the disk meanwhile."""
        sent = time.monotonic()
        reply = client.call(method, **params)
        received = time.monotonic()
        if method == "related" and reply.get("error", {}).get("code") == _NOT_INDEXED:
            return {"hits": []}  # the place is gone
        answer = reply.result
        hits = [hit for part in ("hits", "definitions", "references") for hit in answer.get(part, ())]
        for hit in hits:
            self.counts["hits judged"] += 1
            if why := self._journal.falsehood(hit, sent, received):
                self._fault(f"untrue: {method}: {hit['path']}:{hit['start_line']} {hit['symbol']}: {why}")
        return answer

    def _fault(self, what: str) -> None:
        with self._guard:
            self.faults.append(what)
        print(f"  fault after {self.counts['trials']} trials: {what}", flush=True)

    # everybody's writes

    def _churn(self, number: int) -> None:
        """Write almost without pause."""
        chosen = random.Random(f"{self._seed}-churn-{number}")
        area = self._area(self._root, f"churn{number}", self._journal, chosen)
        while not self._stopping.wait(chosen.expovariate(1 / _CHURN_PAUSE_S)):
            expected = area.step()
            self._words = [*self._words[-50:], *[word for word, _ in expected.present][-2:], *expected.absent[-2:]]
            self.counts["other writes"] += 1

    def _read(self, number: int) -> None:
        """Search, without sync, for words that come and go."""
        chosen = random.Random(f"{self._seed}-read-{number}")
        client = self._daemon.client()
        while not self._stopping.wait(chosen.expovariate(1 / _READ_PAUSE_S)):
            words = self._words
            found = self._search(client, " ".join(chosen.choices(words, k=chosen.randint(1, 3))))["hits"]
            self.counts["searches without sync"] += 1
            if found and chosen.random() < 0.2:
                place = {"root": str(self._root), "path": found[0]["path"], "line": found[0]["start_line"]}
                self._ask(client, "related", **place)
                name = chosen.choice(words)
                self._ask(client, "symbol", name=name, roots=[str(self._root)], references=True)

    # disturbances

    def _burst(self, number: int) -> None:
        """Create more files at once than the watcher trusts its events for, and remove them again."""
        names = {f"burst{number}/b{one}.py": f"burst_{one} = {one}\n".encode() for one in range(_BURST_FILES)}
        directory = self._root / f"burst{number}"
        with self._journal.change(names):
            directory.mkdir()
            for name, data in names.items():
                (self._root / name).write_bytes(data)
        with self._journal.change(dict.fromkeys(names)):
            shutil.rmtree(directory)
        self.counts["bursts"] += 1

    def _index_others(self, number: int) -> None:
        """Index a second root from scratch, again and again."""
        chosen = random.Random(f"{self._seed}-others-{number}")
        place = self._root.with_name(f"others{number}")
        while not self._stopping.is_set():
            area = self._area(place, "other", Journal(), chosen)
            for _ in range(60):
                area.step()
            self._daemon.call("roots.add", path=str(place), wait=chosen.random() < 0.5)
            self._stopping.wait(chosen.uniform(0.0, 4.0))
            self._daemon.call("roots.remove", path=str(place))
            shutil.rmtree(place)
            self.counts["other roots indexed"] += 1

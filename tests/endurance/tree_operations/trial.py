"""A daemon over a tree that is worked on, and the three oracles that say whether its index equals the disk.

* the product's own ``verify``;
* an index of the same tree built from scratch by a second daemon, compared store by store and answer by answer;
* the markers: a word that is on the disk is found where it stands, one that is gone is in no answer.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random
from typing import Any

from endurance.index_contents import Contents, contents_of, differences, words_of
from endurance.tree_operations.operations import Burst, Operation, do_all, do_burst
from endurance.tree_operations.visible import look
from endurance.tree_operations.world import MAX_FILE_BYTES, World
from support.daemons import RealDaemon

CONFIG = f"[index]\nmax_file_bytes = {MAX_FILE_BYTES}\n[workers]\nnice = 0\n[watch]\nreconcile_minutes = 100000\n"
"""No walk but the ones that the product itself asks for, so that only events and ``sync`` bring changes in."""

Answer = dict[tuple[str, int, int], float]
"""(path, first line, last line) to score."""

Line = tuple[bytes, int]
"""Path and number of a line."""

_SAMPLE = 5
_DEAD_KEPT = 500
_SHOWN = 20
_MANY_HITS = 10
_NEARLY = 1e-6
_MOST_COMMITS = 1000
_MOST_LINES = 100_000


class DifferenceError(AssertionError):
    """The index is not what is on the disk."""


class Trial:
    """One world and the daemon that indexes it; ``reference`` makes the second daemon."""

    def __init__(
        self, daemon: RealDaemon, world: World, reference: Callable[[], AbstractContextManager[RealDaemon]]
    ) -> None:
        self.daemon = daemon
        self.world = world
        self.root = Path(os.fsdecode(world.root))
        self.done: Counter[str] = Counter()
        self._reference = reference
        self._random = Random(0)  # for samples: does not touch the world's dice
        self._seen: dict[bytes, None] = {}
        self._nested: bytes | None = None

    def add(self) -> None:
        """Have the daemon index the root."""
        self.daemon.call("roots.add", path=str(self.root), wait=True)

    def burst(self, count: int) -> Burst:
        """``count`` random operations without a pause."""
        return self._count(do_burst(self.world, count))

    def do(self, operations: Iterable[Operation]) -> Burst:
        """Just these operations without a pause."""
        return self._count(do_all(self.world, operations))

    def _count(self, burst: Burst) -> Burst:
        self.done["bursts"] += 1
        self.done["operations"] += len(burst.names)
        return burst

    def sync(self) -> None:
        """Everything done so far is to be in. Raises DifferenceError when the daemon says that it cannot."""
        reply = self._ask("sync", path=str(self.root), timeout_s=50)
        self.done[f"sync by {reply['how']}"] += 1

    def verify(self) -> None:
        """The product's own oracle. Raises DifferenceError."""
        (found,) = self._ask("verify", path=str(self.root))["roots"]
        self.done["verify"] += 1
        self.done["files verified"] += found["files_checked"]
        self.done["chunks verified"] += found["chunks_checked"]
        if found["differences"] or found["failed_files"]:
            lines = [
                f"{item['path']!r}: {item['what']}: {item['detail']};"
                f" {self._ask('explain', path=os.path.join(self.root, item['path']))}"
                for item in found["differences"][:_SHOWN]
            ]
            raise DifferenceError(
                "\n".join(["verify found:", f"{found['failed_files']} failed files", *lines[:_SHOWN]])
            )

    def check_history(self) -> None:
        """After a sync, the history is what ``git log`` lists, unless it is just being read. Raises DifferenceError."""
        history = self._ask("status", path=str(self.root))["roots"][0]["history"]
        if history["state"] != "complete":
            self.done[f"history {history['state']}"] += 1
            return
        listed = subprocess.run(
            ["git", "log", "--format=%H", "-n", str(_MOST_COMMITS)], cwd=self.root, capture_output=True, check=False
        )
        expected = set(listed.stdout.decode().split())
        found = self._ask("history.log", roots=[str(self.root)], limit=_MOST_COMMITS)["commits"]
        self.done["histories compared"] += 1
        self.done["commits compared"] += len(found)
        if {commit["id"] for commit in found} != expected:
            have = {commit["id"] for commit in found}
            raise DifferenceError(f"history: missing {expected - have}, superfluous {have - expected}; {history}")

    def check_markers(self) -> None:
        """What is on the disk is found, what is gone is not, after a sync that the question asks for."""
        seen = look(self.world)
        for marker in self._random.sample(sorted(seen.certain), min(_SAMPLE, len(seen.certain))):
            hits = self._hits(marker, sync=True)
            places = seen.certain[marker]
            if not any(os.fsencode(place["path"]) in places for hit in hits for place in _places(hit)):
                explained = self._ask("explain", path=os.fsdecode(self.world.at(places[0])))
                raise DifferenceError(f"{marker.decode()} is in {places} and was not found: {hits}; {explained}")
        dead = [marker for marker in self._seen if marker not in seen.present]
        for marker in self._random.sample(dead, min(_SAMPLE, len(dead))):
            if hits := self._hits(marker):
                raise DifferenceError(f"{marker.decode()} is on the disk no more and was found: {hits}")
        self._seen.update(dict.fromkeys(sorted(seen.present)))
        while len(self._seen) > _DEAD_KEPT:
            del self._seen[next(iter(self._seen))]
        self.done["markers"] += min(_SAMPLE, len(seen.certain)) + min(_SAMPLE, len(dead))

    def check_grep(self) -> None:
        """Lines that match, all others, and files without a match are those of the files. Raises DifferenceError."""
        certain = {path for places in look(self.world).certain.values() for path in places}
        texts = {path: self.world.read(path).decode() for path in sorted(certain)}
        lines = {
            path: text.removesuffix("\n").split("\n")
            for path, text in texts.items()
            if "\r" not in text and "nbformat" not in text  # of notebooks, only the cells are searched
        }
        chosen = self._random.sample(sorted(lines), min(_SAMPLE, len(lines)))
        patterns = [self._random.choice([line for line in lines[path] if line.strip()]) for path in chosen[:2]]
        if not patterns:
            return
        question: dict[str, Any] = {
            "pattern": patterns[0],
            "others": patterns[1:],
            "fixed": True,
            "roots": [self._absolute(path) for path in chosen],
            "limit": _MOST_LINES,
            "sync": True,
        }
        for whole in (False, True):
            for invert in (False, True):

                def selected(line: str, *, whole: bool = whole, invert: bool = invert) -> bool:
                    return any(line == one if whole else one in line for one in patterns) is not invert

                expected = {(path, n) for path in chosen for n, line in enumerate(lines[path], 1) if selected(line)}
                asked = {**question, "whole_line": whole, "invert": invert}
                self._compare_grep(asked, expected)
                without = {(path, 0) for path in chosen} - {(path, 0) for path, _ in expected}
                self._compare_grep({**asked, "files_without": True}, without)

    def _compare_grep(self, asked: dict[str, Any], expected: set[Line]) -> None:
        answer = self._ask("grep", **asked)
        found = {
            (os.fsencode(one["path"]), one.get("line", 0)) for one in (*answer["matches"], *answer.get("counts", ()))
        }
        self.done["lines compared"] += len(expected)
        if found != expected:
            wrong = f"lacks {expected - found}, has {found - expected} too many"
            raise DifferenceError(f"grep {asked} {wrong}; left out: {answer['left_out']}, {answer.get('notes')}")

    def check_pause(self, count: int) -> Burst:
        """While paused, also over a restart, ``count`` operations leave the index as it is. Raises DifferenceError.

        Call :meth:`sync` before and afterwards.
        """
        before = self._status()
        self._ask("pause", path=str(self.root))
        burst = self.burst(count)
        if self._random.random() < 0.5:
            self.daemon.kill()
            self.daemon.start()
            self.done["pauses over a kill"] += 1
        now = self._status()
        problems = [
            f"{key} is {now[key]} instead of {value}"
            for key, value in (("state", "paused"), *((key, before[key]) for key in ("root_hash", "files", "chunks")))
            if now[key] != value
        ]
        if problems:
            raise DifferenceError(f"a paused root: {'; '.join(problems)}")
        self._ask("resume", path=str(self.root))
        self.done["pauses"] += 1
        return burst

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = self._ask("status", path=str(self.root))["roots"][0]
        return status

    def check_kernel_files(self) -> None:
        """The state of the kernel that is mounted in the tree is left out, and is no change. Raises DifferenceError."""
        place = Path(self._absolute(b"kernel_files"))
        if self.world.mounted or place.exists():
            return
        place.mkdir()
        mounted = subprocess.run(["mount", "-t", "sysfs", "none", place], capture_output=True, check=False)
        try:
            if mounted.returncode == 0:
                self.sync()
                self.verify()
                if (explained := self._ask("explain", path=str(place / "kernel")))["indexed"]:
                    raise DifferenceError(f"files of the kernel are indexed: {explained}")
                self.done["kernel files left out"] += 1
        finally:
            if mounted.returncode == 0:
                subprocess.run(["umount", "-l", place], check=True)
            place.rmdir()
        self.sync()

    def _hits(self, marker: bytes, **params: Any) -> list[dict[str, Any]]:
        """The hits of a search that hold the marker. As a phrase: the model knows no such word and likes any chunk."""
        hits = self._ask("search", query=f'"{marker.decode()}"', roots=[str(self.root)], limit=20, **params)["hits"]
        return [hit for hit in hits if marker.decode() in hit["snippet"]]

    def check_nested_root(self) -> None:
        """A directory that the root leaves out is a root of its own, any other is covered. Raises DifferenceError.

        The nested root stays until the next check, while the tree is worked on. Call it after :meth:`sync`.
        """
        self._check_and_remove_nested()
        directories = self.world.directories()[1:]
        chosen = self._random.sample(directories, min(_SAMPLE, len(directories)))
        if not chosen:
            return
        explained = {path: self._ask("explain", path=self._absolute(path))["indexed"] for path in chosen}
        path = min(chosen, key=lambda path: explained[path])  # one that is left out, if there is any
        answer = self._ask("roots.add", path=self._absolute(path), wait=True)
        if answer["already_covered"] != explained[path]:
            raise DifferenceError(f"{path!r}: indexed {explained[path]}, but adding it said {answer}")
        self.done["directories covered" if explained[path] else "nested roots"] += 1
        if not explained[path]:
            self._nested = path
            self._verify_nested(path)

    def _verify_nested(self, path: bytes) -> None:
        place = self._absolute(path)
        self._ask("sync", path=place, timeout_s=50)
        (found,) = self._ask("verify", path=place)["roots"]
        if found["path"] != place or found["differences"]:
            raise DifferenceError(f"the nested root {path!r}: {found}")
        hits = self._ask("search", query="marker", roots=[place])["hits"]
        if wrong := [hit for hit in hits if hit["root"] != place]:
            raise DifferenceError(f"a search in the nested root {path!r} found {wrong}")

    def _check_and_remove_nested(self) -> None:
        path, self._nested = self._nested, None
        if path is None or self._absolute(path) not in [root["path"] for root in self._ask("roots.list")["roots"]]:
            return  # absorbed, since the root around it indexes it now
        if os.path.isdir(self.world.at(path)) and not self.world.mounted:
            self._verify_nested(path)
        self._ask("roots.remove", path=self._absolute(path))

    def _absolute(self, path: bytes) -> str:
        return os.fsdecode(self.world.at(path))

    def compare(self) -> None:
        """An index from scratch holds the same and answers the same. Raises DifferenceError."""
        words = words_of(self.root)
        with self._reference() as reference:
            reference.call("roots.add", path=str(self.root), wait=True)
            problems = differences(
                contents_of(self.daemon, self.root, words), want := contents_of(reference, self.root, words)
            )
            status = [daemon.call("status", path=str(self.root))["roots"][0] for daemon in (self.daemon, reference)]
            for key in ("root_hash", "files", "chunks", "failed_files", "skipped"):
                if status[0][key] != status[1][key]:
                    problems.append(f"status: {key} is {status[0][key]} instead of {status[1][key]}")
            problems = problems or self._answers_differ(want, reference)
            reference.call("roots.remove", path=str(self.root))
        self.done["compared"] += 1
        self.done["files compared"] += len(want.leaves)
        self.done["chunks compared"] += want.chunks
        self.done["terms compared"] += len(want.found)
        if problems:
            raise DifferenceError("\n".join([f"{len(problems)} differences to a new index:", *problems[:_SHOWN]]))

    def _answers_differ(self, want: Contents, reference: RealDaemon) -> list[str]:
        """Answers to some questions whose order depends on the present alone.

        BM25 counts deleted documents until tantivy merges them away, so plain searches may weigh words otherwise;
        which chunks each word finds was compared before.
        """
        chunks = [(path, chunk) for path, leaf in sorted(want.leaves.items()) for chunk in leaf.chunks]
        problems = []
        for path, chunk in self._random.sample(chunks, min(_SAMPLE, len(chunks))):
            questions: list[tuple[str, dict[str, Any]]] = [
                ("related", {"root": str(self.root), "path": os.fsdecode(path), "line": chunk.span.start_line}),
                *(
                    ("symbol", {"name": symbol.name, "roots": [str(self.root)], "references": True})
                    for symbol in chunk.span.symbols[:1]
                ),
            ]
            for method, params in questions:
                have, expected = (_answer(daemon.call(method, **params)) for daemon in (self.daemon, reference))
                self.done["answers compared"] += 1
                if not _equal(have, expected):
                    problems.append(f"{method} {params}: {have} instead of {expected}")
        return problems

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        client = self.daemon.client()
        try:
            reply = client.call(method, **params)
        finally:
            client.close()
        if "error" in reply:
            raise DifferenceError(f"{method}: {reply['error']}")
        return reply.result


def _places(hit: dict[str, Any]) -> list[dict[str, Any]]:
    """Where the text of a hit stands: which of its copies is the hit depends on the order of their ids."""
    return [hit, *hit.get("copies", ())]


def _answer(reply: dict[str, Any]) -> Answer:
    """The hits of a reply. Where there are many, those that only just came in are left out: equals were cut there."""
    hits = [*reply.get("hits", ()), *reply.get("definitions", ()), *reply.get("references", ())]
    scores = {
        (place["path"], place["start_line"], place["end_line"]): float(hit.get("score", 1.0))
        for hit in hits
        for place in _places(hit)
    }
    least = min(scores.values(), default=0.0) + _NEARLY if len(reply.get("hits", ())) >= _MANY_HITS else 0.0
    return {place: score for place, score in scores.items() if score >= least}


def _equal(one: Answer, other: Answer) -> bool:
    return one.keys() == other.keys() and all(abs(score - other[place]) < _NEARLY for place, score in one.items())

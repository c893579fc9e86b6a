#!/usr/bin/env python3
"""One large tree, as its user meets it: cold index, queries, filters, saves, restarts after a stop and a kill, verify.

    python tests/benchmarks/scale.py DIRECTORY [--json FILE] [--home DIR] [STAGE ...]

Stages, in this order: cold, queries, filters, grep, saves, restart, killed, verify, idle; all by default. With
``--home`` the index stays there, so that later runs can measure single stages on it. A file is created in DIRECTORY and
removed again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "daemon")]

from support.daemons import RawClient, RealDaemon, until  # noqa: E402
from support.processes import Memory, Peak, cpu_seconds, family  # noqa: E402

QUESTIONS = (
    "where is a page fault handled",
    "usb device reset",
    "how are network packets queued",
    "parse command line arguments",
    "mutex lock slow path",
    "free a list of pages",
    "register a character device",
    "schedule work on a queue",
    "read a file into memory",
    "allocate memory for a buffer",
    "compare two version numbers",
    "handle a timeout",
)
FILTERS = ("lang:c", "path:drivers/usb/**", "kind:struct", "-path:drivers/**", "lang:c path:fs/**", "symbol:probe")
SELECTIVE = 50  # lines
LONG_S = 3600.0
Results = dict[str, float]


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of ``values`` do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Bench:
    """The stages, on one daemon and one root."""

    def __init__(self, daemon: RealDaemon, root: Path) -> None:
        self.daemon = daemon
        self.root = root

    @property
    def pid(self) -> int:
        assert self.daemon.process is not None
        return self.daemon.process.pid

    def status(self) -> dict[str, object]:
        roots = self.daemon.call("status", path=str(self.root))["roots"]
        return dict(roots[0]) if roots else {}

    def wait_until_fresh(self) -> None:
        until(lambda: self.status().get("state") == "fresh", timeout_s=LONG_S, what="fresh")

    def cold(self) -> Results:
        peak = Peak(self.pid)
        peak.start()
        used, began = cpu_seconds(self.pid), time.perf_counter()
        self.daemon.call("roots.add", path=str(self.root))
        until(lambda: self._hits(), timeout_s=LONG_S, what="the first answer")
        first = time.perf_counter() - began
        busy = self._ask_until_fresh()
        seconds = time.perf_counter() - began
        used = cpu_seconds(self.pid) - used
        peak.stop()
        right_after = self._queries(2)
        status = self.status()
        source = sum(path.stat().st_size for path in self.root.rglob("*") if path.is_file() and not path.is_symlink())
        stores = self._stores()
        return {
            "cold_s": seconds,
            "cold_cpu_s": used,
            "cold_first_answer_s": first,
            "cold_peak_pss_mb": peak.pss / 1e6,
            "cold_peak_daemon_anonymous_mb": peak.anonymous / 1e6,
            "cold_query_p50_ms": statistics.median(busy),
            "cold_query_p99_ms": percentile(busy, 0.99),
            "right_after_query_p50_ms": statistics.median(right_after),
            "files": float(str(status["files"])),
            "chunks": float(str(status["chunks"])),
            "source_mb": source / 1e6,
            **{f"disk_{name}_mb": size / 1e6 for name, size in stores.items()},
            "disk_per_source_byte": sum(stores.values()) / source,
        }

    def _hits(self) -> bool:
        try:
            return bool(self.daemon.call("search", query=QUESTIONS[0], roots=[str(self.root)])["hits"])
        except (OSError, AssertionError):
            return False

    def _ask_until_fresh(self) -> list[float]:
        """Ask a question every two seconds, which costs little beside the index, and return how long each took."""
        times: list[float] = []
        client = self.daemon.client()
        while self.status()["state"] != "fresh":
            times.append(self._ask(client, QUESTIONS[len(times) % len(QUESTIONS)]))
            time.sleep(2.0)
        return times

    def _ask(self, client: RawClient, query: str) -> float:
        began = time.perf_counter()
        reply = client.call("search", query=query, roots=[str(self.root)])
        elapsed = (time.perf_counter() - began) * 1000
        assert "result" in reply, reply
        return elapsed

    def _queries(self, rounds: int) -> list[float]:
        client = self.daemon.client()
        return [self._ask(client, f"{question} {number}") for number in range(rounds) for question in QUESTIONS]

    def _stores(self) -> dict[str, int]:
        sizes: dict[str, int] = {}
        cache = self.daemon.home / "cache"
        for path in cache.rglob("*"):
            if path.is_file():
                parts = path.relative_to(cache / "codeindexd").parts
                name = parts[2] if parts[0] == "roots" and len(parts) > 2 else parts[0]
                name = name.split(".")[0]
                sizes[name] = sizes.get(name, 0) + path.stat().st_blocks * 512
        return sizes

    def queries(self) -> Results:
        self._queries(1)
        times = self._queries(20)
        return {"query_p50_ms": statistics.median(times), "query_p99_ms": percentile(times, 0.99)}

    def filters(self) -> Results:
        client, results = self.daemon.client(), {}
        for one in FILTERS:
            times = [self._ask(client, f"{one} {question}") for question in QUESTIONS]
            results[f"filter_p50_ms {one}"] = statistics.median(times)
        return results

    def grep(self) -> Results:
        """Time exact search for identifiers, drawn from the tree, that at most ``SELECTIVE`` lines contain."""
        client, times = self.daemon.client(), []
        self._wait_for_skipped_texts(client)
        for pattern in self._identifiers():
            began = time.perf_counter()
            found = client.call("grep", pattern=pattern, roots=[str(self.root)], budget_s=1).result
            elapsed = (time.perf_counter() - began) * 1000
            if 0 < found["total"] <= SELECTIVE:
                times.append(elapsed)
        return {
            "grep_patterns": float(len(times)),
            "grep_p50_ms": statistics.median(times),
            "grep_p99_ms": percentile(times, 0.99),
        }

    def _wait_for_skipped_texts(self, client: RawClient) -> None:
        """Wait until exact search reads no file for a pattern that occurs nowhere."""

        def is_read() -> bool:
            found = client.call("grep", pattern="z9q8 w7x6 k5j4", roots=[str(self.root)]).result
            time.sleep(5)
            return bool(found["searched"] == 0)

        until(is_read, timeout_s=LONG_S, what="the texts of skipped files")

    def _identifiers(self) -> list[str]:
        """Return 200 long identifiers from as many files, the same for the same tree."""
        chosen = random.Random(1)
        files = sorted(path for path in self.root.rglob("*.[chp]*") if path.is_file() and not path.is_symlink())
        found: list[str] = []
        while len(found) < 200:
            text = chosen.choice(files).read_text(errors="replace")
            if words := re.findall(r"\b[A-Za-z_]{12,40}\b", text):
                found.append(chosen.choice(words))
        return found

    def saves(self) -> Results:
        client, times, path = self.daemon.client(), [], self.root / "kernel" / "codeindexd_scale.c"
        path = path if path.parent.is_dir() else self.root / path.name
        try:
            for number in range(40):
                word = f"freshword{number}x{os.getpid()}"
                path.write_text(f"int {word}(void)\n{{\n\treturn {number};\n}}\n")
                began = time.perf_counter()
                until(lambda word=word: word in str(client.call("search", query=word, limit=3)), what=word)  # type: ignore[misc]
                times.append((time.perf_counter() - began) * 1000)
                time.sleep(0.2)
        finally:
            path.unlink(missing_ok=True)
        return {"save_p50_ms": statistics.median(times), "save_p99_ms": percentile(times, 0.99)}

    def _start(self, name: str) -> Results:
        began = time.perf_counter()
        self.daemon.start(wait=False)
        until(self.daemon.socket.exists, what="the socket")
        until(self._hits, timeout_s=LONG_S, what="the first answer")
        first = time.perf_counter() - began
        self.wait_until_fresh()
        return {f"{name}_first_answer_s": first, f"{name}_fresh_s": time.perf_counter() - began}

    def restart(self) -> Results:
        self.daemon.stop()
        results = self._start("restart")
        if (self.root / ".git").exists():
            began = time.perf_counter()
            subprocess.run(["git", "status", "--short"], cwd=self.root, check=True, capture_output=True)
            results["git_status_s"] = time.perf_counter() - began
        return results

    def killed(self) -> Results:
        path = self.root / "codeindexd_scale.c"
        path.write_text("int being_saved(void);\n")
        time.sleep(0.3)
        self.daemon.kill()
        path.unlink()
        results = self._start("killed")
        used = cpu_seconds(self.pid)
        until(lambda: self._is_idle(), timeout_s=LONG_S, what="rest after the kill")
        return {**results, "killed_cpu_afterwards_s": cpu_seconds(self.pid) - used}

    def _is_idle(self) -> bool:
        """No process has used the CPU for 20 seconds; longer than the pause before work at idle priority begins."""
        used, began = cpu_seconds(self.pid), time.monotonic()
        while time.monotonic() < began + 75:
            time.sleep(5)
            if cpu_seconds(self.pid) - used > 1.0:
                return False
        return True

    def verify(self) -> Results:
        began = time.perf_counter()
        client = RawClient(self.daemon.socket, timeout_s=LONG_S)
        result = client.call("verify", path=str(self.root)).result
        client.close()
        assert result["ok"], result
        return {"verify_s": time.perf_counter() - began}

    def idle(self) -> Results:
        self.wait_until_fresh()
        time.sleep(120)
        used, began = cpu_seconds(self.pid), time.perf_counter()
        time.sleep(60)
        used = cpu_seconds(self.pid) - used
        return {
            "idle_cpu_percent": 100 * used / (time.perf_counter() - began),
            "idle_daemon_anonymous_mb": Memory.of(self.pid).anonymous / 1e6,
            "idle_pss_mb": sum(Memory.of(one).pss for one in family(self.pid)) / 1e6,
        }


@contextmanager
def daemon_in(home: Path | None) -> Iterator[RealDaemon]:
    """A started daemon in ``home``, which is kept, or in a temporary directory, which is removed."""
    daemon = RealDaemon(home or Path(tempfile.mkdtemp(prefix="cix")))
    try:
        yield daemon.start()
    finally:
        if home is None:
            daemon.end()
        elif daemon.process is not None and daemon.process.poll() is None:
            daemon.stop()


def main() -> int:
    """Run the chosen stages and print what they measured."""
    stages = ("cold", "queries", "filters", "grep", "saves", "restart", "killed", "verify", "idle")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("stages", nargs="*", metavar="STAGE")
    parser.add_argument("--json", type=Path, help="write the results here as well")
    parser.add_argument("--home", type=Path, help="keep the index here")
    chosen = parser.parse_intermixed_args()
    if unknown := set(chosen.stages) - set(stages):
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")
    results: Results = {}
    with daemon_in(chosen.home) as daemon:
        bench = Bench(daemon, chosen.directory.resolve())
        for stage in [stage for stage in stages if stage in (chosen.stages or stages)]:
            run: Callable[[], Results] = getattr(bench, stage)
            found = run()
            results |= found
            for key, value in found.items():
                print(f"  {key:<36}{value:12.3f}", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

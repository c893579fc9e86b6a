"""The promised figures, measured on the real daemon over a copy of this Python's standard library.

Every function takes a prepared daemon and returns plain numbers; ``run.py`` prints them beside their limits.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.daemons import RealDaemon, real_daemon, until
from support.processes import Memory, Peak, cpu_seconds, family

QUESTIONS = (
    "parse command line arguments",
    "send an http request",
    "how is a temporary directory removed",
    "decode base64",
    "ThreadPoolExecutor submit",
    "walk a directory tree",
    "json encoder for custom objects",
    "unix socket connect",
    "compile a regular expression",
    "read a csv file row by row",
)


def copy_standard_library(target: Path) -> Path:
    """Every .py file of the standard library, without what pip installed beside it."""
    source = Path(sysconfig.get_paths()["stdlib"])

    def unwanted(directory: str, names: list[str]) -> set[str]:
        return {
            name
            for name in names
            if name in ("site-packages", "__pycache__")
            or not (name.endswith(".py") or (Path(directory) / name).is_dir())
        }

    shutil.copytree(source, target, ignore=unwanted)
    return target


@contextmanager
def workplace() -> Iterator[Path]:
    """A directory that is gone at the end."""
    place = Path(tempfile.mkdtemp(prefix="cixbench"))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def pss_bytes(pid: int) -> int:
    """Proportional set size of a process and its children."""
    return sum(Memory.of(one).pss for one in family(pid))


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def cold_index(daemon: RealDaemon, root: Path) -> dict[str, float]:
    """Seconds from `add` to `fresh`, and the peak memory of all processes meanwhile."""
    assert daemon.process is not None
    memory = Peak(daemon.process.pid, every_s=0.1)
    memory.start()
    began = time.perf_counter()
    added = daemon.call("roots.add", path=str(root), wait=True)["roots"][0]
    seconds = time.perf_counter() - began
    memory.stop()
    return {
        "cold_index_s": seconds,
        "cold_files": added["files"],
        "cold_chunks": added["chunks"],
        "cold_chunks_per_s": added["chunks"] / seconds,
        "cold_peak_pss_mb": memory.pss / 1e6,
    }


def restart(daemon: RealDaemon) -> dict[str, float]:
    """From exec of a restarted daemon to its first answer, and until it knows that nothing changed."""
    daemon.stop()
    began = time.perf_counter()
    daemon.start(wait=False)
    until(daemon.socket.exists, what="the socket")
    hits = until(lambda: _hits_or_none(daemon), what="the first answer")
    first = time.perf_counter() - began
    assert hits
    until(lambda: daemon.call("status")["roots"][0]["state"] == "fresh", what="fresh")
    return {"restart_first_answer_s": first, "restart_fresh_s": time.perf_counter() - began}


def _hits_or_none(daemon: RealDaemon) -> list[dict[str, object]] | None:
    try:
        return daemon.call("search", query=QUESTIONS[0])["hits"] or None
    except OSError:
        return None


def saves(daemon: RealDaemon, root: Path, count: int = 100) -> dict[str, float]:
    """Milliseconds from the end of a write to the first answer that has the new text, files of all sizes."""
    files = sorted(root.rglob("*.py"), key=lambda path: path.stat().st_size)
    files = [path for path in files if 0 < path.stat().st_size < 1_000_000]
    chosen = [files[len(files) * number // count] for number in range(count)]
    random.Random(7).shuffle(chosen)
    client = daemon.client()
    times = []
    for number, path in enumerate(chosen):
        word = f"freshword{number}x{os.getpid()}"
        with path.open("a") as file:
            file.write(f"\n\ndef {word}():\n    return {number}\n")
        began = time.perf_counter()
        until(lambda word=word: word in str(client.call("search", query=word, limit=3).result["hits"]), what=word)
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(0.05)
    return {"save_p50_ms": statistics.median(times), "save_p99_ms": percentile(times, 0.99)}


def queries(daemon: RealDaemon, root: Path, count: int = 500) -> dict[str, float]:
    """Milliseconds of a question over one connection."""
    client = daemon.client()
    for question in QUESTIONS:
        client.call("search", query=question, roots=[str(root)])
    times = []
    for number in range(count):
        began = time.perf_counter()
        client.call("search", query=f"{QUESTIONS[number % len(QUESTIONS)]} {number % 7}", roots=[str(root)])
        times.append((time.perf_counter() - began) * 1000)
    return {"query_p50_ms": statistics.median(times), "query_p99_ms": percentile(times, 0.99)}


def queries_while_indexing(daemon: RealDaemon, root: Path, other: Path) -> dict[str, float]:
    """The same while another root of the same size is indexed for the first time."""
    client = daemon.client()
    daemon.call("roots.add", path=str(other))
    times = []
    while daemon.call("status", path=str(other))["roots"][0]["state"] != "fresh":
        for question in QUESTIONS:
            began = time.perf_counter()
            client.call("search", query=question, roots=[str(root)])
            times.append((time.perf_counter() - began) * 1000)
    daemon.call("roots.remove", path=str(other))
    return {
        "query_busy_p50_ms": statistics.median(times),
        "query_busy_p99_ms": percentile(times, 0.99),
        "query_busy_count": len(times),
    }


def command_line(daemon: RealDaemon, root: Path, count: int = 20) -> dict[str, float]:
    """Milliseconds of `codeindex search` as a process, beside `python -c pass`."""
    times, floor = [], []
    for number in range(count):
        began = time.perf_counter()
        done = daemon.run("search", QUESTIONS[number % len(QUESTIONS)], cwd=root)
        times.append((time.perf_counter() - began) * 1000)
        assert done.returncode == 0, done.stderr
        began = time.perf_counter()
        os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", "pass"])
        floor.append((time.perf_counter() - began) * 1000)
    return {"command_p50_ms": statistics.median(times), "python_p50_ms": statistics.median(floor)}


def syncs(daemon: RealDaemon, root: Path, count: int = 50) -> dict[str, float]:
    """Milliseconds of `sync` right after a one-file save."""
    client = daemon.client()
    path = root / "synced.py"
    times = []
    for number in range(count):
        path.write_text(f"def synced_{number}():\n    return {number}\n")
        began = time.perf_counter()
        answer = client.call("sync", path=str(root)).result
        times.append((time.perf_counter() - began) * 1000)
        assert answer["how"] == "cookie"
    return {"sync_p50_ms": statistics.median(times)}


def idle(daemon: RealDaemon, seconds: float = 60.0) -> dict[str, float]:
    """Percent of one CPU used by all processes of a daemon that has nothing to do."""
    assert daemon.process is not None
    time.sleep(15)
    began, used = time.perf_counter(), cpu_seconds(daemon.process.pid)
    time.sleep(seconds)
    used = cpu_seconds(daemon.process.pid) - used
    return {
        "idle_cpu_percent": 100 * used / (time.perf_counter() - began),
        "idle_pss_mb": pss_bytes(daemon.process.pid) / 1e6,
    }


def parallel_speed_up(place: Path, root: Path) -> dict[str, float]:
    """Cold indexing with one file at a time against as many workers as there are CPUs, in the same run."""
    seconds = {}
    for name, count in (("sequential", "0"), ("parallel", str(os.cpu_count()))):
        with real_daemon(f"[workers]\ncount = {count}\n") as daemon:
            seconds[name] = cold_index(daemon, root)["cold_index_s"]
    return {
        "sequential_index_s": seconds["sequential"],
        "parallel_speed_up": seconds["sequential"] / seconds["parallel"],
    }


def run() -> dict[str, float]:
    """All figures."""
    with workplace() as place:
        root = copy_standard_library(place / "stdlib")
        other = copy_standard_library(place / "other")
        results: dict[str, float] = {}
        with real_daemon() as daemon:
            results |= cold_index(daemon, root)
            results |= restart(daemon)
            results |= queries(daemon, root)
            results |= queries_while_indexing(daemon, root, other)
            results |= saves(daemon, root)
            results |= syncs(daemon, root)
            results |= command_line(daemon, root)
            results |= idle(daemon)
        results |= parallel_speed_up(place, root)
    return results

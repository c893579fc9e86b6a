"""What the history of a repository costs: time to read it, memory, disk, answers, and what it costs the code.

``python tests/benchmarks/history.py GIT_DIRECTORY [--replicated N]`` prints figures as JSON. The repository is cloned,
its code is indexed first, and its history is read at idle priority, as for a user. With ``--replicated``, the time of
``log`` is also measured in a store of N commits, made from the repository's by changing their ids.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    TESTS = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(TESTS), str(TESTS / "benchmarks"), str(TESTS.parent / "daemon")]

import msgspec
import numpy as np
from figures import percentile, workplace

from codeindexd.analysis.embedding.static import StaticModel
from codeindexd.search.history.log import CommitSearcher
from codeindexd.search.history.query import CommitQuery
from codeindexd.storage.history import HistoryStore
from support.daemons import RealDaemon, real_daemon, until
from support.processes import Peak

_READ_S = 3600.0
_QUERIES = 60
_SAVES = 20
_GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "gc.auto=0", "-c", "core.hooksPath=")
_HISTORY_OFF = "[history]\nenabled = false\n"


def run(repository: Path, replicated: int) -> dict[str, float]:
    """Measure one repository."""
    results: dict[str, float] = {}
    with workplace() as place:
        root = place / "code"
        subprocess.run(["git", "clone", "-q", "--shared", str(repository), str(root)], check=True)
        questions = _subjects(root)
        with real_daemon(_HISTORY_OFF) as daemon:
            daemon.call("roots.add", path=str(root), wait=True)
            results |= {f"without_{name}": value for name, value in _code(daemon, root, questions).items()}
        with real_daemon() as daemon:
            results |= _read(daemon, root, questions)
            results |= {f"with_{name}": value for name, value in _code(daemon, root, questions).items()}
            results |= _answers(daemon, root, questions)
            results |= _commits(daemon, root)
            store = next(path for path in daemon.home.glob("**/history/*/history.db")).parent
            daemon.stop()
            if replicated:
                results |= _replicated(store, place / "store", questions, replicated)
    return {name: round(value, 3) for name, value in results.items()}


def _subjects(root: Path) -> list[str]:
    """Words of real subjects, without the first ones, which name the kind of change."""
    output = subprocess.run(
        ["git", "log", "--no-merges", "--format=%s", "-n", "5000"], cwd=root, check=True, capture_output=True, text=True
    )
    chosen = random.Random(7).sample(output.stdout.splitlines(), _QUERIES)
    return [" ".join(subject.split()[2:10]) or subject for subject in chosen]


def _status(daemon: RealDaemon) -> dict[str, Any]:
    history: dict[str, Any] = daemon.call("status")["roots"][0]["history"]
    return history


def _read(daemon: RealDaemon, root: Path, questions: list[str]) -> dict[str, float]:
    """Seconds from fresh code to a complete history, the peak memory meanwhile, and searches for code meanwhile."""
    assert daemon.process is not None
    daemon.call("roots.add", path=str(root), wait=True)
    memory = Peak(daemon.process.pid, every_s=0.1)
    began = time.perf_counter()
    memory.start()
    searches = []
    first = 0.0
    while _status(daemon)["state"] != "complete":
        if not first and _status(daemon)["commits"]:
            first = time.perf_counter() - began
        started = time.perf_counter()
        daemon.call("search", query=random.choice(questions))
        searches.append((time.perf_counter() - started) * 1000)
        time.sleep(0.2)
        assert time.perf_counter() - began < _READ_S
    memory.stop()
    seconds = time.perf_counter() - began
    commits = _status(daemon)["commits"]
    until(lambda: daemon.call("metrics"), what="the metrics")
    size = sum(path.stat().st_size for path in daemon.home.glob("**/history/**/*") if path.is_file())
    return {
        "commits": float(commits),
        "first_commits_s": first,
        "read_s": seconds,
        "peak_pss_mb": memory.pss / 1e6,
        "bytes_per_commit": size / commits,
        "search_while_reading_p50_ms": statistics.median(searches),
    }


def _code(daemon: RealDaemon, root: Path, questions: list[str]) -> dict[str, float]:
    """Searches for code, and saves."""
    client = daemon.client()
    searches, saves = [], []
    for question in questions:
        started = time.perf_counter()
        assert client.call("search", query=question).result
        searches.append((time.perf_counter() - started) * 1000)
    for number in range(_SAVES):
        (root / "saved_by_benchmark.py").write_text(f"def saved_{number}():\n    return {number}\n")
        started = time.perf_counter()
        assert client.call("sync", path=str(root)).result
        saves.append((time.perf_counter() - started) * 1000)
        time.sleep(0.1)
    (root / "saved_by_benchmark.py").unlink()
    client.call("sync", path=str(root))
    return {"search_p50_ms": statistics.median(searches), "save_p50_ms": statistics.median(saves)}


def _answers(daemon: RealDaemon, root: Path, questions: list[str]) -> dict[str, float]:
    """Times of answers in the daemon, which says how long it took."""
    client = daemon.client()
    author = "author:a since:2015 path:**/*.py"
    kinds = {
        "log": list(questions),
        "log_newest": [""] * 20,
        "log_filtered": [f"{author} {question}" for question in questions[:20]],
        "log_regex": ["/[Tt]ime-?outs?/"] * 5,
    }
    results = {}
    for name, queries in kinds.items():
        took = [client.call("history.log", query=query, roots=[str(root)]).result["took_ms"] for query in queries]
        results[f"{name}_p50_ms"] = statistics.median(took)
        results[f"{name}_p99_ms"] = percentile(took, 0.99)
    added = []
    for question in questions[:20]:
        plain = client.call("search", query=question).result["took_ms"]
        started = time.perf_counter()
        client.call("search", query=question, last_commit=True)
        added.append((time.perf_counter() - started) * 1000 - plain)
    results["last_commit_adds_p50_ms"] = statistics.median(added)
    return results


def _commits(daemon: RealDaemon, root: Path) -> dict[str, float]:
    """Milliseconds of a sync after a commit, with the commit found afterwards."""
    client = daemon.client()
    times = []
    for number in range(10):
        (root / "committed.py").write_text(f"x = {number}\n")
        subprocess.run([*_GIT, "add", "-A"], cwd=root, check=True)
        subprocess.run([*_GIT, "commit", "-q", "-m", f"Benchmark {number}"], cwd=root, check=True)
        started = time.perf_counter()
        client.call("sync", path=str(root))
        times.append((time.perf_counter() - started) * 1000)
        newest = client.call("history.log", roots=[str(root)], limit=1).result["commits"][0]
        assert newest["subject"] == f"Benchmark {number}", newest
    return {"commit_to_sync_p50_ms": statistics.median(times)}


def _replicated(source: Path, target: Path, questions: list[str], count: int) -> dict[str, float]:
    """Times of ``log`` in a store of ``count`` commits."""
    fingerprint, dimensions = _fingerprint(source), StaticModel.load().dimensions
    original = HistoryStore(source, fingerprint=fingerprint, dimensions=dimensions)
    snapshot = original.snapshot(original.roots()[0])
    assert snapshot is not None
    from codeindexd.analysis.history.reader import DiffText
    from codeindexd.analysis.tokens import Tokenizer
    from codeindexd.indexing.history_reader import HistoryReader

    reader = HistoryReader(Tokenizer(), mask_secrets=False)
    copy = HistoryStore(target, fingerprint="copy", dimensions=dimensions)
    order: list[int] = []
    turn = 0
    while len(order) < count:
        for start in range(0, len(snapshot.order), 1000):
            numbers = snapshot.order[start : start + 1000].tolist()
            records = [
                (msgspec.structs.replace(one, id=bytes([turn]) + one.id[1:]), DiffText())
                for one in snapshot.commits(numbers).values()
            ]
            added = copy.add(reader.processed(records))
            order += added.values()
        turn += 1
    copy.set_view(
        msgspec.structs.replace(snapshot.view, root="copy", wanted=len(order)), np.array(order[:count], dtype=np.int32)
    )
    large = copy.snapshot("copy")
    assert large is not None
    searcher = CommitSearcher(StaticModel.load().embed)
    took = []
    for question in questions:
        started = time.perf_counter()
        searcher.log(copy.snapshot("copy") or large, CommitQuery(text=question), 10)
        took.append((time.perf_counter() - started) * 1000)
    original.close()
    copy.close()
    return {"replicated_commits": float(count), "replicated_log_p50_ms": statistics.median(took[5:])}


def _fingerprint(store: Path) -> str:
    import sqlite3

    with sqlite3.connect(store / "history.db") as connection:
        (found,) = connection.execute("SELECT fingerprint FROM state").fetchone()
    connection.close()
    return str(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", type=Path)
    parser.add_argument("--replicated", type=int, default=0)
    options = parser.parse_args()
    print(json.dumps(run(options.repository.absolute(), options.replicated), indent=2))

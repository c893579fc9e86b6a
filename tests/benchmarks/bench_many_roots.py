"""What many small roots cost: nothing per root but memory, watches and disk.

``python tests/benchmarks/bench_many_roots.py [ROOTS]`` (1,000 roots of ten files each; 50 is a quick check) prints the
figures as JSON. It fails if a root is not fresh or not watched in the end.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    TESTS = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(TESTS), str(TESTS / "benchmarks"), str(TESTS.parent / "daemon")]

from figures import workplace

from support.daemons import RealDaemon, real_daemon, until

_ROOTS = 1000
_FILES = 10
_AT_ONCE = 50
_FRESH_S = 1800.0
_REST_S = 60.0
_IDLE_S = 60.0
_QUESTIONS = 20


def run(roots: int = _ROOTS) -> dict[str, float]:
    """Figures of a daemon with one root, then with ``roots``, all idle."""
    with workplace() as place, real_daemon("[workers]\nnice = 0\n") as daemon:
        paths = [_lay_out(place / f"root{number:04}", number) for number in range(roots)]
        daemon.call("roots.add", path=str(paths[0]), wait=True)
        time.sleep(_REST_S / 4)
        one = _resources(daemon)
        began = time.perf_counter()
        for path in paths[1:]:
            daemon.call("roots.add", path=str(path))
        until(lambda: _fresh(daemon) == roots, timeout_s=_FRESH_S, what="all roots are fresh")
        results = {"many_roots": float(roots), "many_fresh_s": time.perf_counter() - began}
        time.sleep(_REST_S)
        many = _resources(daemon)
        results |= {f"many_{name}": value for name, value in many.items()}
        results |= {"many_anonymous_kb_per_root": (many["anonymous_kb"] - one["anonymous_kb"]) / max(1, roots - 1)}
        before, since = daemon_cpu_s(daemon), time.perf_counter()
        time.sleep(_IDLE_S)
        results["many_idle_cpu_percent"] = 100 * (daemon_cpu_s(daemon) - before) / (time.perf_counter() - since)
        results |= _answers(daemon, paths)
        return results


def _lay_out(root: Path, number: int) -> Path:
    (root / ".git").mkdir(parents=True)
    for file in range(_FILES):
        (root / f"file{file}.py").write_text(f"def function_{number}_{file}(value):\n    return value + {file}\n")
    return root


def _fresh(daemon: RealDaemon) -> int:
    time.sleep(1.0)
    return sum(root["state"] == "fresh" for root in daemon.call("roots.list")["roots"])


def _resources(daemon: RealDaemon) -> dict[str, float]:
    assert daemon.process is not None
    process = Path(f"/proc/{daemon.process.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    links = [os.readlink(process / "fd" / name) for name in os.listdir(process / "fd")]  # noqa: PTH115, PTH208
    return {
        "descriptors": float(len(links)),
        "inotify_instances": float(sum("inotify" in link for link in links)),
        "threads": float(status["Threads"]),
        "anonymous_kb": float(status["RssAnon"].split()[0]),
    }


def daemon_cpu_s(daemon: RealDaemon) -> float:
    """Return the CPU time of the daemon's process."""
    assert daemon.process is not None
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _answers(daemon: RealDaemon, paths: list[Path]) -> dict[str, float]:
    """Ask about roots whose stores rest, and check that events still arrive everywhere."""
    client = daemon.client()
    status, searches, syncs = [], [], []
    for number in range(_QUESTIONS):
        path = paths[number * len(paths) // _QUESTIONS]
        status.append(_timed(lambda: client.call("status").result))
        searches.append(_timed(lambda path=path: client.call("search", query="function", roots=[str(path)]).result))
        (path / "file0.py").write_text(f"def changed_{number}():\n    pass\n")
        syncs.append(_timed(lambda path=path: client.call("sync", path=str(path), timeout_s=30).result))
        assert client.call("sync", path=str(path), timeout_s=30).result["how"] == "cookie", f"{path} is not watched"
        found = client.call("symbol", name=f"changed_{number}", roots=[str(path)]).result
        assert found["definitions"], f"{path} lacks a change"
    return {
        "many_status_p50_ms": statistics.median(status),
        "many_first_search_p50_ms": statistics.median(searches),
        "many_sync_p50_ms": statistics.median(syncs),
    }


def _timed(function: object) -> float:
    began = time.perf_counter()
    function()  # type: ignore[operator]
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]) if len(sys.argv) > 1 else _ROOTS), indent=1))

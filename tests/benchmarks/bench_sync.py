"""How long ``sync`` takes after a one-file save in a root of 50,000 files: by a cookie, and by a walk.

``python tests/benchmarks/bench_sync.py [FILES]`` prints the figures as JSON. The root is polled for the walks, as on a
network file system; the daemon then has no events to trust and looks at every file.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    TESTS = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(TESTS), str(TESTS / "benchmarks"), str(TESTS.parent / "daemon")]

from figures import percentile, workplace

from support.daemons import RealDaemon, real_daemon, until

_FILES = 50_000
_IN_A_DIRECTORY = 20
_SAVES = 100
_WALKS = 15
_INDEXED_S = 1200.0
_PAUSE_S = 0.1  # a person saves less often


def run(files: int = _FILES) -> dict[str, float]:
    """Milliseconds from the call of ``sync`` to its answer, the save just before it."""
    with workplace() as place, real_daemon("[workers]\nnice = 0\n") as daemon:
        root = place / "root"
        _lay_out(root, files)
        began = time.perf_counter()
        daemon.call("roots.add", path=str(root))
        until(lambda: daemon.call("status")["roots"][0]["state"] == "fresh", timeout_s=_INDEXED_S, what="the index")
        results = {"files": float(files), "index_s": time.perf_counter() - began}
        results |= _syncs(daemon, root, "cookie", _SAVES)
        daemon.stop()
        config = daemon.home / "config/codeindexd/config.toml"
        config.write_text('[watch]\nbackend = "poll"\n[workers]\nnice = 0\n')
        daemon.start()
        until(lambda: daemon.call("sync", path=str(root), timeout_s=60), timeout_s=90, what="the first walk")
        return results | _syncs(daemon, root, "walk", _WALKS)


def _lay_out(root: Path, files: int) -> None:
    for number in range(files):
        directory = root / f"part{number // 1000}" / f"pack{number // _IN_A_DIRECTORY}"
        if number % _IN_A_DIRECTORY == 0:
            directory.mkdir(parents=True)
        text = f"def function_{number}(value):\n    return value + {number}\n"
        (directory / f"file{number}.py").write_text(text)


def _syncs(daemon: RealDaemon, root: Path, how: str, count: int) -> dict[str, float]:
    client = daemon.client()
    places = sorted(root.glob("*/*/*7.py"))
    times = []
    others = 0
    for number in range(count):
        path = places[number * len(places) // count]
        time.sleep(_PAUSE_S)
        path.write_text(f"def saved_{how}_{number}():\n    return {number}\n")
        began = time.perf_counter()
        answer = client.call("sync", path=str(root)).result
        times.append((time.perf_counter() - began) * 1000)
        others += answer["how"] != how
        hits = client.call("search", query=f"saved_{how}_{number}", limit=3).result["hits"]
        assert f"saved_{how}_{number}" in str(hits), (path, answer, hits)
    return {
        f"sync_{how}_p50_ms": statistics.median(times),
        f"sync_{how}_p99_ms": percentile(times, 0.99),
        f"sync_not_by_{how}": float(others),
    }


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]) if len(sys.argv) > 1 else _FILES), indent=2))

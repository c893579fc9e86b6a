#!/usr/bin/env python3
"""Run the benchmarks and print one table; nothing here is a test, and no test times anything.

    python tests/benchmarks/run.py [--json FILE] [NAME ...]

Names are the files beside this one without ``bench_`` (``figures``, ``scan``, ``chunking``, ...); all by default.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "daemon")]

LIMITS = {
    "cold_index_s": 12.0,
    "cold_peak_pss_mb": 400.0,
    "restart_first_answer_s": 0.5,
    "restart_fresh_s": 1.5,
    "save_p50_ms": 100.0,
    "sync_cookie_p50_ms": 60.0,
    "sync_walk_p50_ms": 600.0,
    "query_p50_ms": 8.0,
    "query_p99_ms": 40.0,
    "query_busy_p50_ms": 8.0,
    "query_busy_p99_ms": 40.0,
    "command_p50_ms": 120.0,
    "idle_cpu_percent": 0.5,
    "many_status_p50_ms": 100.0,
    "many_idle_cpu_percent": 0.5,
    "many_inotify_instances": 1.0,
    "many_anonymous_kb_per_root": 300.0,
    "many_descriptors": 400.0,
    "many_threads": 64.0,
    "embedding_share": 0.2,
    "embedding_load_ms": 50.0,
    "embedding_anonymous_mb": 25.0,
}


def main() -> int:
    """Exit status 1 when a figure misses its limit."""
    available = {path.stem.removeprefix("bench_"): path.stem for path in sorted(HERE.glob("bench_*.py"))}
    available = {"figures": "figures", **available}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(available)}")
    parser.add_argument("--json", type=Path, help="write the results here as well")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - available.keys():
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    results: dict[str, dict[str, object]] = {}
    missed = 0
    for name in chosen.names or available:
        results[name] = importlib.import_module(available[name]).run()
        print(f"\n{name}")
        for key, value in results[name].items():
            limit = LIMITS.get(key)
            shown = f"{value:12.3f}" if isinstance(value, float) else f"{value!s:>12}"
            verdict = "" if limit is None else f"  (limit {limit:g}{', MISSED' if float(str(value)) > limit else ''})"
            missed += "MISSED" in verdict
            print(f"  {key:<36}{shown}{verdict}", flush=True)
    machine = {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    if chosen.json:
        chosen.json.write_text(json.dumps({"machine": machine, "results": results}, indent=1, default=str) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

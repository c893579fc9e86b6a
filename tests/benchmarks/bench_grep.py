"""Exact search beside ripgrep: the same lines in every indexed file, and how long both take.

python tests/benchmarks/bench_grep.py DIRECTORY... [--patterns N] [--seed S] [--json FILE]

Each directory becomes a root. Patterns are made from its own text, half of them with metacharacters. Each is asked for
in one answer and as a stream, of which the time of the first lines counts, too. The program ends with 1 if a line of an
indexed file is missing or superfluous anywhere.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from codeindexd.client import Client
from support.daemons import RealDaemon, real_daemon
from support.ripgrep import lines_by_ripgrep, some_pattern

_MOST_LINES = 100_000
_MOST_SAMPLE_BYTES = 50 << 20


def compare(daemon: RealDaemon, root: Path, patterns: int, seed: int) -> dict[str, Any]:
    """Return the differences and the latencies (ms) of one root."""
    entry = daemon.call("roots.add", path=str(root), wait=True)["roots"][0]
    everything = daemon.call("grep", pattern="^", roots=[str(root)], files_only=True, budget_s=600)
    indexed = {count["path"] for count in everything["counts"]}
    lines = sample(root, indexed)
    chosen = random.Random(seed)
    ours, theirs, first, streamed, differences, cut = [], [], [], [], [], 0
    for _ in range(patterns):
        pattern, flags, options = some_pattern(lines, chosen)
        if not pattern.strip():
            continue
        answer = daemon.call("grep", pattern=pattern, roots=[str(root)], limit=_MOST_LINES, **options)
        began = time.perf_counter()
        expected = {place for place in lines_by_ripgrep(root, pattern, flags) if place[0] in indexed}
        theirs.append((time.perf_counter() - began) * 1000)
        ours.append(answer["took_ms"])
        lines_of_stream, first_ms, took_ms = stream(daemon, root, pattern, options)
        first.append(first_ms)
        streamed.append(took_ms)
        if lines_of_stream != expected:
            differences.append([f"stream: {pattern}", *sorted(lines_of_stream ^ expected)[:3]])
        if answer["truncated"]:
            cut += 1
            continue
        found = {(match["path"], match["line"]) for match in answer["matches"]}
        if found != expected:
            differences.append([pattern, *sorted(found ^ expected)[:3]])
    return {
        "root": root.name,
        "files": entry["files"],
        "patterns": len(ours),
        "cut": cut,
        "differences": differences,
        "p50_ms": round(float(np.percentile(ours, 50)), 1),
        "p99_ms": round(float(np.percentile(ours, 99)), 1),
        "first_p99_ms": round(float(np.percentile(first, 99)), 1),
        "stream_p50_ms": round(float(np.percentile(streamed, 50)), 1),
        "stream_p99_ms": round(float(np.percentile(streamed, 99)), 1),
        "ripgrep_p50_ms": round(float(np.percentile(theirs, 50)), 1),
    }


def stream(
    daemon: RealDaemon, root: Path, pattern: str, options: dict[str, bool]
) -> tuple[set[tuple[str, int]], float, float]:
    """Return the lines of a stream, and how long the first and all of them took in this process (ms)."""
    began = time.perf_counter()
    first_ms = 0.0
    found: set[tuple[str, int]] = set()
    with (
        Client(daemon.socket, start=False) as client,
        client.grep_stream(pattern, roots=[root], **options) as lines,  # type: ignore[arg-type]
    ):
        for batch in lines.batches():
            first_ms = first_ms or (time.perf_counter() - began) * 1000
            found.update((match["path"], match["line"]) for match in batch)
    took_ms = (time.perf_counter() - began) * 1000
    return found, first_ms or took_ms, took_ms


def sample(root: Path, indexed: set[str]) -> list[str]:
    """Return lines of the indexed files, of some files if there are many."""
    lines: list[str] = []
    size = 0
    for path in random.Random(0).sample(sorted(indexed), len(indexed)):
        text = (root / path).read_bytes().decode("utf-8", "ignore")
        lines += [line for line in text.split("\n") if 4 < len(line.strip()) < 500 and "\r" not in line]
        size += len(text)
        if size > _MOST_SAMPLE_BYTES:
            break
    return lines


def main() -> int:
    """Print a row per root; return 1 if any line differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+", type=Path)
    parser.add_argument("--patterns", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    columns = ["files", "patterns", "p50", "p99", "stream p50", "p99", "first lines p99", "ripgrep p50", "differences"]
    print(f"| root | {' | '.join(columns)} |")
    print(f"| --- |{' ---: |' * len(columns)}")
    with real_daemon("[workers]\nnice = 0\n[privacy]\nmask_secrets = false\n") as daemon:
        for directory in args.directories:
            row = compare(daemon, directory.resolve(), args.patterns, args.seed)
            rows.append(row)
            shown = ("files", "patterns", "p50_ms", "p99_ms", "stream_p50_ms", "stream_p99_ms", "first_p99_ms")
            cells = [row["root"], *(f"{row[name]:,}" for name in shown), row["ripgrep_p50_ms"], len(row["differences"])]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
            for difference in row["differences"]:
                print(f"  {difference}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return int(any(row["differences"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())

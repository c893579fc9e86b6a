#!/usr/bin/env python3
"""A cold index beside semble's, in turns in one run: seconds, CPU seconds and peak memory, and the ratios.

    python tests/benchmarks/cold.py DIRECTORY --semble PYTHON --model DIR [--rounds N]

``PYTHON`` is the interpreter of an environment with semble, and ``DIR`` a local model2vec model, whose content does not
matter here. Ours includes the start of the daemon and of its workers, definitions, references and the text index;
semble's includes its imports. A round before the first that counts reads all files, so that none comes from the disk.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "daemon")]

from support.daemons import RealDaemon, until  # noqa: E402
from support.processes import Peak, cpu_seconds  # noqa: E402

SEMBLE = """
import sys
from semble import SembleIndex
index = SembleIndex.from_path(sys.argv[1], model_path=sys.argv[2])
assert index.stats.total_chunks
"""
Measured = dict[str, float]


def ours(directory: Path) -> Measured:
    """Index ``directory`` with a new daemon, which is ended afterwards."""
    began = time.perf_counter()
    daemon = RealDaemon(Path(tempfile.mkdtemp(prefix="cixcold"))).start()
    try:
        assert daemon.process is not None
        pid = daemon.process.pid
        peak = Peak(pid, every_s=0.05)
        peak.start()
        daemon.call("roots.add", path=str(directory))
        until(lambda: daemon.call("status")["roots"][0]["state"] == "fresh", timeout_s=3600, what="fresh")
        seconds = time.perf_counter() - began
        used = cpu_seconds(pid)
        peak.stop()
        return {"seconds": seconds, "cpu_seconds": used, "peak_mb": peak.pss / 1e6}
    finally:
        daemon.end()


def theirs(directory: Path, python: Path, model: Path) -> Measured:
    """Index ``directory`` with semble, in a process of its own."""
    before = _used_by_children()
    began = time.perf_counter()
    process = subprocess.Popen([python, "-c", SEMBLE, directory, model], stderr=subprocess.DEVNULL)
    peak = Peak(process.pid, every_s=0.05)
    peak.start()
    code = process.wait()
    seconds = time.perf_counter() - began
    peak.stop()
    assert code == 0, "semble failed"
    return {"seconds": seconds, "cpu_seconds": _used_by_children() - before, "peak_mb": peak.pss / 1e6}


def _used_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Run both in turns and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--semble", type=Path, required=True, metavar="PYTHON")
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the medians here as well")
    chosen = parser.parse_args()
    directory = chosen.directory.resolve()
    runs: dict[str, list[Measured]] = {"codeindexd": [], "semble": []}
    for number in range(chosen.rounds + 1):
        for name, measured in (
            ("codeindexd", ours(directory)),
            ("semble", theirs(directory, chosen.semble, chosen.model.resolve())),
        ):
            runs[name] += [measured] if number else []
    medians = {
        name: {key: statistics.median(run[key] for run in of_tool) for key in of_tool[0]}
        for name, of_tool in runs.items()
    }
    print("| | codeindexd | semble | ratio |\n| --- | ---: | ---: | ---: |")
    for key, own in medians["codeindexd"].items():
        other = medians["semble"][key]
        print(f"| {key} | {own:.1f} | {other:.1f} | {own / other:.2f} |")
    if chosen.json:
        chosen.json.write_text(json.dumps(medians, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The memory and loading cost of the bundled model: workers share its pages and own little."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.places import DAEMON

pytestmark = pytest.mark.processes

ANONYMOUS_MB = 25  # of a process for the model, beyond the mapped files

_CHILD = """
import json, random, sys
import numpy

def smaps(file):
    of_rows, sums = False, {}
    for line in open(f"/proc/self/{file}"):
        name, _, value = line.partition(":")
        if "-" in name.partition(" ")[0]:
            of_rows = line.rstrip().endswith("bundled/rows.npy")
        elif value.endswith("kB\\n") and (of_rows or file == "smaps_rollup"):
            sums[name] = sums.get(name, 0) + int(value.split()[0])
    return sums

before = smaps("smaps_rollup")["Anonymous"]
from codeindexd.analysis.embedding.static import StaticModel
model = StaticModel.load()
draw = random.Random(5)
for _ in range(150):  # 30,000 unknown words: more than the cache holds
    model.embed([" ".join("%08x" % draw.getrandbits(32) for _ in range(20)) for _ in range(10)])
model._rows.max()
print("ready", flush=True)
sys.stdin.readline()  # until the other process has touched it too
print(json.dumps([smaps("smaps_rollup")["Anonymous"] - before, smaps("smaps")]))
"""

_LOADING = """
import json, sys, tracemalloc
from codeindexd.analysis.embedding import static

opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
tracemalloc.start()
static.StaticModel.load()
peak = tracemalloc.get_traced_memory()[1]
print(json.dumps([sum(path.startswith(str(static.BUNDLED)) for path in opened), peak]))
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells what memory is shared")
def test_workers_share_the_rows_and_own_little() -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(DAEMON)},
        )
        for _ in range(2)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    answers = [child.communicate("go\n")[0] for child in children]
    for answer in answers:
        anonymous_kb, rows = json.loads(answer)
        assert anonymous_kb < ANONYMOUS_MB * 1024
        assert rows["Rss"] > 13_000
        assert (
            rows["Anonymous"] == 0
        )  # "Private_Dirty" counts a fresh checkout, too: its files may not be on the disk yet
    assert json.loads(answers[0])[1]["Pss"] <= 0.6 * json.loads(answers[0])[1]["Rss"]


def test_loading_opens_few_files_and_builds_no_table() -> None:
    """The configuration is read once; numpy opens each array three times to map it, and it is hashed once."""
    done = subprocess.run(
        [sys.executable, "-c", _LOADING], capture_output=True, check=True, text=True, env={"PYTHONPATH": str(DAEMON)}
    )
    opened, peak_bytes = json.loads(done.stdout)
    assert opened <= 13
    assert peak_bytes < 6_000_000

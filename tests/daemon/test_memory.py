from __future__ import annotations

import subprocess
import sys

import pytest

from support.places import DAEMON

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="only glibc has arenas"), pytest.mark.processes]

_ARENAS = """
import ctypes, sys, threading
from codeindexd.daemon import memory
if "bounded" in sys.argv:
    assert memory.configure()
held, barrier = [], threading.Barrier(7)
def hold():
    held.append(bytearray(5_000))
    barrier.wait()
    barrier.wait()
threads = [threading.Thread(target=hold) for _ in range(6)]
for thread in threads:
    thread.start()
barrier.wait()
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
barrier.wait()
"""

_TRIM = """
import resource
from pathlib import Path
from codeindexd.daemon import memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
blocks = [bytearray(2_000) for _ in range(50_000)]
last = bytearray(2_000)
full = resident()
del blocks
assert memory.trim()
print(full - resident())
"""

_LARGE = """
import resource, sys
from pathlib import Path
from codeindexd.daemon import memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
if "configured" in sys.argv:
    assert memory.configure()
del (huge := [bytearray(20_000_000)])[:]
mixed = [(bytearray(1_000_000), bytearray(2_000)) for _ in range(50)]
full = resident()
small = [pair[1] for pair in mixed]
del mixed
print(full - resident())
"""


def _python(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={"PYTHONPATH": str(DAEMON)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_threads_share_a_few_arenas() -> None:
    assert _python(_ARENAS).count("<heap nr=") > 2
    assert _python(_ARENAS, "bounded").count("<heap nr=") <= 2


def test_large_blocks_are_returned_at_once() -> None:
    assert int(_python(_LARGE)) < 5_000_000
    assert int(_python(_LARGE, "configured")) > 40_000_000


def test_trim_returns_pages_between_blocks_in_use() -> None:
    assert int(_python(_TRIM)) > 50_000_000

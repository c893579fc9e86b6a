"""Limits that a child sets on itself, each tested in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from codeindexd.workers import process_limits
from codeindexd.workers.child import describe_exit, environment

pytestmark = pytest.mark.processes


def run(code: str) -> subprocess.CompletedProcess[str]:
    preamble = "import os, resource, sys, time\nfrom codeindexd.workers import process_limits\n"
    return subprocess.run(
        [sys.executable, "-P", "-c", preamble + code], env=environment(one_thread=True), capture_output=True, text=True
    )


def test_memory_is_limited_and_mapped_files_do_not_count(tmp_path):
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(1 << 30)
    done = run(
        f"""
import mmap
process_limits.limit_memory(256 << 20)
mapped = mmap.mmap(os.open({str(big)!r}, os.O_RDONLY), 1 << 30, access=mmap.ACCESS_READ)
try:
    bytearray(512 << 20)
except MemoryError:
    print(len(mapped))
"""
    )
    assert done.stdout == f"{1 << 30}\n"


def test_the_watching_thread_ends_a_process_that_grows():
    done = run(
        "process_limits.watch(parent=os.getppid(), memory_limit=1 << 20, interval_s=0.01)\n"
        "x = b'1' * (8 << 20)\ntime.sleep(60)"
    )
    assert done.returncode == process_limits.EXIT_OUT_OF_MEMORY


def test_the_watching_thread_ends_an_orphan():
    assert (
        run("process_limits.watch(parent=1 << 22, memory_limit=0, interval_s=0.01)\ntime.sleep(60)").returncode
        == process_limits.EXIT_ORPHANED
    )


def test_an_orphan_does_not_even_start():
    assert run("process_limits.die_with(1 << 22)\nprint('alive')").returncode == process_limits.EXIT_ORPHANED


def test_adopting_replaces_the_standard_streams_and_forbids_core_files():
    done = run("""
channel = process_limits.adopt(os.getppid())
print("for stderr", resource.getrlimit(resource.RLIMIT_CORE), os.read(0, 9), flush=True)
os.write(channel.write_fd, b"for the daemon")
""")
    assert done.stdout == "for the daemon"
    assert done.stderr == "for stderr (0, 0) b''\n"


def test_private_memory_excludes_shared_memory():
    before = process_limits.private_memory()
    kept = bytearray(b"1" * (32 << 20))
    assert process_limits.private_memory() - before > 24 << 20
    assert process_limits.private_memory(1 << 22) == 0
    del kept


def test_secrets_and_relative_paths_are_not_inherited(monkeypatch):
    monkeypatch.setenv("CODEINDEXD_EMBEDDING_API_KEY", "sk-secret")
    monkeypatch.setenv("PYTHONPATH", "some/where")
    env = environment(one_thread=True)
    assert "sk-secret" not in env.values()
    assert all(entry.startswith("/") for entry in env["PYTHONPATH"].split(":"))
    assert env["OMP_NUM_THREADS"] == "1"


def test_exit_statuses_are_described():
    assert describe_exit(3) == "exit status 3"
    assert describe_exit(-11) == "signal SIGSEGV"
    assert describe_exit(-63) == "signal 63"
    assert "cannot" in describe_exit(None)

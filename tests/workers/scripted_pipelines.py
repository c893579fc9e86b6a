"""Pipelines for tests: the file's name says what they do, even to their own process."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import xxhash

from codeindexd.types import ChunkDraft, FileStat, Span, Symbol
from codeindexd.workers.jobs import FileJob, FileResult, FileStatus, TextsJob, TextsResult, TextsStatus, WorkerSettings

_kept: list[bytearray] = []


class Scripted:
    """``verb``, ``verb-anything`` or ``verb=argument`` as the file name; unknown verbs are ordinary files."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings

    def process(self, job: FileJob) -> FileResult:
        name = job.path.rpartition(b"/")[2].decode()
        verb, _, argument = name.partition("=")
        self._act(verb.partition("-")[0], argument)
        draft = ChunkDraft(
            Span(0, 3, 1, 2, "function", "a.b", (Symbol("b", "a.b", "function", 0),)),
            b"s" * 16,
            b"e" * 16,
            "a b",
            "a_b",
            vector=b"\0" * 512,
        )
        stat = FileStat(3, 1, 2, 3)
        return FileResult(
            job.job_id, job.path, FileStatus.INDEXED, stat=stat, leaf=self._leaf(job.path), chunks=(draft,),
            language="python", reason=f"nice {os.getpriority(os.PRIO_PROCESS, 0)}",
        )  # fmt: skip

    def _leaf(self, path: bytes) -> bytes:
        return os.getpid().to_bytes(16, "big")

    def texts(self, job: TextsJob) -> TextsResult:
        self._act(job.path.decode(), "")
        return TextsResult(job.job_id, job.path, TextsStatus.OK, [f"{r.start_byte}-{r.end_byte}" for r in job.ranges])

    def _act(self, verb: str, argument: str) -> None:
        match verb:
            case "exit":
                os._exit(3)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "abort":
                os.abort()
            case "segv":
                ctypes.string_at(0)
            case "hang":
                while True:
                    pass
            case "sleep":
                time.sleep(float(argument or 3600))
            case "hog":
                _kept.extend(bytearray(16 << 20) for _ in range(1 << 16))
            case "grow":
                _kept.append(bytearray(os.urandom(1)) * (24 << 20))
            case "raise":
                raise ValueError("no \udcff such thing")
            case "print":
                sys.stdout.write("noise\n" * 1000)
                sys.stdout.flush()
                os.write(1, b"more noise")
            case "once":  # the argument names a marker file: the first worker creates it and dies
                marker = Path(bytes.fromhex(argument).decode())
                if not marker.exists():
                    marker.touch()
                    os._exit(9)


class Broken:
    """A pipeline that cannot be created."""

    def __init__(self, settings: WorkerSettings) -> None:
        raise ImportError("libmissing.so: cannot open shared object file")


class Cursed:
    """A pipeline that starts and then fails at every job."""

    def __init__(self, settings: WorkerSettings) -> None: ...

    def process(self, job: FileJob) -> FileResult:
        os._exit(1)


class Steady(Scripted):
    """A pipeline that takes a file's name for its content, so that leaves match the scan."""

    def _leaf(self, path: bytes) -> bytes:
        return xxhash.xxh3_128_digest(path)

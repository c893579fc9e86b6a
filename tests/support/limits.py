"""Limits of this process, as a full disk or a busy machine would set them."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Inside the block a write beyond ``size`` bytes of any file fails with EFBIG, as ENOSPC would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def no_open_files() -> Iterator[None]:
    """Inside the block nothing can be opened (EMFILE)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)  # the kernel gives the lowest number that is free, so this is where the limit begins
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Inside the block reading a SQLite database that this process has open fails, as on a medium that is going."""
    names = {os.fspath(path), os.fspath(path) + "-wal"}
    own = Path("/proc/self/fd")
    opened = [int(link.name) for link in own.iterdir() if os.path.realpath(link) in names]
    kept = {descriptor: os.dup(descriptor) for descriptor in opened}
    write_only = os.open(os.devnull, os.O_WRONLY)
    try:
        for descriptor in opened:
            os.dup2(write_only, descriptor)
        yield
    finally:
        for descriptor, original in kept.items():
            os.dup2(original, descriptor)
            os.close(original)
        os.close(write_only)

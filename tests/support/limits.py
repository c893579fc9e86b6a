"""Limits on this process that act like a full disk or a busy machine."""

from __future__ import annotations

import gc
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Make writes beyond ``size`` bytes of any file fail with EFBIG, like ENOSPC, inside the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def no_open_files(spare: int = 0) -> Iterator[None]:
    """Allow only ``spare`` more open files inside the block; further ones fail with EMFILE."""
    gc.collect()  # files that earlier code left open would be closed inside the block, and free their numbers
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = [os.dup(0) for _ in range(spare + 1)]  # the lowest free numbers, so the last one is the limit
    for descriptor in free:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[-1], hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Make reads of a SQLite database that this process has open fail inside the block, as on a failing disk."""
    names = {os.fspath(path), os.fspath(path) + "-wal"}
    links = Path("/proc/self/fd").iterdir()
    opened = {int(link.name): target for link in links if (target := os.path.realpath(link)) in names}
    kept = {descriptor: os.dup(descriptor) for descriptor in opened}
    for descriptor, target in opened.items():
        copy = shutil.copyfile(target, target + "-copy")  # of the same size
        write_only = os.open(copy, os.O_WRONLY)
        os.dup2(write_only, descriptor, inheritable=False)
        os.close(write_only)
        Path(copy).unlink()
    try:
        yield
    finally:
        for descriptor, original in kept.items():
            os.dup2(original, descriptor, inheritable=False)
            os.close(original)


def open_files() -> int:
    """Return how many descriptors this process has (Linux)."""
    return len(list(Path("/proc/self/fd").iterdir()))

"""Settings that make the C library's allocator keep little of the memory that was freed (glibc only)."""

from __future__ import annotations

import ctypes
import sys

# A thread that finds an arena busy opens another one, up to eight per CPU, and each keeps the memory it has used. After
# indexing 20,000 chunks that was 400 MB, of which 100 were in use. Python's own objects come from elsewhere, and the
# few threads of tantivy and SQLite that allocate at the same time hardly ever collide.
_ARENAS = 2
# Larger blocks are mapped, and returned to the system when they are freed. By default the library raises this bound to
# the largest block ever freed, up to 32 MB: buffers of commits and queries then lay among small blocks that stay. With
# a month of edits compressed to an hour, the daemon held 60 MB more while it worked.
_MAPPED_BYTES = 256 << 10
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3  # <malloc.h>


def configure() -> bool:
    """Configure the allocator of this process; return False if that is unsupported. Call it before threads start."""
    try:
        libc = _libc()
        return bool(libc.mallopt(_M_ARENA_MAX, _ARENAS) and libc.mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES))
    except (OSError, AttributeError):
        return False


def trim() -> bool:
    """Give unused memory back to the system, and return True if there was any. Delays allocations for milliseconds."""
    try:
        return bool(_libc().malloc_trim(0))
    except (OSError, AttributeError):
        return False


def _libc() -> ctypes.CDLL:
    if not sys.platform.startswith("linux"):
        raise OSError("not glibc")
    return ctypes.CDLL(None)

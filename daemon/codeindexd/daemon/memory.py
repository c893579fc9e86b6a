"""How the C library keeps what was freed: little of it, and unused pages given back in quiet times (glibc only)."""

from __future__ import annotations

import ctypes
import sys

# Threads that find an arena busy open another one, up to eight a CPU, and each keeps what it once held. After indexing
# 20,000 chunks that was 400 MB of which 100 were in use. Python's own objects come from elsewhere, and the few threads
# of tantivy and SQLite that allocate side by side hardly ever meet.
_ARENAS = 2
# Larger blocks are mapped and go back to the system when they are freed. By itself the library raises this bound to the
# largest block ever freed, up to 32 MB: buffers of commits and queries then lay among small things that stay, and in a
# month of edits compressed to an hour the daemon held 60 MB more while it worked.
_MAPPED_BYTES = 256 << 10
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3  # <malloc.h>


def configure() -> bool:
    """Set up the allocator of this process, before it starts threads. False where there is nothing to set up."""
    try:
        libc = _libc()
        return bool(libc.mallopt(_M_ARENA_MAX, _ARENAS) and libc.mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES))
    except (OSError, AttributeError):
        return False


def trim() -> bool:
    """Return unused pages to the system; True when there were any. Takes milliseconds in which allocations wait."""
    try:
        return bool(_libc().malloc_trim(0))
    except (OSError, AttributeError):
        return False


def _libc() -> ctypes.CDLL:
    if not sys.platform.startswith("linux"):
        raise OSError("not glibc")
    return ctypes.CDLL(None)

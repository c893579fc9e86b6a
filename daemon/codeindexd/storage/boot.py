"""The identity of the system's present boot. What a killed process wrote survives as long as the boot lasts."""

from __future__ import annotations

import ctypes
import functools
import sys
from pathlib import Path

_LINUX = Path("/proc/sys/kernel/random/boot_id")
_MACOS = b"kern.bootsessionuuid"


@functools.cache
def boot_id() -> str:
    """Return a text that differs after every start of the operating system; "" if it cannot be determined."""
    try:
        return _from_sysctl() if sys.platform == "darwin" else _LINUX.read_text("ascii").strip()
    except (OSError, ValueError, AttributeError):
        return ""


def _from_sysctl() -> str:
    """Return the boot session of macOS, or "" if the kernel does not tell it. Raises OSError, AttributeError."""
    library = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(64)
    size = ctypes.c_size_t(len(buffer))
    failed = library.sysctlbyname(_MACOS, buffer, ctypes.byref(size), None, ctypes.c_size_t(0))
    return "" if failed else buffer.value.decode("ascii")

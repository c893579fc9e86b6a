"""Recognises the file systems in which Linux shows its own state as files, such as ``/proc``.

Their files have no settled content: reading one asks the kernel, and many are different each time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mountinfo")
_KINDS: Final = {
    *("binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs", "fusectl"),
    *("hugetlbfs", "mqueue", "nfsd", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "smackfs"),
    *("sysfs", "tracefs"),
}


def kernel_devices() -> dict[int, str]:
    """Return the type (``sysfs``) of each mounted file system of the kernel by its device number, as in ``st_dev``.

    Empty where mounts are not listed (macOS). Blocking.
    """
    try:
        lines = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return {}
    found: dict[int, str] = {}
    for line in lines:
        before, separator, after = line.partition(" - ")
        fields, kind = before.split(" "), after.partition(" ")[0]
        if separator and len(fields) > 2 and kind in _KINDS:
            major, _, minor = fields[2].partition(":")
            found[os.makedev(int(major), int(minor))] = kind
    return found

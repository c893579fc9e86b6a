"""Recognises the file systems in which Linux shows its own state as files, such as ``/proc``.

Their files have no settled content: reading one asks the kernel, and many are different each time.
"""

from __future__ import annotations

from typing import Final

from codeindexd.scan.mount_table import read_mounts

_KINDS: Final = {
    *("binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs", "fusectl"),
    *("hugetlbfs", "mqueue", "nfsd", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "smackfs"),
    *("sysfs", "tracefs"),
}


def kernel_devices() -> dict[int, str]:
    """Return the type (``sysfs``) of each mounted file system of the kernel by its device number, as in ``st_dev``.

    Empty where mounts are not listed (macOS). Blocking.
    """
    return {mount.device: mount.kind for mount in read_mounts() if mount.kind in _KINDS}

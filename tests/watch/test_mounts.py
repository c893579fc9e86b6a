"""File systems mounted at and below a root, by the kernel's list and by real mounts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from codeindexd.scan import mount_table
from codeindexd.watch import mounts
from codeindexd.watch.coverage import Coverage, WatchableDirectories, find_watchable
from codeindexd.watch.problem_reporter import polling_problem
from support.trees import tree
from watch import mounting

pytestmark = pytest.mark.processes

MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home/me/my\040share rw - nfs4 server:/x rw
31 22 0:41 / /mnt/ssh rw - fuse.sshfs me@host: rw
32 22 0:42 / /mnt/usb rw - fuseblk /dev/sdb1 rw
33 31 0:43 / /mnt/ssh/local rw - tmpfs tmpfs rw
34 22 0:44 / /mnt/twice rw - nfs server:/y rw
35 34 8:2 / /mnt/twice rw - ext4 /dev/sdc1 rw
36 22 0:45 / /mnt/hidden/below rw - nfs server:/z rw
37 22 8:3 / /mnt/hidden rw - ext4 /dev/sdd1 rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "silent"),
    [
        ("/home/me/code", "ext4", False),
        ("/home/me/my share/code", "nfs4", True),
        ("/home/me/my shared", "ext4", False),
        ("/mnt/ssh/code", "fuse.sshfs", True),
        ("/mnt/ssh/local/code", "tmpfs", False),
        ("/mnt/usb/code", "fuseblk", False),
        ("/mnt/twice", "ext4", False),
    ],
)
def test_file_systems_without_events_are_recognized_by_their_mount(path: str, kind: str, silent: bool) -> None:
    mount = mounts.mount_of(Path(path), mount_table.parse(MOUNTS))
    assert mount is not None
    assert (mount.kind, mount.is_silent) == (kind, silent)


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        (b"", ""),
        (b"ssh", "fuse.sshfs"),
        (b"ssh/deep/er", "fuse.sshfs"),
        (b"sshd", ""),
        (b"ssh/local/deep", ""),
        (b"twice/a", ""),
        (b"hidden/below", ""),
    ],
)
def test_a_directory_below_the_root_is_on_the_nearest_file_system_above_it(directory: bytes, kind: str) -> None:
    found = mounts.visible_below(Path("/mnt"), mount_table.parse(MOUNTS))
    assert sorted(found) == [b"hidden", b"ssh", b"ssh/local", b"twice", b"usb"]
    assert mounts.kind_if_silent(directory, found) == kind


def test_without_a_list_of_mounts_everything_can_be_watched(tmp_path: Path) -> None:
    assert mounts.mount_of(tmp_path, []) is None
    assert mounts.kind_if_silent(b"a/b", {}) == ""


def test_silent_directories_are_polled_without_being_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They do not even exist here: touching a server that does not answer would block."""
    listed = MOUNTS.replace("/mnt", str(tmp_path))
    monkeypatch.setattr(mount_table, "read_mounts", lambda: list(mount_table.parse(listed)))
    root = tree(tmp_path, {"usb/a": "a"})
    found = find_watchable(root, [b"", b"ssh", b"ssh/x", b"usb", b"gone"], check_names=True)
    assert found == WatchableDirectories(
        {b"": str(root), b"usb": f"{root}/usb"}, {b"gone"}, {b"ssh": "fuse.sshfs", b"ssh/x": "fuse.sshfs"}
    )
    coverage = Coverage()
    coverage.set_targets([b"ssh", b"ssh/x", b"usb", b"gone"])
    coverage.begin_update().commit(found, includes_refused=True)
    assert coverage.missing() == {b".git", b".git/info"}
    problem = polling_problem(coverage.polled, 30.0)
    assert problem is not None
    assert problem[0].startswith("ssh: on a file system without change events (fuse.sshfs)")
    coverage.forget({b"ssh"})
    assert polling_problem(coverage.polled, 30.0) is None


@pytest.mark.skipif(not mounting.possible(), reason="needs root, and a mount namespace of its own")
@pytest.mark.parametrize("scenario", mounting.SCENARIOS)
def test_mounting(tmp_path: Path, scenario: str) -> None:
    """Runs in a process with its own mount namespace."""
    done = subprocess.run(
        [*mounting.PRIVATELY, sys.executable, mounting.__file__, scenario, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-3000:]

"""What happens when file systems come and go: ``mounting.py SCENARIO DIRECTORY``, in a mount namespace of its own.

A ramfs stands in for a network file system here, of which there is none on a test machine.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import anyio

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "daemon")]

from codeindexd.scan import mount_table
from support.trees import tree
from support.waiting import eventually
from watch.watching import watching

PRIVATELY = ["unshare", "--mount", "--propagation", "private"]


@functools.cache
def possible() -> bool:
    """Return True if this process may create such a namespace and mount something in it."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    tried = subprocess.run([*PRIVATELY, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


def _mount(kind: str, place: Path) -> None:
    subprocess.run(["mount", "-t", kind, "none", str(place)], check=True)


def _unmount(place: Path) -> None:
    subprocess.run(["umount", "--lazy", str(place)], check=True)


async def comes_and_goes_below_the_root(root: Path, cookies: Path) -> None:
    """Its content is found, new files in it are hinted, and hidden files are found again after unmounting."""
    async with watching(root, cookies) as owner:
        await owner.settled()
        _mount("tmpfs", root / "data")
        tree(root / "data", {"deep/b.py": "b"})
        await owner.caught_up()
        await eventually(lambda: b"data/deep" in owner.watcher._coverage.covered)
        (root / "data/deep/c.py").write_text("c")
        await owner.caught_up()
        _unmount(root / "data")
        await owner.caught_up()
        await eventually(lambda: b"data" in owner.watcher._coverage.covered)
        (root / "data/d.py").write_text("d")
        await owner.caught_up()


async def no_cookie_passes_before_a_mount_is_known(root: Path, cookies: Path) -> None:
    """No cookie passes, even right after the mount."""
    async with watching(root, cookies) as owner:
        await owner.settled()
        for _ in range(3):
            _mount("tmpfs", root / "data")
            assert not await owner.watcher.wait_for_events(5.0) or b"data" in owner.hints
            await owner.settled()
            _unmount(root / "data")
            assert not await owner.watcher.wait_for_events(5.0) or b"data" in owner.hints
            await owner.settled()
        assert owner.root_changes == 0


async def without_events_over_a_directory(root: Path, cookies: Path) -> None:
    """Only it is polled, the user is informed, and no cookie counts until it is gone."""
    async with watching(root, cookies) as owner:
        await owner.settled()
        _mount("ramfs", root / "data")
        await eventually(lambda: owner.degraded)
        assert owner.degraded[0][0].startswith("data: on a file system without change events (ramfs)")
        assert owner.watcher.reason_to_walk == "some directories are polled"
        tree(root / "data", {"deep/b.py": "b"})
        await owner.caught_up()
        owner.hints.clear()
        (root / "src/a.py").write_text("others have events")
        await owner.hinted(b"src/a.py")
        _unmount(root / "data")
        await eventually(lambda: owner.recovered)
        assert not owner.watcher.needs_walk
        await owner.settled()
        await eventually(lambda: b"data" in owner.watcher._coverage.covered)
        (root / "data/a.py").write_text("so has it again")
        await owner.caught_up()


async def without_events_over_the_root(root: Path, cookies: Path) -> None:
    """The root is polled although it could be watched at first."""
    async with watching(root, cookies) as owner:
        await owner.settled()
        _mount("ramfs", root)
        await eventually(lambda: owner.degraded)
        assert "is on a file system without change events (ramfs)" in owner.degraded[0][0]
        assert owner.watcher.reason_to_walk == "the root is polled"
        assert not await owner.watcher.wait_for_events(0.1)
        tree(root, {"b.py": "b"})
        await owner.caught_up()
        _unmount(root)
        await eventually(lambda: owner.recovered)
        await owner.caught_up()
        await owner.settled()
        (root / "data/a.py").write_text("events again")
        await owner.hinted(b"data/a.py")


async def without_events_from_the_start(root: Path, cookies: Path) -> None:
    """The root is polled only while the mount is there."""
    _mount("ramfs", root)
    async with watching(root, cookies) as owner:
        await eventually(lambda: owner.watcher.reason_to_walk == "the root is polled")
        tree(root, {"b.py": "b"})
        await owner.caught_up()
        _unmount(root)
        await eventually(lambda: owner.recovered)
        await owner.settled()
        (root / "data/a.py").write_text("events")
        await owner.hinted(b"data/a.py")


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        comes_and_goes_below_the_root,
        no_cookie_passes_before_a_mount_is_known,
        without_events_over_a_directory,
        without_events_over_the_root,
        without_events_from_the_start,
    )
}


def _main(scenario: str, directory: Path) -> None:
    mount_table._SILENT = re.compile(mount_table._SILENT.pattern + "|ramfs")
    root = tree(directory / "root", {"src/a.py": "a", "data/a.py": "a"})
    anyio.run(SCENARIOS[scenario], root, directory / "cookies")


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))

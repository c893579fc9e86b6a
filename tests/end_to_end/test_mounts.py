"""File systems mounted and unmounted below a root of a running daemon, in a mount namespace of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import RealDaemon, real_daemon, until
from support.trees import tree
from watch import mounting

pytestmark = pytest.mark.skipif(not mounting.possible(), reason="needs root, and a mount namespace of its own")


@pytest.fixture
def daemon() -> Iterator[RealDaemon]:
    """A daemon in a mount namespace of its own."""
    with real_daemon("[workers]\nnice = 0\n", start=False) as daemon:
        daemon.prefix = mounting.PRIVATELY
        yield daemon.start()


def _inside(daemon: RealDaemon, *command: str) -> None:
    assert daemon.process is not None
    subprocess.run(["nsenter", "--mount", "--target", str(daemon.process.pid), *command], check=True)


def _seen_by(daemon: RealDaemon, place: Path) -> Path:
    assert daemon.process is not None
    return Path(f"/proc/{daemon.process.pid}/root{place}")


def _found(daemon: RealDaemon, query: str) -> list[str]:
    return [hit["path"] for hit in daemon.call("search", query=query)["hits"]]


def test_what_is_mounted_and_what_it_hid_is_searched_after_a_sync(daemon: RealDaemon, tmp_path: Path) -> None:
    root = tree(
        tmp_path / "root", {"app.py": "def zebra():\n    return 1\n", "data/b.py": "def hidden_walrus(): pass\n"}
    )
    daemon.call("roots.add", path=str(root), wait=True)
    for _ in range(3):
        _inside(daemon, "mount", "-t", "tmpfs", "none", str(root / "data"))
        tree(_seen_by(daemon, root / "data"), {"deep/c.py": "def mounted_gazelle(): pass\n"})
        daemon.call("sync")
        assert "data/deep/c.py" in _found(daemon, "mounted_gazelle")
        assert "data/b.py" not in _found(daemon, "hidden_walrus")
        tree(_seen_by(daemon, root / "data"), {"deep/d.py": "def late_pangolin(): pass\n"})
        daemon.call("sync")
        assert "data/deep/d.py" in _found(daemon, "late_pangolin")
        _inside(daemon, "umount", str(root / "data"))
        daemon.call("sync")
        assert "data/b.py" in _found(daemon, "hidden_walrus")
        assert "data/deep/c.py" not in _found(daemon, "mounted_gazelle")
    _inside(daemon, "mount", "-t", "tmpfs", "none", str(root / "data"))
    until(lambda: "data/b.py" not in _found(daemon, "hidden_walrus"), what="the mount, unasked")
    assert daemon.call("verify")["ok"]
    assert daemon.call("status")["roots"][0]["state"] == "fresh"

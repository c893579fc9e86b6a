"""Many roots take no more of what the user has few of than one does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from support.daemons import RealDaemon, until
from support.trees import tree

ROOTS = 40


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_many_roots_share_descriptors_threads_and_one_inotify_instance(daemon: RealDaemon, tmp_path: Path) -> None:
    roots = [tree(tmp_path / f"r{n}", {".git/HEAD": "", "a.py": f"def of_{n}(): pass\n"}) for n in range(ROOTS)]
    for root in roots:
        daemon.call("roots.add", path=str(root))

    def all_fresh() -> bool:
        return all(one["state"] == "fresh" for one in daemon.call("roots.list")["roots"])

    until(all_fresh, timeout_s=120, what="all roots are fresh")
    assert daemon.process is not None
    process = Path(f"/proc/{daemon.process.pid}")

    def links() -> list[str]:
        return [os.path.realpath(link) for link in (process / "fd").iterdir()]

    stores = "/cache/codeindexd/roots/"
    until(lambda: len({link.partition(stores)[2][:36] for link in links() if stores in link}) <= 16, what="rest")
    assert sum("inotify" in link for link in links()) == 1
    until(lambda: len(list((process / "task").iterdir())) < 100, timeout_s=60, what="few threads")
    assert len(links()) < 300
    for number in (0, ROOTS // 2, ROOTS - 1):
        (roots[number] / "a.py").write_text(f"def changed_{number}(): pass\n")
        assert daemon.call("sync", path=str(roots[number]), timeout_s=30)["how"] == "cookie"
        assert daemon.call("symbol", name=f"changed_{number}", roots=[str(roots[number])])["definitions"]
    found = daemon.call("search", query="of_7 of_21", limit=50)
    assert {hit["root"] for hit in found["hits"]} >= {str(roots[7]), str(roots[21])}, "roots at rest answer, too"
    assert daemon.call("verify")["ok"]

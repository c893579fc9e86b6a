"""A process that watches: ``watch_and_print.py ROOT COOKIES SOURCE`` prints "watching", then why it needs a walk.

SOURCE is ``watchfiles`` or ``inotify``.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon"))

from codeindexd.watch import Watcher, inotify, portable


async def main(root: Path, cookies: Path) -> None:
    def report(_paths: Collection[bytes]) -> None:
        if watcher.reason_to_walk:
            print(watcher.reason_to_walk, flush=True)
        watcher.mark_walked()

    watcher = Watcher(
        root,
        cookie_dirs=[cookies],
        poll_interval_s=60,
        on_hints=report,
        on_degraded=lambda message, hint: print(message, hint),
        on_recovered=lambda: None,
        on_root_changed=lambda: None,
        source=portable.watch if sys.argv[3] == "watchfiles" else inotify.SHARED,
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(watcher.serve)
        watcher.mark_walked()
        watcher.set_directories([b"src", b"docs"])
        while not await watcher.wait_for_events(5.0):
            pass
        print("watching", flush=True)


anyio.run(main, Path(sys.argv[1]), Path(sys.argv[2]))

"""Directories that change while the watcher is starting to watch them, or others."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from codeindexd.watch import watcher
from codeindexd.watch.pacer import PollPacer
from codeindexd.watch.stream import SOURCE, Changes
from support.waiting import eventually
from watch.watching import watching

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


class Late:
    """A source that creates a directory between the look at the disk and the watches, and waits for its event."""

    def __init__(self, root: Path) -> None:
        self.changed = threading.Event()
        self._late = root / "late"

    def __call__(self, paths: Collection[str], pace: PollPacer, *, recursive: bool) -> Iterator[Changes]:
        if any(path.endswith("/new") for path in paths) and not self._late.exists():
            self._late.mkdir()
            assert self.changed.wait(20)
        yield from SOURCE(paths, pace, recursive=recursive)


async def test_a_directory_that_appears_while_others_are_being_watched_is_not_refused(
    root: Path, cookies: Path
) -> None:
    source = Late(root)
    async with watching(root, cookies, source=source) as owner:
        await owner.settled()
        owner.expect(b"late")
        (root / "new").mkdir()
        await eventually(lambda: b"late" in owner.hints)
        source.changed.set()
        await owner.settled()
        (root / "late/a.py").write_text("a")
        await owner.caught_up()


async def test_a_directory_that_was_hidden_while_others_appeared_is_watched_again(root: Path, cookies: Path) -> None:
    async with watching(root, cookies) as owner:
        (root / "shy").mkdir()
        await owner.settled()
        owner.look_again(ignored=[b"shy"])
        (root / "new").mkdir()
        await owner.settled()
        owner.look_again(ignored=[])
        await owner.settled()
        (root / "shy/a.py").write_text("a")
        await owner.caught_up()


class Overflowing:
    """A source that loses events just before a cookie passes, while the streams are folded into one."""

    def __init__(self, root: Path, cookies: Path) -> None:
        self.folding = threading.Event()
        self.gate = threading.Event()
        self._folded = {str(root), f"{root}/new"}
        self._cookies = f"{cookies}/"

    def __call__(self, paths: Collection[str], pace: PollPacer, *, recursive: bool) -> Iterator[Changes]:
        if self._folded <= set(paths):
            self.folding.set()
            assert self.gate.wait(20)
        for changes in SOURCE(paths, pace, recursive=recursive):
            if self.folding.is_set() and any(path.startswith(self._cookies) for _, path in changes):
                pace.report_overflow()
            yield changes


async def test_no_cookie_passes_while_an_overflow_is_pending(
    root: Path, cookies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Overflowing(root, cookies)
    async with watching(root, cookies, source=source) as owner:
        await owner.settled()
        (root / "new").mkdir()
        await eventually(lambda: b"new" in owner.watcher._coverage.covered)
        monkeypatch.setattr(watcher, "_MERGE_MIN", 1)
        monkeypatch.setattr(watcher, "_QUIET_S", 0.0)
        owner.watcher._wake.set()
        await eventually(source.folding.is_set)
        owner.hints.clear()
        try:
            assert not await owner.watcher.wait_for_events(5.0)
            assert owner.hints == [], "nothing else would have reported it"
        finally:
            source.folding.clear()
            source.gate.set()
        await owner.hinted(b"")

"""A watcher under test with an owner that records its reports and walks like the real one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from codeindexd.scan.rule_files import RuleFileRecorder, RuleFiles
from codeindexd.watch import Watcher
from support.waiting import eventually


class Owner:
    """Follows every hint with a walk below it, as the scanner does, and remembers the files it has seen."""

    def __init__(self, root: Path, cookie_dir: Path, *, ignored: Collection[bytes] = (), **options: Any) -> None:
        self.root = root
        self.ignored = {b".git", *ignored}
        self.hints: list[bytes] = []
        self.degraded: list[tuple[str, str]] = []
        self.recovered = 0
        self.root_changes = 0
        self.seen: dict[bytes, int] = {}
        self._directories: set[bytes] = {b""}
        self._pending: set[bytes] = set()
        self._news = anyio.Event()
        self.walking = True
        settings: dict[str, Any] = {"poll_interval_s": 0.2} | options
        self.watcher = Watcher(
            root,
            cookie_dirs=[cookie_dir],
            on_hints=self._take,
            on_degraded=lambda message, hint: self.degraded.append((message, hint)),
            on_recovered=self._recover,
            on_root_changed=self._change,
            **settings,
        )

    def _take(self, paths: Collection[bytes]) -> None:
        self.hints.extend(paths)
        self._pending.update(paths)
        self._news.set()

    def _recover(self) -> None:
        self.recovered += 1

    def _change(self) -> None:
        self.root_changes += 1

    async def serve(self) -> None:
        """Walk below every hint, forever."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            if self.walking:
                self.walk()

    def walk(self) -> None:
        """Walk below every pending hint and give the watcher the directories found."""
        pending, self._pending = self._pending, set()
        for path in pending:
            self._directories = {one for one in self._directories if not _at_or_below(one, path)}
            self.seen = {one: size for one, size in self.seen.items() if not _at_or_below(one, path)}
            self._look(path)
        self._directories.add(b"")
        if b"" in pending:
            self.watcher.mark_walked()
        self.watcher.set_directories(self._directories)

    def _look(self, path: bytes) -> None:
        full = self.root / os.fsdecode(path)
        if full.is_file():
            self._see(full)
        for directory, names, files in os.walk(full):
            here = Path(directory)
            names[:] = [name for name in names if self._relative(here / name) not in self.ignored]
            if self._relative(here) not in self.ignored:
                self._directories.add(self._relative(here))
                for name in files:
                    self._see(here / name)

    def _see(self, file: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.seen[self._relative(file)] = file.stat().st_size

    def _relative(self, path: Path) -> bytes:
        return os.fsencode(path.relative_to(self.root)) if path != self.root else b""

    def look_again(self, ignored: Collection[bytes]) -> None:
        """Walk everything with other rules."""
        self.ignored = {b".git", *ignored}
        self._take([b""])

    def expect(self, directory: bytes) -> None:
        """Let the watcher watch a directory that has vanished since the last walk."""
        self._directories.add(directory)

    def on_disk(self) -> dict[bytes, int]:
        """Return what a walk of everything finds now."""
        fresh = Owner(self.root, self.root, ignored=self.ignored)
        fresh._look(b"")
        return fresh.seen

    async def caught_up(self) -> None:
        """Wait until the files seen are those on the disk."""
        await eventually(lambda: self.seen == self.on_disk())

    async def hinted(self, path: bytes) -> None:
        """Wait for a hint on exactly this path."""
        await eventually(lambda: path in self.hints)

    async def settled(self) -> None:
        """Wait until every directory is watched, and forget the hints so far."""
        with anyio.fail_after(20):
            while not await self.watcher.wait_for_events(5.0) or self._pending:
                await anyio.lowlevel.checkpoint()
        self.hints.clear()


def _at_or_below(path: bytes, top: bytes) -> bool:
    return not top or path == top or path.startswith(top + b"/")


def rules_of(root: Path, *files: Path) -> RuleFiles:
    """Return the rule files that a scan of ``root`` records after reading these files."""
    notes = RuleFileRecorder(root)
    for file in files:
        notes.read(file)
    return notes.files


@asynccontextmanager
async def watching(root: Path, cookie_dir: Path, **options: Any) -> AsyncIterator[Owner]:
    """Run an owner with a watcher, after one walk of the root."""
    owner = Owner(root, cookie_dir, **options)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(owner.serve)
        await tasks.start(owner.watcher.serve)
        yield owner
        tasks.cancel_scope.cancel()

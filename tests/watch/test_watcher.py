"""Real directories, real events: every change is covered by a hint, whatever happens to the directories."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

import anyio
import pytest

from codeindexd.watch import portable
from codeindexd.watch.pacer import PollPacer
from codeindexd.watch.stream import Changes
from support.trees import tree
from support.waiting import eventually
from watch.watching import rules_of, watching

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree(
        tmp_path / "root", {"src/a.py": "a", "src/deep/b.py": "b", "node_modules/x/i.js": "x", "docs/c.md": "c"}
    )


async def test_a_written_created_renamed_or_removed_file_is_hinted(root: Path, cookies: Path) -> None:
    async with watching(root, cookies) as owner:
        await owner.settled()
        (root / "src/deep/b.py").write_text("changed")
        await owner.hinted(b"src/deep/b.py")
        (root / "src/new.py").write_text("new")
        await owner.hinted(b"src/new.py")
        (root / "src/a.py").rename(root / "docs/a.py")
        await owner.hinted(b"src/a.py")
        await owner.hinted(b"docs/a.py")
        (root / "docs/c.md").unlink()
        await owner.hinted(b"docs/c.md")


async def test_ignored_directories_are_not_watched(root: Path, cookies: Path) -> None:
    async with watching(root, cookies, ignored=[b"node_modules"]) as owner:
        await owner.settled()
        (root / "node_modules/x/i.js").write_text("changed")
        assert await owner.watcher.wait_for_events(5.0)
        assert owner.hints == []


async def test_a_tree_created_and_filled_at_once_is_found_completely(root: Path, cookies: Path) -> None:
    async with watching(root, cookies) as owner:
        await owner.settled()
        await anyio.to_thread.run_sync(_make_900_files, root / "made")
        await owner.caught_up()
        assert len(owner.seen) == 904


def _make_900_files(top: Path) -> None:
    for number in range(30):
        directory = top / f"{number % 3}" / f"{number}" / "deep"
        directory.mkdir(parents=True)
        for name in range(30):
            (directory / f"{name}.py").write_text("x")


async def test_a_copied_tree_is_found_completely(root: Path, cookies: Path, tmp_path: Path) -> None:
    _make_900_files(tmp_path / "elsewhere")
    async with watching(root, cookies) as owner:
        await owner.settled()
        await anyio.run_process(["cp", "-r", str(tmp_path / "elsewhere"), str(root / "copy")])
        await owner.caught_up()
        await owner.settled()
        (root / "copy/0/3/deep/7.py").write_text("longer")
        await owner.hinted(b"copy/0/3/deep/7.py")


async def test_a_renamed_directory_is_watched_under_its_new_name(root: Path, cookies: Path) -> None:
    async with watching(root, cookies) as owner:
        await owner.settled()
        (root / "src").rename(root / "lib")
        await owner.caught_up()
        await owner.settled()
        (root / "lib/deep/b.py").write_text("changed")
        await owner.hinted(b"lib/deep/b.py")
        (root / "lib").rename(root / "src")
        await owner.caught_up()
        await owner.settled()
        (root / "src/deep/b.py").write_text("and back")
        await owner.hinted(b"src/deep/b.py")


async def test_a_deleted_and_recreated_directory_is_watched_again(root: Path, cookies: Path) -> None:
    async with watching(root, cookies) as owner:
        await owner.settled()
        for text in ("one", "three", "fifteen"):
            shutil.rmtree(root / "src")
            tree(root / "src", {"deep/b.py": text})
            await owner.caught_up()
            await owner.settled()
            (root / "src/deep/b.py").write_text(text * 2)
            await owner.caught_up()


async def test_everything_before_a_cookie_has_been_hinted(root: Path, cookies: Path) -> None:
    async with watching(root, cookies) as owner:
        await owner.settled()
        for number in range(60):
            path = root / ("src" if number % 2 else "src/deep") / f"{number}.py"
            path.write_text("x")
            assert await owner.watcher.wait_for_events(5.0)
            assert str(path.relative_to(root)).encode() in owner.hints


async def test_cookies_hold_while_directories_appear(root: Path, cookies: Path) -> None:
    async with watching(root, cookies) as owner:
        await owner.settled()
        for number in range(20):
            directory = root / "src" / f"new{number}"
            directory.mkdir()
            (directory / "f.py").write_text("x")
            assert await owner.watcher.wait_for_events(5.0)
            assert {f"src/new{number}".encode(), f"src/new{number}/f.py".encode()} & set(owner.hints)


class Held:
    """A source whose stream number ``held`` delivers only once ``gate`` is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.held = 0
        self.streams = 0

    def __call__(self, paths: Collection[str], pace: PollPacer, *, recursive: bool) -> Iterator[Changes]:
        self.streams += 1
        number = self.streams
        for changes in portable.watch(paths, pace, recursive=recursive):
            if number == self.held:
                self.gate.wait()
            yield changes


async def test_a_cookie_waits_for_a_stream_that_is_being_replaced(root: Path, cookies: Path) -> None:
    source = Held()
    async with watching(root, cookies, source=source) as owner:
        await owner.settled()
        before = source.streams
        (root / "one").mkdir()
        await eventually(lambda: source.streams > before)
        await owner.settled()
        source.held = source.streams
        (root / "one/f").write_text("in the newest stream alone")
        (root / "two").mkdir()
        await eventually(lambda: source.streams > source.held and owner.watcher._cookies.draining)
        try:
            assert owner.hints.count(b"two") > 1, "once for its event, once when it became watched"
            assert not await owner.watcher.wait_for_events(0.3)
        finally:
            source.gate.set()
        await owner.hinted(b"one/f")


async def test_many_directories_are_folded_into_one_watcher(root: Path, cookies: Path) -> None:
    async with watching(root, cookies) as owner:
        await owner.settled()
        for number in range(700):
            (root / "many" / str(number)).mkdir(parents=True)
        await owner.settled()
        await eventually(lambda: len(owner.watcher._streams.live) == 1)
        await owner.settled()
        (root / "many/699/f").write_text("x")
        await owner.hinted(b"many/699/f")


async def test_git_internals_are_silent_and_rules_hint_the_root(root: Path, cookies: Path) -> None:
    await anyio.run_process(["git", "init", "-q", str(root)])
    async with watching(root, cookies) as owner:
        await owner.settled()
        (root / ".git/index.lock").write_text("x")
        (root / ".git/HEAD").write_text("ref: refs/heads/other\n")
        assert await owner.watcher.wait_for_events(5.0)
        assert owner.hints == []
        (root / ".git/info/exclude").write_text("*.log\n")
        await owner.hinted(b"")


async def test_a_rule_file_elsewhere_hints_the_root(root: Path, cookies: Path, tmp_path: Path) -> None:
    tree(tmp_path / "home", {"ignore": "*.o\n", "other": "x"})
    async with watching(root, cookies, rules=rules_of(root, tmp_path / "home/ignore")) as owner:
        await owner.settled()
        (tmp_path / "home/other").write_text("y")
        assert await owner.watcher.wait_for_events(5.0)
        assert owner.hints == []
        (tmp_path / "home/ignore").write_text("*.a\n")
        await owner.hinted(b"")


async def test_directories_are_watched_although_one_with_rules_vanished(
    root: Path, cookies: Path, tmp_path: Path
) -> None:
    tree(tmp_path / "home", {"git/ignore": "*.o\n"})
    async with watching(root, cookies, rules=rules_of(root, tmp_path / "home/git/ignore")) as owner:
        await owner.settled()
        shutil.rmtree(tmp_path / "home/git")
        (root / "new").mkdir()
        await eventually(lambda: b"new" in owner.watcher._coverage.covered)
        (root / "new/a.py").write_text("a")
        await owner.caught_up()  # a hint on the root, for the rules that changed, may include it


async def test_a_recursive_watcher_covers_the_same_changes(root: Path, cookies: Path) -> None:
    """As on macOS, where events below ignored directories become hints on those directories."""
    async with watching(root, cookies, recursive=True, source=portable.watch, ignored=[b"node_modules"]) as owner:
        await owner.settled()
        (root / "src/deep/b.py").write_text("changed")
        await owner.hinted(b"src/deep/b.py")
        (root / "node_modules/x/i.js").write_text("changed")
        await owner.hinted(b"node_modules")
        assert b"node_modules/x/i.js" not in owner.hints


async def test_stopping_is_immediate(root: Path, cookies: Path) -> None:
    with anyio.fail_after(2):
        async with watching(root, cookies) as owner:
            await owner.settled()

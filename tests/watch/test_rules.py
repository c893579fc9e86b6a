"""Rule files that no event of the root covers: each change hints the root, and no cookie passes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from codeindexd.watch import environment, portable
from codeindexd.watch.pacer import PollPacer
from codeindexd.watch.stream import Changes
from support.trees import Link, tree
from watch.watching import rules_of, watching

pytestmark = pytest.mark.anyio


def _write_through_a_link(home: Path) -> None:
    (home / "dotfiles/ignore").write_text("*.a\n")


def _point_elsewhere(home: Path) -> None:
    (home / "linked").unlink()
    (home / "linked").symlink_to("dotfiles/other")


def _make_the_first_one(home: Path) -> None:
    tree(home, {"none/yet/ignore": "*.a\n"})


def _delete_and_make_again(home: Path) -> None:
    shutil.rmtree(home / "plain")
    tree(home, {"plain/ignore": "*.a\n"})


def _delete(home: Path) -> None:
    shutil.rmtree(home / "plain")


def _write_with_equal_stat(home: Path) -> None:
    file = home / "plain/ignore"
    before = file.stat()
    file.write_text("*.a\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        _write_through_a_link,
        _point_elsewhere,
        _make_the_first_one,
        _delete_and_make_again,
        _delete,
        _write_with_equal_stat,
    ],
)
@pytest.mark.parametrize("looked", [True, False], ids=["by itself", "by a cookie"])
async def test_a_changed_rule_file_hints_the_root(
    root: Path,
    cookies: Path,
    tmp_path: Path,
    change: Callable[[Path], None],
    looked: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "_INTERVAL_S", 0.05 if looked else 3600.0)
    home = tree(
        tmp_path / "home",
        {
            "dotfiles/ignore": "*.o\n",
            "dotfiles/other": "*.x\n",
            "linked": Link("dotfiles/ignore"),
            "plain/ignore": "*.o\n",
        },
    )
    files = [home / "linked", home / "plain/ignore", home / "none/yet/ignore"]
    async with watching(root, cookies, rules=rules_of(root, *files)) as owner:
        await owner.settled()
        if looked:
            change(home)
            await owner.hinted(b"")
        else:
            change(home)
            assert not await owner.watcher.wait_for_events(5.0) or b"" in owner.hints
        await owner.settled()
        assert await owner.watcher.wait_for_events(5.0), "the new rules are known now"


async def test_a_rule_file_with_unchanged_content_changes_no_rules(
    root: Path, cookies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "_INTERVAL_S", 0.01)
    home = tree(tmp_path / "home", {"dotfiles/ignore": "*.o\n", "linked": Link("dotfiles/ignore")})
    async with watching(root, cookies, rules=rules_of(root, home / "linked")) as owner:
        await owner.settled()
        for _ in range(10):
            (home / "dotfiles/new").write_text("*.o\n")
            (home / "dotfiles/new").replace(home / "dotfiles/ignore")
            assert await owner.watcher.wait_for_events(5.0)
        assert owner.hints == []


async def test_rule_files_that_a_walk_read_are_monitored_from_then_on(
    root: Path, cookies: Path, tmp_path: Path
) -> None:
    home = tree(tmp_path / "home", {"dotfiles/first": "*.o\n", "dotfiles/second": "*.a\n"})
    first = tree(home, {"first": Link("dotfiles/first"), "second": Link("dotfiles/second")}) / "first"
    async with watching(root, cookies, rules=rules_of(root, first)) as owner:
        await owner.settled()
        owner.watcher.set_directories([b"src"], rules_of(root, home / "second"))
        (home / "dotfiles/second").write_text("*.other\n")
        assert not await owner.watcher.wait_for_events(5.0)
        owner.watcher.set_directories([b"src"], rules_of(root, home / "second"), whole=True)
        (home / "dotfiles/first").write_text("*.other\n")
        assert await owner.watcher.wait_for_events(5.0), "no rule comes from that file any more"


async def test_a_recursive_watcher_does_not_watch_the_home_directory(
    root: Path, cookies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "_INTERVAL_S", 0.05)
    watched: list[str] = []

    def source(paths: Collection[str], pace: PollPacer, *, recursive: bool) -> Iterator[Changes]:
        watched.extend(paths)
        yield from portable.watch(paths, pace, recursive=recursive)

    rules = rules_of(root, tree(tmp_path / "home", {"ignore": "*.o\n"}) / "ignore")
    async with watching(root, cookies, source=source, recursive=True, rules=rules) as owner:
        await owner.settled()
        assert watched == [str(root), str(cookies)]
        (tmp_path / "home/ignore").write_text("*.a\n")
        await owner.hinted(b"")

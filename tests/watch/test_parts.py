"""The parts of watching that need no events: file systems, clocks, pace, coverage."""

from __future__ import annotations

import errno
import os
import pickle
import sys
from pathlib import Path

import pytest
from watchfiles import Change

from codeindexd.watch import filesystem, pacer
from codeindexd.watch.change_reader import ChangeReader
from codeindexd.watch.cookies import Cookies
from codeindexd.watch.coverage import Coverage, WatchableDirectories, find_watchable
from support.trees import Link, tree


def test_this_file_system_can_be_watched(tmp_path: Path) -> None:
    assert filesystem.reason_to_poll(tmp_path) == ""
    assert "not UTF-8" in filesystem.reason_to_poll(Path(os.fsdecode(b"/tmp/\xff")))


def test_each_limit_has_a_hint() -> None:
    assert "max_user_watches" in filesystem.out_of_watches("OS file watch limit reached.")[1]
    assert "max_user_instances" in filesystem.out_of_watches("Too many open files (os error 24)")[1]


def test_sleep_and_set_clocks_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = filesystem.JumpDetector()
    assert clocks.describe_jump() == ""
    clocks.asleep_s -= 300
    assert "slept for 300 s" in clocks.describe_jump()
    clocks.offset_s += 3600
    assert "moved by -3600 s" in clocks.describe_jump()
    assert clocks.describe_jump() == ""


@pytest.mark.parametrize(
    ("change", "path", "hints"),
    [
        (Change.modified, "a/b.py", {b"a/b.py"}),
        (Change.modified, "new/b.py", {b"new"}),
        (Change.added, ".git", {b""}),
        (Change.modified, ".git", set()),
        (Change.modified, ".git/info/exclude", {b""}),
        (Change.added, ".git/info", {b""}),
        (Change.modified, ".git/config", {b""}),
        (Change.added, ".git/config.worktree", {b""}),
        (Change.added, ".git/modules/m/config", {b""}),
        (Change.added, ".git/refs/heads/config", set()),
        (Change.added, ".git/HEAD", set()),
        (Change.modified, ".git/index", {b".git/index"}),
        (Change.added, "a/.git/index", {b"a/.git/index"}),
        (Change.modified, ".git/modules/m/info/exclude", {b""}),
        (Change.added, "a/.git", {b"a"}),
        (Change.modified, "a/.git", {b"a/.git"}),
        (Change.added, "a/.git/HEAD", {b"a"}),
        (Change.modified, "a/.git/HEAD", set()),
        (Change.modified, "a/.git/info/exclude", {b""}),
        (Change.deleted, "a/.git/config", {b""}),
        (Change.added, "a/.git/index.lock", set()),
        (Change.added, "new/sub/.git", {b"new"}),
    ],
)
def test_only_those_of_gits_own_files_count_that_hold_rules(change: Change, path: str, hints: set[bytes]) -> None:
    news = ChangeReader(Path("/root"), [Path("/cookies")]).read(
        {(change, f"/root/{path}")}, {b"", b"a", b".git"}, set()
    )
    assert news.hints == hints


def test_the_pace_slows_down_in_silence() -> None:
    assert pacer.resting_time(1) == 0
    assert 0 < pacer.resting_time(30) < 0.1
    assert pacer.resting_time(100_000) == 0.2


def test_a_pacer_reports_once_when_live_and_stops_at_once() -> None:
    live: list[int] = []
    stop = pacer.PollPacer(on_live=lambda: live.append(1), on_stall=lambda seconds: None)
    assert not stop.is_set()
    assert not stop.is_set()
    assert live == [1]
    stop.stop()
    assert stop.is_set()


def test_directories_are_checked_before_they_are_watched(tmp_path: Path) -> None:
    root = tree(tmp_path, {"d/f": "x", "link": Link("d")})
    odd = b"d/\xff"
    Path(os.fsdecode(os.fsencode(root) + b"/" + odd)).mkdir()
    found = find_watchable(root, [b"", b"d", b"d/f", b"link", b"gone", odd])
    assert found.paths == {b"": str(root), b"d": f"{root}/d"}
    assert found.refused == {b"d/f", b"link", b"gone"}
    assert found.polled == {odd: ""}


def test_a_directory_that_cannot_be_examined_now_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, {"broken": None, "forbidden": None, "gone": None})
    errors = {b"broken": errno.EIO, b"forbidden": errno.EACCES, b"gone": errno.ENOENT}

    def fail(path: bytes) -> os.stat_result:
        number = errors[path.rpartition(b"/")[2]]
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "lstat", fail)
    found = find_watchable(tmp_path, errors.keys())
    assert found.polled == {b"broken": ""}
    assert found.refused == {b"forbidden", b"gone"}


def test_a_path_longer_than_a_system_call_takes_is_polled_where_it_cannot_be_watched(tmp_path: Path) -> None:
    path, current = b"", os.open(tmp_path, os.O_RDONLY)
    while len(path) < 5000:
        name = b"d" * 200
        os.mkdir(name, dir_fd=current)
        below = os.open(name, os.O_RDONLY, dir_fd=current)
        os.close(current)
        path, current = path + b"/" + name if path else name, below
    os.close(current)
    assert find_watchable(tmp_path, [path]).polled == {path: ""}
    if sys.platform == "linux":
        assert list(find_watchable(tmp_path, [path], allow_long_paths=True).paths) == [path]
        assert find_watchable(tmp_path, [path + b"/gone"], allow_long_paths=True).refused == {path + b"/gone"}


def test_a_directory_is_watched_after_those_above_it(tmp_path: Path) -> None:
    """A child replaced between its own watch and its parent's would be unwatched without any event."""
    names = [f"{one}/{two}/{three}" for one in "ab" for two in ("a", "a-b", "c") for three in range(3)]
    wanted = {os.fsencode(path.relative_to(tmp_path)) for path in tree(tmp_path, dict.fromkeys(names, "x")).rglob("*")}
    order = list(find_watchable(tmp_path, wanted | {b""}).paths)
    assert len(order) > 6
    assert all(order.index(path.rpartition(b"/")[0]) < at for at, path in enumerate(order) if path)


def test_a_look_covers_no_directory_that_changed_meanwhile(tmp_path: Path) -> None:
    root = tree(tmp_path, {"a/b/c/f": "x", "d/f": "x"})
    coverage = Coverage()
    coverage.set_targets([b"a", b"a/b", b"a/b/c", b"d"])
    coverage.begin_update().commit(find_watchable(root, [b"", b"a/b", b"a/b/c"]), includes_refused=False)
    with coverage.begin_update() as update:
        coverage.record_changes({b"a", b"d/f"})
        update.commit(find_watchable(root, [b"a", b"d"]), includes_refused=False)
    assert coverage.missing() - {b".git", b".git/info"} == {b"a", b"a/b", b"a/b/c"}
    coverage.set_targets([b"a"])
    coverage.begin_update().commit(find_watchable(root, [b"a"]), includes_refused=False)
    coverage.set_targets([b"a", b"d"])
    assert b"d" in coverage.missing(), "what was no target in between may not be watched any more"


def test_a_moved_directory_is_missing_with_everything_below_it(tmp_path: Path) -> None:
    root = tree(tmp_path, {"a/b/c/f": "x", "ab/f": "x"})
    coverage = Coverage()
    coverage.set_targets([b"a", b"a/b", b"a/b/c", b"ab", b"gone"])
    coverage.begin_update().commit(find_watchable(root, coverage.missing()), includes_refused=True)
    assert coverage.missing() == set()
    assert coverage.forget({b"a/b"})
    assert coverage.missing() == {b"a/b", b"a/b/c"}
    assert not coverage.forget(set())
    assert coverage.forget({b"gone"})
    assert b"gone" in coverage.missing()


def test_no_changes_are_kept_without_an_open_look(tmp_path: Path) -> None:
    """Otherwise memory would grow: files with new names, one per second, for weeks."""
    root = tree(tmp_path, {"a/f": "x"})
    coverage = Coverage()
    coverage.set_targets([b"a"])
    coverage.begin_update().commit(find_watchable(root, [b"", b"a"]), includes_refused=True)
    before = len(pickle.dumps(coverage))
    for number in range(1000):
        coverage.record_changes({b"a/%d" % number})
    assert len(pickle.dumps(coverage)) == before
    with coverage.begin_update():
        coverage.record_changes({b"a"})
    coverage.begin_update().commit(find_watchable(root, [b"a"]), includes_refused=False)
    assert b"a" not in coverage.missing(), "that update was abandoned"


def test_cookies_are_told_from_changes_wherever_they_are() -> None:
    reader = ChangeReader(Path("/home/u"), [Path("/run/cookies"), Path("/home/u/.state/cookies")])
    changes = {
        (Change.added, "/run/cookies/a"),
        (Change.added, "/home/u/.state/cookies/b"),
        (Change.added, "/home/u/c"),
    }
    news = reader.read(changes, {b""}, set())
    assert (news.cookies, news.hints) == ({"a", "b"}, {b"c"})


def test_cookies_move_on_when_their_directory_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("no directory can be made here")
    cookies = Cookies([tmp_path / "run/cookies", tmp_path / "state/cookies"])
    cookies.prepare()
    assert cookies.directory == tmp_path / "state/cookies"
    (tmp_path / "run").unlink()
    cookies.prepare()
    assert cookies.directory == tmp_path / "run/cookies"
    with pytest.raises(OSError, match="directory"):
        Cookies([Path("/dev/null/cookies")]).prepare()


def test_what_was_refused_is_looked_at_again_when_it_may_have_come_back() -> None:
    coverage = Coverage()
    coverage.set_targets([b"a", b"a/b"])
    with coverage.begin_update() as update:
        update.commit(WatchableDirectories(paths={b"": "/r", b"a": "/r/a"}, refused={b"a/b"}), includes_refused=False)
    assert b"a/b" not in coverage.missing()
    coverage.set_targets([b"a"])  # a/b is gone: the watch of its parent, or a walk, tells when it comes back
    coverage.set_targets([b"a", b"a/b"])
    assert b"a/b" in coverage.missing()


def test_what_was_refused_below_a_directory_that_was_not_watched_is_looked_at_again() -> None:
    coverage = Coverage()
    coverage.set_targets([b"a", b"a/b"])
    with coverage.begin_update() as update:
        update.commit(WatchableDirectories(refused={b"a/b"}), includes_refused=False)
    with coverage.begin_update() as update:
        update.commit(WatchableDirectories(paths={b"a": "/r/a"}), includes_refused=False)
    assert b"a/b" in coverage.missing()

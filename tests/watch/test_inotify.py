"""Events straight from the kernel: none is missed, and a queue that overflows says so."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchfiles import Change

from codeindexd.watch import filesystem, inotify
from codeindexd.watch.pace import Pace
from support.trees import tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="speaks of inotify")


class Script(Pace):
    """A stop event that does something to the tree when it is asked first, and stops the ``last`` time."""

    def __init__(self, deed: Callable[[], object], last: int = 30) -> None:
        super().__init__(on_live=deed, on_stall=lambda seconds: self.stalls.append(seconds))
        self.stalls: list[float] = []
        self.left = last
        self.still_to_come: Callable[[], bool] = lambda: False

    def is_set(self) -> bool:
        stopped = super().is_set()
        self.left -= not self.still_to_come()
        return stopped or self.left < 0


def events(pace: Pace, *paths: Path) -> Iterator[set[tuple[Change, str]]]:
    return inotify.watch(
        *map(str, paths),
        watch_filter=None,
        debounce=100,
        step=5,
        stop_event=pace,
        rust_timeout=0,
        raise_interrupt=False,
        force_polling=False,
        recursive=False,
        ignore_permission_denied=False,
    )


def what_happens(deed: Callable[[], object], *paths: Path) -> set[tuple[Change, str]]:
    """All changes that are told of ``deed``."""
    return {change for changes in events(Script(deed), *paths) for change in changes}


def test_every_kind_of_change(tmp_path: Path) -> None:
    inside, outside = tree(tmp_path / "in", {"a": "x", "b": "x", "d/e": "x"}), tree(tmp_path / "out", {"c": "x"})

    def deeds() -> None:
        (inside / "a").write_text("y")
        (inside / "b").rename(outside / "b")
        (outside / "c").rename(inside / "c")
        (inside / "new").mkdir()
        (inside / "d/e").unlink()

    assert what_happens(deeds, inside) == {
        (Change.modified, f"{inside}/a"),
        (Change.deleted, f"{inside}/b"),
        (Change.added, f"{inside}/c"),
        (Change.added, f"{inside}/new"),
    }


def test_a_watched_directory_that_goes_is_told_under_its_own_path(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", {"kept/a": "x", "moved": None, "removed": None})

    def deeds() -> None:
        (root / "moved").rename(tmp_path / "elsewhere")
        (root / "removed").rmdir()

    gone = what_happens(deeds, root / "moved", root / "removed")
    assert {path for change, path in gone if change is Change.deleted} == {f"{root}/moved", f"{root}/removed"}


def test_names_that_are_not_utf8_and_one_directory_under_two_paths(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", {"src": None})
    (tmp_path / "link").symlink_to(root / "src")
    odd = os.fsdecode(b"caf\xe9")
    found = what_happens(lambda: (root / "src" / odd).mkdir(), root / "src", tmp_path / "link")
    assert found == {(Change.added, f"{root}/src/{odd}"), (Change.added, f"{tmp_path}/link/{odd}")}


def test_what_cannot_be_watched(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "missing"):
        with pytest.raises(FileNotFoundError):
            next(events(Script(lambda: None), path))


def test_an_overflow_is_told(tmp_path: Path) -> None:
    names = [tmp_path / "a", tmp_path / "b"]
    for name in names:
        name.touch()

    def storm() -> None:
        for number in range(filesystem.limit("max_queued_events", 16_384) + 100):
            os.utime(names[number % 2])

    pace = Script(storm, 3)
    assert list(events(pace, tmp_path))
    assert pace.stalls == [float("inf")]


def test_no_event_is_missed_while_others_are_handed_over(tmp_path: Path) -> None:
    """Unless that is said: some machines have short queues."""
    code = "import sys\nfor n in range(8000): open(f'{sys.argv[1]}/{n}', 'x').close()"
    writers: list[subprocess.Popen[bytes]] = []
    pace = Script(lambda: writers.append(subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])))
    pace.still_to_come = lambda: writers[0].poll() is None
    seen = {path for changes in events(pace, tmp_path) for _, path in changes}
    assert pace.stalls or seen == {f"{tmp_path}/{n}" for n in range(8000)}

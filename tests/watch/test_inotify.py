"""Events read from the kernel: none is missed, and an overflow of the queue is reported."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchfiles import Change

from codeindexd.watch import filesystem, inotify
from codeindexd.watch.pacer import PollPacer
from support.trees import tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="speaks of inotify")


class Script:
    """Reads the events of ``paths``: runs something once all are watched, and stops after its events."""

    def __init__(self, deed: Callable[[], object], *paths: Path, ends: bool = True) -> None:
        self.stalls: list[float] = []
        self.pace = PollPacer(on_live=self._begin, on_stall=self._stalled)
        self._deed = deed
        self._ends = ends
        self._end = paths[0].parent / f"the end of {paths[0].name}"
        self._end.mkdir()
        self._paths = (*paths, self._end)

    def _begin(self) -> None:
        self._deed()
        if self._ends:
            self.finish()

    def _stalled(self, seconds: float) -> None:
        self.stalls.append(seconds)
        self.finish()  # the last event may be among the lost ones

    def finish(self) -> None:
        """Stop: everything has happened."""
        (self._end / "now").touch()

    def changes(self) -> set[tuple[Change, str]]:
        """Return all changes until the end."""
        seen: set[tuple[Change, str]] = set()
        for changes in self._events():
            seen |= changes
            if any(path.startswith(str(self._end)) for _, path in changes):
                self.pace.stop()
        return {change for change in seen if not change[1].startswith(str(self._end))}

    def _events(self) -> Iterator[set[tuple[Change, str]]]:
        return inotify.watch([str(path) for path in self._paths], self.pace)


def what_happens(deed: Callable[[], object], *paths: Path) -> set[tuple[Change, str]]:
    """Return all changes reported for ``deed``."""
    return Script(deed, *paths).changes()


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


def test_a_watched_directory_that_vanishes_is_reported_under_its_own_path(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("name", ["file", "missing"])
def test_what_cannot_be_watched(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError):
        Script(lambda: None, tmp_path / name).changes()


def test_it_stops_while_nothing_happens(tmp_path: Path) -> None:
    elsewhere = threading.Thread(target=lambda: script.pace.stop())
    script = Script(elsewhere.start, tree(tmp_path / "place", {}), ends=False)
    assert script.changes() == set()
    elsewhere.join()
    script.pace.stop()  # harmless when nothing is watched any more


def test_an_overflow_is_reported(tmp_path: Path) -> None:
    place = tree(tmp_path / "place", {"a": "", "b": ""})

    def storm() -> None:
        for number in range(filesystem.limit("max_queued_events", 16_384) + 100):
            os.utime(place / "ab"[number % 2])

    script = Script(storm, place)
    assert script.changes()
    assert script.stalls == [float("inf")]


def test_no_event_is_missed_while_others_are_delivered(tmp_path: Path) -> None:
    """An overflow must be reported: some machines have short queues."""
    code = "import sys\nfor n in range(8000): open(f'{sys.argv[1]}/{n}', 'x').close()"
    place = tree(tmp_path / "place", {})

    def write() -> None:
        subprocess.run([sys.executable, "-c", code, str(place)], check=True)
        script.finish()

    writer = threading.Thread(target=write)
    script = Script(writer.start, place, ends=False)
    seen = {path for _, path in script.changes()}
    writer.join()
    assert script.stalls or seen == {f"{place}/{n}" for n in range(8000)}

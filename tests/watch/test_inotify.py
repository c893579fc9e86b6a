"""Events read from the kernel: none is missed, and an overflow of the queue is reported."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchfiles import Change

from codeindexd.watch import filesystem, inotify
from codeindexd.watch.inotify import Inotify
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
        return inotify.SHARED([str(path) for path in self._paths], self.pace)


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


class Listener:
    """A subscription that records what it gets; with a ``gate``, the reading thread waits for it."""

    def __init__(self, hub: Inotify, *paths: Path, owner: str = "", gate: threading.Event | None = None) -> None:
        self.paths: set[str] = set()
        self.overflows = 0
        self.errors: list[OSError] = []
        self._gate = gate
        self.subscription = hub.subscribe(
            [str(path) for path in paths],
            owner=owner,
            on_changes=self._take,
            on_overflow=self._overflow,
            on_error=self.errors.append,
        )
        self.subscription.start()

    def _take(self, changes: set[tuple[Change, str]]) -> None:
        self.paths |= {path for _, path in changes}
        if self._gate is not None:
            assert self._gate.wait(20)
        self.subscription.mark_processed()

    def _overflow(self) -> None:
        self.overflows += 1


@pytest.fixture
def hub() -> Iterator[Inotify]:
    hub = Inotify()
    yield hub
    for subscription in tuple(hub._subscriptions):
        subscription.close()


def instances() -> int:
    """Return how many inotify instances this process has."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += "inotify" in str(link.readlink())
    return found


def readers() -> int:
    """Return how many threads read events."""
    return sum(thread.name == "inotify" for thread in threading.enumerate())


def wait_until(condition: Callable[[], object]) -> None:
    """Return as soon as ``condition()`` is true."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_all_subscriptions_share_one_instance_and_one_thread(hub: Inotify, tmp_path: Path) -> None:
    roots = [tree(tmp_path / f"root{number}", {"a": "x"}) for number in range(40)]
    wait_until(lambda: readers() == instances() == 0)  # those of other tests are ending
    listeners = [Listener(hub, root) for root in roots]
    assert (instances(), readers()) == (1, 1)
    assert hub.watch_count == 40
    for root in roots:
        (root / "a").write_text("changed")
    for root, listener in zip(roots, listeners, strict=True):
        wait_until(lambda root=root, listener=listener: listener.paths == {f"{root}/a"})  # type: ignore[misc]
    for listener in listeners:
        listener.subscription.close()
    wait_until(lambda: readers() == instances() == 0)
    again = Listener(hub, roots[0])
    (roots[0] / "a").unlink()
    wait_until(lambda: again.paths == {f"{roots[0]}/a"})


def test_a_directory_watched_twice_costs_one_watch_until_both_end(hub: Inotify, tmp_path: Path) -> None:
    place = tree(tmp_path / "place", {})
    first, second = Listener(hub, place), Listener(hub, place)
    assert hub.watch_count == 1
    first.subscription.close()
    (place / "a").touch()
    wait_until(lambda: second.paths == {f"{place}/a"})
    assert first.paths == set()
    second.subscription.close()
    assert hub.watch_count == 0


def test_an_overflow_is_reported_to_every_subscription(hub: Inotify, tmp_path: Path) -> None:
    place, other = tree(tmp_path / "place", {"a": "", "b": ""}), tree(tmp_path / "other", {})
    gate = threading.Event()
    slow, idle = Listener(hub, place, gate=gate), Listener(hub, other)
    (place / "a").write_text("the reading thread waits from now on")
    wait_until(lambda: slow.paths == {f"{place}/a"})
    for number in range(filesystem.inotify_limit("max_queued_events", 16_384) + 100):
        os.utime(place / "ab"[number % 2])
    gate.set()
    wait_until(lambda: slow.overflows == idle.overflows == 1)


def test_changes_before_the_start_are_kept(hub: Inotify, tmp_path: Path) -> None:
    place = tree(tmp_path / "place", {})
    got: list[set[tuple[Change, str]]] = []
    early = hub.subscribe([str(place)], owner="", on_changes=got.append, on_overflow=bool, on_error=print)
    other = Listener(hub, tree(tmp_path / "other", {}))
    (place / "a").touch()
    (tmp_path / "other/b").touch()
    wait_until(lambda: other.paths)
    assert got == []
    early.start()
    wait_until(lambda: got)
    early.mark_processed()
    assert {path for _, path in got[0]} == {f"{place}/a"}


def test_the_largest_root_gives_its_watches_to_a_small_one(
    hub: Inotify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "inotify_limit", lambda name, default: 20)
    large = tree(tmp_path / "large", {f"{number}/f": "x" for number in range(16)})
    small = tree(tmp_path / "small", {f"{number}/f": "x" for number in range(4)})
    first = Listener(hub, *large.iterdir(), owner="large")
    second = Listener(hub, *small.iterdir(), owner="small")
    assert (len(first.errors), len(second.errors), hub.watch_count) == (1, 0, 4)
    with pytest.raises(OSError, match="No space left"):
        Listener(hub, *large.iterdir(), *large.iterdir(), *[large / str(n) for n in range(16)], large, owner="large")
    assert not second.errors, "a large root takes nothing from a small one"
    (small / "1/f").write_text("changed")
    wait_until(lambda: second.paths == {f"{small}/1/f"})


def test_a_directory_whose_path_is_longer_than_a_system_call_takes(hub: Inotify, tmp_path: Path) -> None:
    path, current = os.fsencode(tmp_path), os.open(tmp_path, os.O_RDONLY)
    while len(path) < 5000:
        name = b"d" * 200
        os.mkdir(name, dir_fd=current)
        below = os.open(name, os.O_RDONLY, dir_fd=current)
        os.close(current)
        path, current = path + b"/" + name, below
    deep = Path(os.fsdecode(path))
    listener = Listener(hub, deep)
    os.close(os.open(b"f", os.O_CREAT | os.O_WRONLY, dir_fd=current))
    os.close(current)
    wait_until(lambda: listener.paths == {f"{deep}/f"})
    with pytest.raises(FileNotFoundError):
        Listener(hub, deep / "missing")


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

"""The faults, by name: disks full and read-only, files and stores unreadable, limits reached."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from resource import RLIMIT_FSIZE, RLIMIT_NOFILE

from endurance.faults import ORDINARY, Fault, Scene, failing, full, limited, mode, process_limit, unreadable_medium
from support.daemons import until
from support.trees import tree


@contextmanager
def _full_cache(scene: Scene) -> Iterator[None]:
    with full(scene.daemon.home / "cache"):
        yield


@contextmanager
def _grown_disk(scene: Scene) -> Iterator[None]:
    """Have the daemon fill the disk itself; then enlarge the disk."""
    yield
    subprocess.run(["mount", "-o", "remount,size=128m", str(scene.daemon.home / "cache")], check=True)


def _grow(scene: Scene) -> None:
    scene.change(functions=700)


def _quiet(scene: Scene) -> None:
    """Change nothing."""


@contextmanager
def _full_when_quiet(scene: Scene) -> Iterator[None]:
    """Fill the disk after a commit, so that only quiet-time work meets it."""
    scene.change()
    until(scene.caught_up, what="the change")
    with full(scene.daemon.home / "cache"):
        yield


def _try_to_add(scene: Scene) -> None:
    """Check that another root is refused with a reason, and that no trace of it stays."""
    other = tree(scene.root.parent / "other", {"other.py": "def other_code():\n    return 1\n"})
    error = scene.client.call("roots.add", path=str(other))["error"]
    assert error["data"]["hint"]
    scene.said = f"{error['message']} ({error['data']['hint']})"
    assert [root["path"] for root in scene.client.call("roots.list").result["roots"]] == [str(scene.root)]
    scene.change()


@contextmanager
def _then_add(fault: AbstractContextManager[None], scene: Scene) -> Iterator[None]:
    """Check that the refused root can be added afterwards."""
    with fault:
        yield
    entry = scene.client.call("roots.add", path=str(scene.root.parent / "other"), wait=True).result["roots"][0]
    assert entry["state"] == "fresh"
    scene.client.call("roots.remove", path=str(scene.root.parent / "other")).result  # noqa: B018 - raises


def _reprocess(scene: Scene) -> None:
    scene.change()
    scene.client.call("reindex", path=str(scene.root)).result  # noqa: B018 - raises


def _sync(scene: Scene) -> None:
    """Check that sync is exact although no cookie can be written."""
    scene.change()
    assert scene.client.call("sync").result["how"] == "walk"
    assert scene.complete()


@contextmanager
def _no_cookies(scene: Scene) -> Iterator[None]:
    """Make the runtime directory read-only."""
    made = []
    with contextlib.suppress(OSError):
        for number in range(1000):
            place = scene.daemon.home / f"run/{number}"
            place.touch()
            made.append(place)
    yield
    for place in made:
        place.unlink()


@contextmanager
def _read_only_root(scene: Scene) -> Iterator[None]:
    place = str(scene.root)
    subprocess.run(["mount", "--bind", place, place], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def _open_files(scene: Scene, spare: int) -> AbstractContextManager[None]:
    taken = len(list(Path(f"/proc/{scene.pid}/fd").iterdir()))
    return limited(scene.pid, RLIMIT_NOFILE, taken + spare)


_EACCES = tuple(ORDINARY)

FAULTS = [
    Fault("cache full, while saving", _full_cache, "disk", disk="cache"),
    Fault(
        "cache full, before a new root",
        lambda s: _then_add(_full_cache(s), s),
        "space",
        disk="cache",
        during=_try_to_add,
    ),
    Fault("cache filled by the daemon itself", _grown_disk, "full", disk="cache", disk_mb=2, during=_grow),
    Fault("cache full, in quiet times", _full_when_quiet, "full", disk="cache", during=_quiet),
    Fault("no file may grow (RLIMIT_FSIZE)", lambda s: limited(s.pid, RLIMIT_FSIZE, 1 << 18), "disk", during=_grow),
    Fault(
        "state full, before a new root",
        lambda s: _then_add(full(s.daemon.home / "state"), s),
        "space",
        disk="state",
        during=_try_to_add,
        silent=True,
        fast=True,
    ),
    Fault("log full", lambda s: full(s.daemon.home / "logs"), "", disk="logs", silent=True),
    Fault("runtime directory full", _no_cookies, "cookie_failed", disk="run", silent=True, during=_sync),
    Fault("stores: EIO on writing", lambda s: failing(s, "5 w"), "I/O", shim="cache", fast=True),
    Fault("stores: EIO on reading", lambda s: failing(s, "5 r"), "damaged", shim="cache", answers=False),
    Fault("stores: EIO on everything", lambda s: failing(s, "5 rwoa"), "", shim="cache", answers=False),
    Fault("stores: EROFS while running", lambda s: failing(s, "30 wo"), "", shim="cache"),
    Fault("stores: EMFILE on opening", lambda s: failing(s, "24 oa"), "", shim="cache", bound_s=25),
    Fault("cache: not permitted", lambda s: mode(s.cache, 0), "permi", prefix=_EACCES, fast=True),
    Fault(
        "source file: EIO",
        lambda s: unreadable_medium(s.root / "p0/steady4.py"),
        "Input/output",
        during=_reprocess,
        bound_s=45,
    ),
    Fault("source file: not permitted", lambda s: mode(s.root / "p0/steady4.py", 0), "Permission", prefix=_EACCES),
    Fault(
        "source directory: not permitted",
        lambda s: mode(s.root / "p0", 0),
        "Permission",
        prefix=_EACCES,
        during=_quiet,
        fast=True,
        answers=False,
    ),
    Fault("root: not permitted", lambda s: mode(s.root, 0), "Permission", prefix=_EACCES, during=_quiet, answers=False),
    Fault(
        "root: read-only",
        _read_only_root,
        "",
        silent=True,
        during=lambda s: s.client.call("reindex", path=str(s.root)) and None,
    ),
    Fault("no open files left (EMFILE)", lambda s: _open_files(s, 0), "open files", answers=False, fast=True),
    Fault("three open files left", lambda s: _open_files(s, 3), "open files", answers=False, bound_s=45),
    Fault("ten open files left", lambda s: _open_files(s, 10), "", answers=False, silent=True, bound_s=45),
    Fault("no threads or processes left", lambda s: process_limit(s.pid, 0), "", answers=False, fatal=True),
    Fault("two left", lambda s: process_limit(s.pid, 2), "", answers=False, silent=True, during=_reprocess, fatal=True),
]

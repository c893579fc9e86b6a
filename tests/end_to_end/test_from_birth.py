"""Everything the daemon creates is private from its first moment, even where the umask allows everything.

This reads the kernel's record: every file, directory and socket that the daemon and its workers create, with the mode
given, the umask in force and every later change of mode.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.system_calls import recorded, why_not
from support.daemons import RealDaemon, real_daemon, until
from support.trees import tree

CALLS = "open openat openat2 creat mkdir mkdirat mknod mknodat chmod fchmod fchmodat fchmodat2 umask bind"
_LINE = re.compile(r"^\d+ +(?:<\.\.\. )?(?P<call>\w+)(?:\((?P<arguments>.*)| resumed>(?P<rest>.*))$")
_MODE = re.compile(r", 0(?P<mode>[0-7]{1,5})(?:\)| <unfinished)")


class Account:
    """What a trace says about the paths below ``home``."""

    def __init__(self, lines: list[str], home: Path) -> None:
        self.made: set[str] = set()
        self.open_to_others: list[str] = []
        private = False
        for line in lines:
            match = _LINE.match(line)
            if match is None or match["arguments"] is None:
                continue
            call, arguments = match["call"], match["arguments"]
            if call == "umask":
                private = arguments.startswith(("077)", "0177)"))
                continue
            makes = "O_CREAT" in arguments or call.startswith(("mkdir", "mknod", "creat")) or call == "bind"
            place = _place(arguments)
            if not place.startswith(str(home)) or not (makes or "chmod" in call):
                continue
            mode = _MODE.search(arguments)
            narrow = mode is not None and int(mode["mode"], 8) & 0o077 == 0
            if makes:
                self.made.add(place)
            if not narrow and not (makes and private):
                self.open_to_others.append(line)


def _place(arguments: str) -> str:
    """Return the path of a call, given as text, as text below an open directory, or as an open file."""
    opened, text = re.search(r"<([^<>]*)>", arguments), re.search(r'"([^"]*)"', arguments)
    parts = [found[1] for found in (opened, text) if found]
    return os.path.join(*parts) if parts else ""  # noqa: PTH118 - an absolute text stands alone


@pytest.fixture(scope="module")
def traced() -> Iterator[tuple[RealDaemon, Account]]:
    """The trace of a daemon from start to end, with an umask of 0, while it indexed and answered."""
    if reason := why_not():
        pytest.skip(reason)
    with real_daemon(start=False) as daemon:
        daemon.umask = 0
        for name in ("run", "cache", "state"):
            shutil.rmtree(daemon.home / name)
        with recorded(daemon, CALLS) as lines:
            root = tree(daemon.home / "code", {"a.py": "def alpha(): pass\n", "b.md": "# Beta\n\ntext\n"})
            daemon.call("roots.add", path=str(root), wait=True)
            for number in range(3):
                (root / f"{number}.py").write_text(f"def number_{number}(): pass\n")
                daemon.call("search", query=f"number_{number}", sync=True)
            daemon.call("verify")
            daemon.call("reindex", path=str(root))
            daemon.call("sync")
        yield daemon, Account(lines, daemon.home)


def test_nothing_is_open_to_others_for_even_a_moment(traced: tuple[RealDaemon, Account]) -> None:
    _, account = traced
    assert account.open_to_others == []


def test_the_account_has_everything_that_matters(traced: tuple[RealDaemon, Account]) -> None:
    """The test above covers the side files of SQLite, of tantivy and of ours, the socket and the cookies."""
    _, account = traced
    names = {Path(place).name for place in account.made}
    assert {"vectors.db", "vectors.db-wal", "vectors.db-shm", "catalog.db", "catalog.db-wal", "lock"} <= names
    assert {"meta.json", "codeindexd.sock", "roots.json", "cookies", "CACHEDIR.TAG", "last-model"} & names >= {
        "codeindexd.sock",
        "cookies",
        "CACHEDIR.TAG",
    }
    assert any(name.endswith(".term") for name in names), "tantivy's files"
    assert any("/cookies/" in place for place in account.made), "cookies"
    assert any("/dense/" in place for place in account.made), "the dense index"


def test_nothing_is_open_to_others_at_the_end(traced: tuple[RealDaemon, Account]) -> None:
    daemon, _ = traced
    places = [path for name in ("run", "cache", "state") for path in (daemon.home / name).rglob("*")]
    assert len(places) > 20
    assert [path for path in places if stat.S_IMODE(path.lstat().st_mode) & 0o077] == []


def test_directories_that_were_open_are_closed_before_anything_is_put_into_them() -> None:
    with real_daemon(start=False) as daemon:
        for name in ("run", "cache", "state"):
            (daemon.home / name / "codeindexd").mkdir()
            (daemon.home / name / "codeindexd").chmod(0o755)
        daemon.start()
        for name in ("run", "cache", "state"):
            assert stat.S_IMODE((daemon.home / name / "codeindexd").stat().st_mode) == 0o700


def test_a_client_that_starts_the_daemon_opens_nothing_either(tmp_path: Path) -> None:
    with real_daemon(start=False) as daemon:
        for name in ("run", "cache", "state"):
            shutil.rmtree(daemon.home / name)
        done = daemon.run("status", umask=0)
        try:
            assert done.returncode == 0, done.stderr
            places = [path for name in ("run", "cache", "state") for path in (daemon.home / name).rglob("*")]
            assert {"start.lock", "codeindexd.log"} <= {path.name for path in places}
            assert [path for path in places if stat.S_IMODE(path.lstat().st_mode) & 0o077] == []
        finally:
            daemon.call("shutdown")
            until(lambda: not daemon.socket.exists(), what="the end of the daemon")
